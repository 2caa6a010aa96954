//! The process's source of randomness, which a seed takes over.
//!
//! Request ids, keys, pauses, the order of hash maps, tokio's choice among branches that are ready and
//! the election timeouts of openraft all come, in the end, from the operating system's `getrandom`. A
//! simulation is replayed by giving it the same bytes again, so this module answers in its place. It
//! must be told before anything asks: what was drawn before is drawn.
//!
//! It defines a symbol of libc, which takes `unsafe`: the one place where this crate needs it.
#![allow(unsafe_code, reason = "a symbol of libc is defined, and a buffer of its caller is filled")]

use std::{
    ffi::{c_uint, c_void},
    sync::{Mutex, PoisonError},
};

/// What follows from the seed; nothing while the operating system is asked.
static DICE: Mutex<Option<u64>> = Mutex::new(None);

/// Answers from this seed from now on.
pub fn take_over(seed: u64) {
    *DICE.lock().unwrap_or_else(PoisonError::into_inner) = Some(seed);
}

/// SplitMix64: short, and good enough to seed other generators.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Fills bytes from the seed; false when there is none.
fn fill(bytes: &mut [u8]) -> bool {
    let mut dice = DICE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(state) = dice.as_mut() else { return false };
    for chunk in bytes.chunks_mut(8) {
        let drawn = next(state).to_le_bytes();
        chunk.copy_from_slice(&drawn[..chunk.len()]);
    }
    true
}

/// In place of libc's function of this name.
///
/// # Safety
/// As for libc's: `buffer` is valid for writes of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    if length == 0 {
        return 0;
    }
    // SAFETY: the caller vouches for `length` writable bytes behind `buffer`, which is not null then.
    let bytes = unsafe {
        std::ptr::write_bytes(buffer.cast::<u8>(), 0, length);
        std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length)
    };
    if fill(bytes) {
        return isize::try_from(length).unwrap_or(isize::MAX);
    }
    let flags = rustix::rand::GetRandomFlags::from_bits_retain(flags);
    match rustix::rand::getrandom(bytes, flags) {
        Ok(filled) => isize::try_from(filled).unwrap_or(isize::MAX),
        Err(error) => {
            // SAFETY: errno of this thread may be written at any time.
            unsafe { *errno() = error.raw_os_error() };
            -1
        }
    }
}

unsafe extern "C" {
    #[link_name = "__errno_location"]
    fn errno() -> *mut i32;
}

#[cfg(test)]
mod tests {
    use std::collections::hash_map::RandomState;
    use std::hash::BuildHasher as _;

    /// Threads draw their own seeds when they first need them: one that begins after the take-over
    /// draws from the seed.
    #[test]
    fn a_seed_decides_what_the_process_draws() {
        let draw = || {
            super::take_over(7);
            let drawn = || (rand::random::<u64>(), RandomState::new().hash_one(1_u8));
            std::thread::spawn(drawn).join().expect("it draws")
        };
        assert_eq!(draw(), draw());
    }
}

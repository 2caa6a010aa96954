//! Bytes that anybody can make and check: what the peer sends and what clients send to it.

use std::sync::LazyLock;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

/// Length of the block that repeats: prime, so that no buffer of a usual size holds whole blocks and a lost
/// or repeated buffer changes the digest.
const BLOCK: usize = 65_521;

static BYTES: LazyLock<Bytes> = LazyLock::new(|| {
    let mut word = 0x2545_f491_u32;
    let next = std::iter::repeat_with(|| {
        word ^= word << 13;
        word ^= word >> 17;
        word ^= word << 5;
        word.to_le_bytes()[0]
    });
    next.take(BLOCK).collect()
});

/// That many bytes, in pieces that share their memory.
pub fn pattern(bytes: u64) -> impl Iterator<Item = Bytes> + Send {
    let whole = BYTES.clone();
    let (blocks, rest) = (bytes / BLOCK as u64, bytes % BLOCK as u64);
    let last = whole.slice(..usize::try_from(rest).unwrap_or(0));
    (0..blocks).map(move |_| whole.clone()).chain(std::iter::once(last).filter(|b| !b.is_empty()))
}

/// Number of bytes and SHA-256 of what passes.
#[derive(Clone)]
pub struct Tally {
    bytes: u64,
    digest: Context,
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tally").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self { bytes: 0, digest: Context::new(&SHA256) }
    }
}

impl Tally {
    /// Counts a piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.digest.update(piece);
    }

    /// The tally of that many bytes of the pattern.
    #[must_use]
    pub fn of_pattern(bytes: u64) -> Self {
        let mut tally = Self::default();
        pattern(bytes).for_each(|piece| tally.add(&piece));
        tally
    }
}

/// As the peer answers an upload: the number of bytes, a space, the digest in hexadecimal digits.
impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digest = self.digest.clone().finish();
        write!(f, "{} {}", self.bytes, hex::encode(digest))
    }
}

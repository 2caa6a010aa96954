//! One key's authenticated encryption: nonce in front, context as associated data.

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use zeroize::Zeroizing;

/// Bytes of a key.
pub(super) const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 24;

/// A secret key; wiped when dropped.
pub(super) type Key = Zeroizing<[u8; KEY_LEN]>;

pub(super) fn random_key() -> Key {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    rand::fill(&mut key[..]);
    key
}

/// Nonce and ciphertext.
pub(super) fn encrypt(key: &Key, context: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce[..]);
    let body = cipher(key)
        .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: context })
        .expect("XChaCha20-Poly1305 takes any message that fits in memory");
    [nonce.as_slice(), &body].concat()
}

/// The plain bytes, unless something does not fit.
pub(super) fn decrypt(key: &Key, context: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
    cipher(key)
        .decrypt(&XNonce::from(*nonce), Payload { msg: body, aad: context })
        .ok()
        .map(Zeroizing::new)
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&(**key).into())
}

//! Operator and join tokens: only their hash is ever kept.

use jaco_api::model::Digest;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A new token, 64 hexadecimal digits of 32 random bytes, and the hash to keep.
#[must_use]
pub fn new_token() -> (Zeroizing<String>, Digest) {
    let mut secret = Zeroizing::new([0u8; 32]);
    rand::fill(&mut secret[..]);
    let text = Zeroizing::new(hex::encode(*secret));
    let digest = token_digest(&text);
    (text, digest)
}

/// The hash under which a token is known.
#[must_use]
pub fn token_digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

/// Whether two hashes are equal, in a time that does not depend on where they differ.
#[must_use]
pub fn same_digest(a: &Digest, b: &Digest) -> bool {
    a.0.ct_eq(&b.0).into()
}

//! Keys of the mesh: their forms, new ones, and the public half of a private one.

use std::{fmt, str::FromStr};

use rand::Rng as _;
use x25519_dalek::StaticSecret;

/// A text that is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a mesh key is 64 hexadecimal digits")]
pub struct InvalidKey;

/// Public half of a peer's key; its name in the mesh.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(InvalidKey);
        }
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| InvalidKey)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidKey)?;
        }
        Ok(Self(key))
    }
}

/// Private half of this node's key. Never shown, wiped when dropped.
pub struct PrivateKey(zeroize::Zeroizing<[u8; 32]>);

impl PrivateKey {
    /// The key made of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(zeroize::Zeroizing::new(bytes))
    }

    /// A new key, in the form that `wg genkey` gives it.
    #[must_use]
    pub fn generate() -> Self {
        let mut key = Self::new([0; 32]);
        rand::rng().fill_bytes(key.0.as_mut());
        key.0[0] &= 0b1111_1000;
        key.0[31] = key.0[31] & 0b0111_1111 | 0b0100_0000;
        key
    }

    /// The half that the other members know.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(x25519_dalek::PublicKey::from(&self.secret()).to_bytes())
    }

    /// The bytes, for whoever loads them into the device.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key as the arithmetic takes it; wiped when dropped, too.
    pub(super) fn secret(&self) -> StaticSecret {
        StaticSecret::from(*self.0)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(•••)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_keys_round_trip_and_private_keys_do_not_show() {
        let key = PublicKey([0xa7; 32]);
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!("ab".parse::<PublicKey>(), Err(InvalidKey));
        assert_eq!("é".repeat(32).parse::<PublicKey>(), Err(InvalidKey));
        assert!(!format!("{:?}", PrivateKey::new([0xa7; 32])).contains("a7"));
    }

    #[test]
    fn the_public_half_is_what_wg_pubkey_prints() {
        let public = PrivateKey::new([0x42; 32]).public().to_string();
        assert_eq!(public, "132c442be010fbd57e72603328aa76e71fccc1503aae219327d14d9c9993f472");
    }

    #[test]
    fn new_keys_differ_and_are_clamped() {
        let (one, other) = (PrivateKey::generate(), PrivateKey::generate());
        assert_ne!(one.expose(), other.expose());
        assert_ne!(one.public(), other.public());
        assert_eq!((one.expose()[0] & 7, one.expose()[31] >> 6), (0, 1));
    }
}

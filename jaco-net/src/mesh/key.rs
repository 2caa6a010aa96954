//! Private keys of the mesh: new ones, and their public halves.

use std::fmt;

use jaco_api::model::MeshKey as PublicKey;
use rand::Rng as _;
use x25519_dalek::StaticSecret;

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
    fn private_keys_do_not_show() {
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

//! Operator and join tokens: only their hash is ever kept.

use std::{fmt, str::FromStr};

use jaco_api::model::Digest;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{PkiError, certificate};

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

/// The first 16 bytes of the SHA-256 of a CA certificate (DER): what a join token carries of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaPin([u8; 16]);

impl CaPin {
    /// The pin of a CA certificate, PEM.
    ///
    /// # Errors
    /// [`PkiError::Pem`] when the text holds no certificate.
    pub fn of(ca_pem: &str) -> Result<Self, PkiError> {
        Ok(Self::of_der(&certificate("the CA certificate", ca_pem)?))
    }

    pub(super) fn of_der(der: &[u8]) -> Self {
        let mut pin = [0; 16];
        pin.copy_from_slice(&Digest::of(der).0[..16]);
        Self(pin)
    }
}

impl fmt::Display for CaPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A join token: `<64 hex digits of the secret>.<32 hex digits of the CA's SHA-256>`.
#[derive(Clone)]
pub struct JoinSecret {
    /// The secret: sent only to who has proved to belong to the CA.
    pub secret: Zeroizing<String>,
    /// The CA that the peer must prove to belong to.
    pub pin: CaPin,
}

impl fmt::Debug for JoinSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinSecret({})", self.pin)
    }
}

/// A text that is no join token. The text itself is not kept: it may be a secret with a typo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a join token is 64 hexadecimal digits, a dot and 32 hexadecimal digits")]
pub struct InvalidJoinToken;

impl JoinSecret {
    /// The text that is given to the operator of the joining node.
    #[must_use]
    pub fn compose(secret: &str, pin: &CaPin) -> Zeroizing<String> {
        Zeroizing::new(format!("{secret}.{pin}"))
    }
}

impl FromStr for JoinSecret {
    type Err = InvalidJoinToken;
    fn from_str(text: &str) -> Result<Self, InvalidJoinToken> {
        let (secret, pin) = text.trim().split_once('.').ok_or(InvalidJoinToken)?;
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(secret, &mut bytes[..]).map_err(|_| InvalidJoinToken)?;
        let mut pinned = [0; 16];
        hex::decode_to_slice(pin, &mut pinned).map_err(|_| InvalidJoinToken)?;
        Ok(Self { secret: Zeroizing::new(secret.to_ascii_lowercase()), pin: CaPin(pinned) })
    }
}

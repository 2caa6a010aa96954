//! An encrypted value: all that the log, snapshots and backups ever hold of a secret.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

/// Ciphertext under one of the cluster's data keys. Opened only by `jaco-engine`'s `seal`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Sealed {
    /// Which data key; rises with every rotation.
    pub key_id: u32,
    /// Nonce and ciphertext.
    pub bytes: Arc<[u8]>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed(key {}, {} bytes)", self.key_id, self.bytes.len())
    }
}

#[derive(Serialize, Deserialize)]
struct Written {
    key: u32,
    base64: String,
}

impl From<Sealed> for Written {
    fn from(sealed: Sealed) -> Self {
        Self { key: sealed.key_id, base64: STANDARD.encode(&sealed.bytes) }
    }
}
impl TryFrom<Written> for Sealed {
    type Error = base64::DecodeError;
    fn try_from(written: Written) -> Result<Self, base64::DecodeError> {
        Ok(Self { key_id: written.key, bytes: STANDARD.decode(written.base64)?.into() })
    }
}

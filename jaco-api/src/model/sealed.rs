//! An encrypted value: all that the log, snapshots and backups ever hold of a secret.

use std::{fmt, sync::Arc};

/// Ciphertext under one of the cluster's data keys. Opened only by `jaco-engine`'s `seal`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

//! Sealing of secrets at rest.
//!
//! In: plain bytes and the context they belong to. Out: `Sealed` values, all that the log,
//! snapshots and backups ever hold of a secret. The cluster's data keys live in memory and, wrapped
//! by the node's own key, on disk. Never prints a key or a plain value, not even for debugging.

mod cipher;
mod keyring;

pub use keyring::{DataKey, Keyring};

use std::path::PathBuf;

/// Context of container documents.
pub const CONTAINER: &str = "container";
/// Context of secrets and configs of the cluster.
pub const FILE: &str = "file";
/// Context of the private keys of certificates that are served to visitors.
pub const CERTIFICATE: &str = "certificate";
/// Context of credentials of accounts at CAs.
pub const ACCOUNT: &str = "acme-account";
/// Context of the passwords that routes ask visitors for.
pub const ROUTE_PASSWORD: &str = "route-password";
/// Context of the CA's private key.
pub const CA: &str = "ca";
/// Context of the last output of failed containers.
pub const LOG_TAIL: &str = "log-tail";

/// Why something could not be sealed, opened or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// A key file cannot be read or written.
    #[error("cannot {operation} {path}", path = path.display())]
    Io {
        /// `read`, `write`, `list` or `create`.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key file holds something else.
    #[error("{path} is not a key file, or is damaged", path = path.display())]
    BadKeyFile {
        /// The file.
        path: PathBuf,
    },
    /// A wrapped data key was not wrapped by this node's key.
    #[error("{path} was not wrapped by this node's key", path = path.display())]
    ForeignKeyFile {
        /// The file.
        path: PathBuf,
    },
    /// Sealed with a data key this node does not have.
    #[error("data key {key_id} is not known here")]
    UnknownKey {
        /// Which one.
        key_id: u32,
    },
    /// Another key of the same number is known already.
    #[error("data key {key_id} differs from the one known here")]
    KeyMismatch {
        /// Which one.
        key_id: u32,
    },
    /// The bytes were changed, or belong to another context.
    #[error("a sealed value of context {context:?} does not open: it was changed or misplaced")]
    DoesNotOpen {
        /// The context that was asked for.
        context: String,
    },
}

//! The certificate seam: where the certificates that this node serves come from.
//!
//! A store holds one certificate per domain and tells when something changed. It must never judge a
//! certificate (expiry, issuer, match): whoever puts one in has decided that it is to be served.

mod certificate;
mod directory;
mod files;
mod memory;
mod sealed;

use std::path::PathBuf;

use async_trait::async_trait;
use jaco_api::error::{ApiError, ErrorCode};
use tokio::sync::watch;

pub use certificate::{Certificate, Domain, InvalidDomain};
pub use directory::DirectoryCertStore;
pub use memory::MemoryCertStore;
pub use sealed::SealedCertStore;

/// Keeps certificates and their keys.
#[async_trait]
pub trait CertStore: Send + Sync {
    /// The certificate of exactly this domain; a wildcard is a domain of its own.
    ///
    /// # Errors
    /// The store cannot be read, or holds something that is no certificate.
    async fn load(&self, domain: &Domain) -> Result<Option<Certificate>, CertStoreError>;

    /// Keeps `certificate` for `domain` in place of the one there was, all or nothing.
    ///
    /// # Errors
    /// The store cannot be written; the old certificate is still there.
    async fn save(&self, domain: &Domain, certificate: &Certificate) -> Result<(), CertStoreError>;

    /// Forgets the domain. Forgetting what is not there is success.
    ///
    /// # Errors
    /// The store cannot be written.
    async fn remove(&self, domain: &Domain) -> Result<(), CertStoreError>;

    /// Every domain that has a certificate, in order.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn domains(&self) -> Result<Vec<Domain>, CertStoreError>;

    /// Changes whenever a certificate may have changed. The number means nothing: look again.
    fn watch(&self) -> watch::Receiver<u64>;
}

/// Why a certificate could not be kept or found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertStoreError {
    /// A file or directory could not be used.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// What was tried, for example `write`.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// What is stored is not a certificate chain followed by its key, or was sealed by another one.
    #[error("{} does not hold a PEM certificate chain and its private key", path.display())]
    Damaged {
        /// Where it is stored.
        path: PathBuf,
    },
    /// A store outside this crate failed.
    #[error("the certificate store failed")]
    Backend {
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl From<CertStoreError> for ApiError {
    fn from(error: CertStoreError) -> Self {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let api = Self::new(ErrorCode::CertFailed, error.to_string());
        match cause {
            Some(cause) => api.with("cause", cause),
            None => api,
        }
    }
}

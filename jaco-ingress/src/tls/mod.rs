//! TLS as this node serves it: which certificate by which name, and how a connection begins.
//!
//! In: certificates and challenges as they are stored. Out: a `rustls` configuration whose certificates are
//! swapped as a whole while connections go on. Obtains nothing and stores nothing.

mod challenge;
mod check;
mod config;
mod resolver;
mod table;

use std::sync::Arc;

use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};

pub use challenge::challenge_certificate;
pub use check::{CertificateProblem, CheckedCertificate, check_certificate};
pub use config::{ACME_TLS, server_config};
pub use resolver::Resolver;
pub use table::{CertificateTable, Unserved};

use crate::store::Certificate;

/// The one provider of cryptography of this workspace.
pub(crate) fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

/// Why a certificate cannot be loaded to be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The chain or key is no PEM.
    #[error("the {what} is not PEM")]
    Pem {
        /// `chain` or `key`.
        what: &'static str,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The key cannot be used, or is not the leaf's.
    #[error("the certificate and its key cannot be served")]
    Unusable(#[source] rustls::Error),
    /// A certificate for a challenge could not be made.
    #[error("the certificate of a challenge cannot be made")]
    Challenge(#[source] rcgen::Error),
}

/// A chain and key as `rustls` serves them, once they fit each other.
fn certified(certificate: &Certificate) -> Result<Arc<CertifiedKey>, TlsError> {
    let pem = |what| move |source| TlsError::Pem { what, source };
    let chain = CertificateDer::pem_slice_iter(certificate.chain.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(pem("chain"))?;
    if chain.is_empty() {
        return Err(pem("chain")(rustls::pki_types::pem::Error::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).map_err(pem("key"))?;
    CertifiedKey::from_der(chain, key, &provider()).map(Arc::new).map_err(TlsError::Unusable)
}

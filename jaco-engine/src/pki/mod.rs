//! The cluster's CA, node certificates and tokens.
//!
//! In: identities that somebody else has authenticated. Out: certificates, TLS configurations, the
//! identity of a peer. Names in a certificate come from the identity, never from what a request
//! asks for. Private keys are never printed.

mod authority;
mod credentials;
mod files;
mod identity;
mod incoming;
mod tls;
mod token;
mod verify;

pub use authority::{Authority, NODE_CERTIFICATE_LIFE};
pub use credentials::{Credentials, Validity};
pub use files::NodeFiles;
pub use identity::{NodeIdentity, PeerIdentity, SigningRequest, peer_identity};
pub use incoming::{TlsIncoming, incoming};
pub use tls::{ClientAuth, client_config, pinned_config, server_config};
pub use token::{CaPin, InvalidJoinToken, JoinSecret, new_token, same_digest, token_digest};

use std::path::PathBuf;

use jaco_api::model::Digest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

/// Why a certificate, key or token could not be made, read or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PkiError {
    /// A file cannot be read or written.
    #[error("cannot {operation} {path}", path = path.display())]
    Io {
        /// `read`, `write` or `create`.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// PEM text holds no certificate or key.
    #[error("{what} is not valid PEM")]
    Pem {
        /// Which one.
        what: &'static str,
        /// Why.
        source: rustls_pki_types::pem::Error,
    },
    /// A certificate or key cannot be made.
    #[error("cannot make {what}")]
    Make {
        /// What was to be made.
        what: &'static str,
        /// Why.
        source: rcgen::Error,
    },
    /// A certificate cannot be read.
    #[error("the certificate cannot be read")]
    Certificate(#[source] x509_parser::error::X509Error),
    /// A certificate names no member of a cluster.
    #[error("the certificate names no member: its {found} `jaco://` names are not those of one")]
    NoIdentity {
        /// How many names of that form it has.
        found: usize,
    },
    /// TLS refuses the certificates, keys or settings.
    #[error("TLS refuses {what}")]
    Tls {
        /// What it refuses.
        what: &'static str,
        /// Why.
        source: rustls::Error,
    },
    /// The client certificate verifier cannot be built.
    #[error("the client certificate verifier cannot be built")]
    Verifier(#[source] rustls::client::VerifierBuilderError),
}

/// `sha256:<hex>` of a CA certificate: what people compare.
///
/// # Errors
/// [`PkiError::Pem`] when the text holds no certificate.
pub fn fingerprint(ca_pem: &str) -> Result<String, PkiError> {
    Ok(format!("sha256:{}", Digest::of(&certificate("the CA certificate", ca_pem)?)))
}

/// The first certificate of a PEM text.
fn certificate(what: &'static str, pem: &str) -> Result<CertificateDer<'static>, PkiError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|source| PkiError::Pem { what, source })
}

/// TLS as a caller without a certificate does it, towards one node of cluster 1.
#[cfg(test)]
pub(crate) fn nameless_config(ca_pem: &str, node: &str) -> std::sync::Arc<rustls::ClientConfig> {
    let expected = PeerIdentity {
        cluster: jaco_api::model::ClusterId(uuid::Uuid::from_u128(1)),
        node: node.parse().unwrap(),
        member: jaco_api::model::NodeId(1),
    };
    let verifier =
        verify::PeerVerifier::new(tls::roots(ca_pem).unwrap(), tls::provider(), expected);
    let mut config = rustls::ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(std::sync::Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    std::sync::Arc::new(config)
}

#[cfg(test)]
mod tests;

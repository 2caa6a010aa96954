//! TLS 1.3 configurations for the two ports and for calls between members.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore, ServerConfig, crypto::CryptoProvider,
    server::WebPkiClientVerifier, version::TLS13,
};

use super::{CaPin, Credentials, PeerIdentity, PkiError, certificate, verify::PeerVerifier};

/// gRPC speaks HTTP/2 and nothing else.
const ALPN: &[u8] = b"h2";

/// Whether callers must show a certificate of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// The API port: operators come with tokens, members with certificates.
    Optional,
    /// The raft port: members only.
    Required,
}

/// The one cryptography provider of this program.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

pub(super) fn roots(ca_pem: &str) -> Result<Arc<RootCertStore>, PkiError> {
    let mut roots = RootCertStore::empty();
    roots
        .add(certificate("the CA certificate", ca_pem)?)
        .map_err(|source| PkiError::Tls { what: "the CA certificate", source })?;
    Ok(Arc::new(roots))
}

/// What a listening port shows and demands.
///
/// # Errors
/// [`PkiError`] when the CA certificate is no good.
pub fn server_config(
    ca_pem: &str,
    credentials: &Credentials,
    clients: ClientAuth,
) -> Result<Arc<ServerConfig>, PkiError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(ca_pem)?, provider());
    let verifier = match clients {
        ClientAuth::Optional => verifier.allow_unauthenticated(),
        ClientAuth::Required => verifier,
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|source| PkiError::Tls { what: "TLS 1.3", source })?
        .with_client_cert_verifier(verifier.build().map_err(PkiError::Verifier)?)
        .with_cert_resolver(Arc::new(credentials.clone()));
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

/// How this node calls one member: it shows its own certificate and accepts exactly that member's,
/// whatever address it was reached at.
///
/// # Errors
/// [`PkiError`] when the CA certificate is no good.
pub fn client_config(
    ca_pem: &str,
    credentials: &Credentials,
    expected: PeerIdentity,
) -> Result<Arc<ClientConfig>, PkiError> {
    let verifier = PeerVerifier::new(roots(ca_pem)?, provider(), expected);
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|source| PkiError::Tls { what: "TLS 1.3", source })?
        .dangerous() // the name of the API; our verifier checks chain and identity
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(credentials.clone()));
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

/// How a joining node calls a member: it has no certificate yet, and speaks only to who shows a
/// chain to the CA that its token pins.
///
/// # Errors
/// [`PkiError`] when TLS 1.3 is not available.
pub fn pinned_config(pin: &CaPin) -> Result<Arc<ClientConfig>, PkiError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|source| PkiError::Tls { what: "TLS 1.3", source })?
        .dangerous() // the name of the API; our verifier checks the chain against the pin
        .with_custom_certificate_verifier(Arc::new(PeerVerifier::pinned(provider(), *pin)))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

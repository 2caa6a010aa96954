//! How a TLS connection begins.

use std::sync::Arc;

use rustls::{ServerConfig, crypto::aws_lc_rs::Ticketer, server::ResolvesServerCert};

use super::{TlsError, provider};

/// The protocol in which a CA checks a domain. A connection that has agreed on it carries nothing: close it.
pub const ACME_TLS: &[u8] = b"acme-tls/1";

/// The configuration of every TLS listener of a node: TLS 1.2 and 1.3, HTTP/2 before HTTP/1.1, sessions
/// resumed by tickets that only this process can read.
///
/// # Errors
/// There is no randomness for the tickets.
pub fn server_config(
    certificates: Arc<dyn ResolvesServerCert>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsError::Unusable)?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), ACME_TLS.to_vec()];
    config.ticketer = Ticketer::new().map_err(TlsError::Unusable)?;
    Ok(Arc::new(config))
}

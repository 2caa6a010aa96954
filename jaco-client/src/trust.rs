//! How a remote node proves that it belongs to the cluster.
//!
//! Nodes are reached by any address, so the host name says nothing. What counts is that the
//! certificate was signed by the cluster's CA and names a node: `jaco://<cluster>/node/<name>`.

use std::{fmt, path::PathBuf, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature},
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use sha2::{Digest as _, Sha256};

use crate::Error;

/// What a remote server must prove.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// A chain to one of these CA certificates (PEM).
    CaPem(String),
    /// A chain to one of the CA certificates in this file.
    CaFile(PathBuf),
    /// A presented chain whose CA has this SHA-256, written `sha256:<64 hex digits>`.
    Fingerprint(String),
    /// Nothing: whoever answers is believed and receives the token.
    Unverified,
}

/// A CA fingerprint that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not of the form sha256:<64 hexadecimal digits>")]
pub struct InvalidFingerprint {
    /// The text as given.
    pub value: String,
}

fn parse_fingerprint(text: &str) -> Result<[u8; 32], InvalidFingerprint> {
    let bad = || InvalidFingerprint { value: text.chars().take(100).collect() };
    let digits: String =
        text.strip_prefix("sha256:").ok_or_else(bad)?.chars().filter(|c| *c != ':').collect();
    let mut out = [0; 32];
    hex::decode_to_slice(digits, &mut out).map_err(|_| bad())?;
    Ok(out)
}

impl Trust {
    /// The TLS side of it: TLS 1.3, HTTP/2, our own check of the chain.
    pub(crate) async fn tls_config(&self) -> Result<Arc<rustls::ClientConfig>, Error> {
        let rule = match self {
            Self::CaPem(pem) => Rule::Roots(roots(pem.as_bytes())?),
            Self::CaFile(path) => {
                let pem = tokio::fs::read(path)
                    .await
                    .map_err(|source| Error::CaFile { path: path.clone(), source })?;
                Rule::Roots(roots(&pem)?)
            }
            Self::Fingerprint(text) => Rule::Fingerprint(parse_fingerprint(text)?),
            Self::Unverified => Rule::Nothing,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = NodeVerifier { rule, provider: Arc::clone(&provider) };
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|source| Error::Tls { target: String::new(), source })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(pem) {
        let cert = cert.map_err(|_| Error::CaContent)?;
        store.add(cert).map_err(|_| Error::CaContent)?;
    }
    if store.is_empty() { Err(Error::CaContent) } else { Ok(store) }
}

enum Rule {
    Roots(RootCertStore),
    Fingerprint([u8; 32]),
    Nothing,
}

/// Accepts nodes of one cluster.
struct NodeVerifier {
    rule: Rule,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for NodeVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.rule {
            Rule::Roots(_) => "NodeVerifier(roots)",
            Rule::Fingerprint(_) => "NodeVerifier(fingerprint)",
            Rule::Nothing => "NodeVerifier(nothing)",
        })
    }
}

/// What is wrong with a chain that is well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Mistrust {
    #[error("the presented chain holds no CA with the pinned fingerprint")]
    OtherCa,
    #[error("the certificate names no JACO node")]
    NotANode,
}

impl From<Mistrust> for rustls::Error {
    fn from(m: Mistrust) -> Self {
        Self::InvalidCertificate(CertificateError::Other(rustls::OtherError(Arc::new(m))))
    }
}

/// Why a certificate was refused, for people.
pub(crate) fn why(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => other.to_string(),
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => "its certificate was not issued by the pinned CA".to_owned(),
        other => other.to_string(),
    }
}

impl NodeVerifier {
    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }

    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let pinned;
        let roots = match &self.rule {
            Rule::Nothing => return Ok(()),
            Rule::Roots(roots) => roots,
            Rule::Fingerprint(wanted) => {
                // Never the leaf: a fingerprint names a CA, and a CA is no node.
                let ca = chain
                    .iter()
                    .find(|cert| <[u8; 32]>::from(Sha256::digest(cert)) == *wanted)
                    .ok_or(Mistrust::OtherCa)?;
                let mut store = RootCertStore::empty();
                store.add(ca.clone().into_owned())?;
                pinned = store;
                &pinned
            }
        };
        let parsed = ParsedCertificate::try_from(leaf)?;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            roots,
            chain,
            now,
            self.algorithms().all,
        )?;
        if names_a_node(leaf) { Ok(()) } else { Err(Mistrust::NotANode.into()) }
    }
}

fn names_a_node(leaf: &CertificateDer<'_>) -> bool {
    use x509_parser::prelude::GeneralName;
    let Ok((_, cert)) = x509_parser::parse_x509_certificate(leaf) else { return false };
    let Ok(Some(names)) = cert.subject_alternative_name() else { return false };
    names.value.general_names.iter().any(|name| {
        matches!(name, GeneralName::URI(uri)
            if uri.strip_prefix("jaco://").is_some_and(|rest| rest.contains("/node/")))
    })
}

impl ServerCertVerifier for NodeVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(end_entity, intermediates, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::PeerIncompatible(
            rustls::PeerIncompatible::ServerDoesNotSupportTls12Or13,
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, self.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_sha256_of_64_digits() {
        let digits = "ab".repeat(32);
        assert_eq!(parse_fingerprint(&format!("sha256:{digits}")).unwrap(), [0xab; 32]);
        for bad in [digits.clone(), "sha256:abcd".to_owned(), format!("sha1:{digits}")] {
            assert!(parse_fingerprint(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn text_without_a_certificate_is_no_ca() {
        assert!(matches!(roots(b"hello"), Err(Error::CaContent)));
    }
}

//! Who a certificate belongs to, and the key pair of a node.

use std::{fmt, str::FromStr};

use jaco_api::model::{ClusterId, NodeName};
use x509_parser::{extensions::GeneralName, prelude::FromDer as _};
use zeroize::Zeroizing;

use super::PkiError;

const SCHEME: &str = "jaco://";

/// A node of a cluster, as its certificate names it: `jaco://<cluster-id>/node/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerIdentity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeName,
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/node/{}", self.cluster, self.node)
    }
}

/// The text is not `jaco://<cluster-id>/node/<name>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not of the form jaco://<cluster-id>/node/<name>")]
pub struct NotANodeUri;

impl FromStr for PeerIdentity {
    type Err = NotANodeUri;
    fn from_str(s: &str) -> Result<Self, NotANodeUri> {
        let (cluster, node) =
            s.strip_prefix(SCHEME).and_then(|s| s.split_once("/node/")).ok_or(NotANodeUri)?;
        let identity = Self {
            cluster: cluster.parse().map_err(|_| NotANodeUri)?,
            node: node.parse().map_err(|_| NotANodeUri)?,
        };
        // One spelling only: what is compared is what was written.
        (identity.to_string() == s).then_some(identity).ok_or(NotANodeUri)
    }
}

/// The node a certificate (DER) was issued to. The chain is not looked at: TLS has verified it.
///
/// # Errors
/// [`PkiError::Certificate`] or [`PkiError::NoIdentity`].
pub fn peer_identity(certificate: &[u8]) -> Result<PeerIdentity, PkiError> {
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(certificate)
        .map_err(|e| PkiError::Certificate(x509_error(e)))?;
    let names = parsed.subject_alternative_name().map_err(PkiError::Certificate)?;
    let uris: Vec<&str> = names
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::URI(uri) if uri.starts_with(SCHEME) => Some(*uri),
            _ => None,
        })
        .collect();
    match uris.as_slice() {
        [uri] => uri.parse().map_err(|NotANodeUri| PkiError::NoIdentity { found: 0 }),
        several => Err(PkiError::NoIdentity { found: several.len() }),
    }
}

pub(super) fn x509_error(
    e: x509_parser::nom::Err<x509_parser::error::X509Error>,
) -> x509_parser::error::X509Error {
    match e {
        x509_parser::nom::Err::Error(e) | x509_parser::nom::Err::Failure(e) => e,
        x509_parser::nom::Err::Incomplete(_) => x509_parser::error::X509Error::InvalidCertificate,
    }
}

/// A node's certificate and private key, PEM.
#[derive(Clone)]
pub struct NodeIdentity {
    /// The certificate.
    pub cert_pem: String,
    /// The private key, PKCS#8.
    pub key_pem: Zeroizing<String>,
}

impl fmt::Debug for NodeIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeIdentity")
    }
}

/// A fresh key pair and the request to sign its public half. The request names nobody: the signer
/// decides the names.
#[derive(Clone)]
pub struct SigningRequest {
    /// The request, PEM.
    pub csr_pem: String,
    /// The private key, PKCS#8; it stays with the requester.
    pub key_pem: Zeroizing<String>,
}

impl fmt::Debug for SigningRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningRequest")
    }
}

impl SigningRequest {
    /// A request for a fresh Ed25519 key.
    ///
    /// # Errors
    /// [`PkiError::Make`].
    pub fn new() -> Result<Self, PkiError> {
        let make = |source| PkiError::Make { what: "a signing request", source };
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(make)?;
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let csr = params.serialize_request(&key).and_then(|r| r.pem()).map_err(make)?;
        Ok(Self { csr_pem: csr, key_pem: Zeroizing::new(key.serialize_pem()) })
    }

    /// The identity, once the request was signed.
    #[must_use]
    pub fn signed(self, cert_pem: String) -> NodeIdentity {
        NodeIdentity { cert_pem, key_pem: self.key_pem }
    }
}

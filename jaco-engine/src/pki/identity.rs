//! Who a certificate belongs to, and the key pair of a node.

use std::fmt;

use jaco_api::model::{ClusterId, NodeId, NodeName};
use x509_parser::{extensions::GeneralName, prelude::FromDer as _};
use zeroize::Zeroizing;

use super::PkiError;

const SCHEME: &str = "jaco://";

/// A member of a cluster, as its certificate names it: `jaco://<cluster-id>/node/<name>` and
/// `jaco://<cluster-id>/member/<number>`. A name may be used again after its member was removed, a
/// number never is: the certificate of a removed node does not pass for that of its successor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerIdentity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeName,
    /// Its number in the cluster.
    pub member: NodeId,
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.node_uri())
    }
}

impl PeerIdentity {
    /// `jaco://<cluster-id>/node/<name>`.
    #[must_use]
    pub fn node_uri(&self) -> String {
        format!("{SCHEME}{}/node/{}", self.cluster, self.node)
    }

    /// `jaco://<cluster-id>/member/<number>`.
    #[must_use]
    pub fn member_uri(&self) -> String {
        format!("{SCHEME}{}/member/{}", self.cluster, self.member)
    }

    /// The identity that two names of a certificate give, in whatever order.
    fn of_uris(first: &str, second: &str) -> Option<Self> {
        let ordered = |node: &str, member: &str| {
            let (cluster, name) = node.strip_prefix(SCHEME)?.split_once("/node/")?;
            let (_, number) = member.strip_prefix(SCHEME)?.split_once("/member/")?;
            let identity = Self {
                cluster: cluster.parse().ok()?,
                node: name.parse().ok()?,
                member: NodeId(number.parse().ok()?),
            };
            // One spelling only, and of one cluster: what is compared is what was written.
            let same = identity.node_uri() == node && identity.member_uri() == member;
            same.then_some(identity)
        };
        ordered(first, second).or_else(|| ordered(second, first))
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
        [one, other] => {
            PeerIdentity::of_uris(one, other).ok_or(PkiError::NoIdentity { found: uris.len() })
        }
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
        let make = |source| PkiError::Make { what: "a key pair", source };
        Self::of(&rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(make)?)
    }

    /// A request for a key that exists. The same key gives the same request.
    ///
    /// # Errors
    /// [`PkiError::Make`] when it is no Ed25519 key.
    pub fn of_key(key_pem: Zeroizing<String>) -> Result<Self, PkiError> {
        let make = |source| PkiError::Make { what: "a signer from the node's key", source };
        let key = rcgen::KeyPair::from_pem_and_sign_algo(&key_pem, &rcgen::PKCS_ED25519);
        Self::of(&key.map_err(make)?)
    }

    fn of(key: &rcgen::KeyPair) -> Result<Self, PkiError> {
        let make = |source| PkiError::Make { what: "a signing request", source };
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let csr = params.serialize_request(key).and_then(|r| r.pem()).map_err(make)?;
        Ok(Self { csr_pem: csr, key_pem: Zeroizing::new(key.serialize_pem()) })
    }

    /// The identity, once the request was signed.
    #[must_use]
    pub fn signed(self, cert_pem: String) -> NodeIdentity {
        NodeIdentity { cert_pem, key_pem: self.key_pem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_spelling_of_two_names_of_one_cluster_is_an_identity() {
        let id = ClusterId(uuid::Uuid::from_u128(7));
        let node = format!("jaco://{id}/node/a");
        let member = format!("jaco://{id}/member/3");
        let both = PeerIdentity::of_uris(&node, &member).unwrap();
        assert_eq!((both.node.as_str(), both.member), ("a", NodeId(3)));
        assert_eq!(PeerIdentity::of_uris(&member, &node), Some(both));
        let other = ClusterId(uuid::Uuid::from_u128(8));
        for (node, member) in [
            (format!("jaco://{id}/node/a/"), member.clone()),
            (format!("jaco://{id}/node/"), member.clone()),
            (format!("jaco://{}/node/a", id.0.simple()), member.clone()),
            (node.clone(), format!("jaco://{other}/member/3")),
            (node.clone(), format!("jaco://{id}/member/03")),
            (node.clone(), node.clone()),
        ] {
            assert_eq!(PeerIdentity::of_uris(&node, &member), None, "{node} {member}");
        }
    }
}

//! What a member is given by another: a certificate for its key, and the data keys.
//!
//! In: an authenticated node, the state, this node's keyring. Out: signed certificates, keys as they
//! travel. The names in a certificate are those of the state, whatever the request asks for.

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::Node,
    pb,
};
use zeroize::Zeroizing;

use crate::{
    clock::Clock,
    pki::{Authority, PeerIdentity, PkiError},
    seal::{self, DataKey, Keyring, SealError},
    state::State,
};

/// Why nothing could be given.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The state holds no cluster.
    #[error("the state of this node holds no cluster yet")]
    NoCluster,
    /// The CA's key does not open.
    #[error("the key of the cluster's CA cannot be opened here")]
    CaKey(#[source] SealError),
    /// The certificate cannot be made.
    #[error("the certificate of a node cannot be made")]
    Certificate(#[source] PkiError),
    /// A key that came from another member is none.
    #[error("a data key has 32 bytes")]
    NotAKey,
}

impl From<EnrolError> for ApiError {
    fn from(error: EnrolError) -> Self {
        let code = match error {
            EnrolError::NoCluster => ErrorCode::ClusterUninitialized,
            EnrolError::NotAKey => ErrorCode::ValidationFailed,
            EnrolError::CaKey(_) | EnrolError::Certificate(_) => ErrorCode::Internal,
        };
        let api = Self::new(code, error.to_string());
        match std::error::Error::source(&error) {
            Some(cause) => api.with("cause", cause),
            None => api,
        }
    }
}

/// A certificate (PEM) for the public key of a request, with the names that the state gives the
/// node, and the CA's certificate behind it: a client that pins the CA by fingerprint must be shown
/// it.
///
/// # Errors
/// [`EnrolError`].
pub fn sign(
    state: &State,
    keyring: &Keyring,
    node: &Node,
    csr_pem: &str,
    clock: &dyn Clock,
) -> Result<String, EnrolError> {
    let cluster = state.cluster().ok_or(EnrolError::NoCluster)?;
    let key = keyring.open(seal::CA, &cluster.ca_key).map_err(EnrolError::CaKey)?;
    let authority = Authority::load(&cluster.ca_pem, &key).map_err(EnrolError::Certificate)?;
    let identity = PeerIdentity { cluster: cluster.id, node: node.name.clone(), member: node.id };
    let addresses = [node.facts.api_addr.ip(), node.facts.raft_addr.ip()];
    let signed = authority.sign_csr(csr_pem, &identity, &addresses, clock.now());
    Ok(chained(signed.map_err(EnrolError::Certificate)?, &cluster.ca_pem))
}

/// A certificate with its CA's behind it.
#[must_use]
pub fn chained(mut cert_pem: String, ca_pem: &str) -> String {
    if !cert_pem.ends_with('\n') {
        cert_pem.push('\n');
    }
    cert_pem.push_str(ca_pem);
    cert_pem
}

/// The data keys as they travel to a member.
#[must_use]
pub fn keys(keyring: &Keyring) -> Vec<pb::DataKey> {
    keyring.export().into_iter().map(|k| pb::DataKey { id: k.id, key: k.key.to_vec() }).collect()
}

/// A data key that a member has sent.
///
/// # Errors
/// [`EnrolError::NotAKey`].
pub fn data_key(key: pb::DataKey) -> Result<DataKey, EnrolError> {
    let pb::DataKey { id, key } = key;
    let key = Zeroizing::new(key);
    let bytes: [u8; 32] = key.as_slice().try_into().map_err(|_| EnrolError::NotAKey)?;
    Ok(DataKey { id, key: Zeroizing::new(bytes) })
}

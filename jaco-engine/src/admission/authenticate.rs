//! Who is on the other side of a connection.

use std::net::SocketAddr;

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{ClusterId, Identity, Principal, Role, Timestamp},
};

use crate::{
    pki::{PeerIdentity, same_digest, token_digest},
    state::State,
};

/// What is known of a connection itself, before anything it says is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// The process the node is embedded in.
    InProcess,
    /// The local socket, with the credentials the kernel vouches for.
    Local {
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
        /// Process id, where the kernel knows it.
        pid: Option<i32>,
    },
    /// TLS.
    Remote {
        /// Where it comes from.
        address: SocketAddr,
        /// Whom its certificate names, when it showed one that the cluster's CA signed.
        certificate: Option<PeerIdentity>,
    },
}

/// The token in an `authorization` header.
///
/// # Errors
/// `token_invalid` when the header is none of the form `Bearer <token>`.
pub fn bearer(header: Option<&[u8]>) -> Result<&str, ApiError> {
    let header =
        header.ok_or_else(|| ApiError::new(ErrorCode::TokenInvalid, "no token was given"))?;
    std::str::from_utf8(header)
        .ok()
        .and_then(|h| h.strip_prefix("Bearer ").or_else(|| h.strip_prefix("bearer ")))
        .map(str::trim)
        .ok_or_else(|| {
            ApiError::new(
                ErrorCode::TokenInvalid,
                "the authorization header is not `Bearer <token>`",
            )
        })
}

/// The operator behind a connection: whoever may use the local socket, or the holder of a token.
/// A node's certificate is no operator's.
///
/// # Errors
/// `token_invalid`, `token_revoked` or `token_expired`.
pub fn authenticate(
    state: &State,
    peer: &Peer,
    authorization: Option<&[u8]>,
    now: Timestamp,
) -> Result<Principal, ApiError> {
    match peer {
        Peer::InProcess => Ok(local(None)),
        Peer::Local { uid, .. } => Ok(local(Some(*uid))),
        Peer::Remote { .. } => holder(state, bearer(authorization)?, now),
    }
}

fn local(uid: Option<u32>) -> Principal {
    Principal {
        identity: Identity::local(),
        role: Role::Admin,
        deployments: Vec::new(),
        allow_privileged: true,
        uid,
    }
}

fn holder(state: &State, token: &str, now: Timestamp) -> Result<Principal, ApiError> {
    let unknown = || ApiError::new(ErrorCode::TokenInvalid, "this token is not known");
    let digest = token_digest(token);
    let identity = state.token_holder(&digest).ok_or_else(unknown)?;
    let revoked =
        || ApiError::new(ErrorCode::TokenRevoked, format!("the token of {identity} was revoked"));
    let row = state.token(identity).ok_or_else(revoked)?;
    // A former token of an identity that has a newer one is known by its hash only.
    if !row.hash.as_ref().is_some_and(|hash| same_digest(hash, &digest)) || row.revoked_at.is_some()
    {
        return Err(revoked());
    }
    if let Some(end) = row.expires_at.filter(|end| *end <= now) {
        return Err(ApiError::new(
            ErrorCode::TokenExpired,
            format!("the token of {identity} expired at {end}"),
        ));
    }
    Ok(Principal {
        identity: identity.clone(),
        role: row.role,
        deployments: row.deployments.clone(),
        allow_privileged: row.allow_privileged,
        uid: None,
    })
}

/// Whether a connection shows a certificate of this cluster; an operator token does not count. Which
/// members there are is looked at by whoever answers: a node that lags must still hear its leader.
///
/// # Errors
/// `permission_denied`.
pub fn member(cluster: ClusterId, peer: &Peer) -> Result<(), ApiError> {
    let denied = |why: &str| Err(ApiError::new(ErrorCode::PermissionDenied, why));
    match peer {
        Peer::Remote { certificate: Some(shown), .. } if shown.cluster == cluster => Ok(()),
        Peer::Remote { certificate: Some(_), .. } => {
            denied("the certificate belongs to another cluster")
        }
        _ => denied("only members of the cluster may call this, with their certificate"),
    }
}

//! Credentials, as kept in state: hashes only.

use serde::{Deserialize, Serialize};

use super::{Digest, Identity, Role, Timestamp};

/// An operator token without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorToken {
    /// Name of the holder; unique among tokens that are not revoked.
    pub identity: Identity,
    /// SHA-256 of the token's text; absent in what clients are shown.
    #[serde(skip)]
    pub hash: Option<Digest>,
    /// What the holder may do.
    pub role: Role,
    /// Globs of deployment names it may change; empty means every deployment.
    pub deployments: Vec<String>,
    /// Whether it may admit workloads that equal host access.
    pub allow_privileged: bool,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it stops working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked; kept so that its use is answered with `token_revoked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

/// A single-use join token without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// SHA-256 of the secret.
    pub hash: Digest,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// The node that used it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumed_by: Option<super::NodeName>,
}

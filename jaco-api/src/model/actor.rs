//! Who acts: the authenticated caller and what the audit log keeps of it.

use serde::{Deserialize, Serialize};

use super::{Identity, NodeName};

/// What a caller may do, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads everything except secrets.
    Viewer,
    /// Also changes deployments, where the token's deployment globs allow it.
    Deployer,
    /// Everything.
    Admin,
}

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Name in the audit log.
    pub identity: Identity,
    /// What it may do.
    pub role: Role,
    /// Globs of deployment names it may change; empty means every deployment.
    pub deployments: Vec<String>,
    /// Whether it may admit workloads that equal host access.
    pub allow_privileged: bool,
    /// User id of a caller on the local socket.
    pub uid: Option<u32>,
}

/// Who caused a change: the part of a [`Principal`] that is kept with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Name of the token, `local` or `system`.
    pub identity: Identity,
    /// User id of a caller on the local socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The node that received the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
}

impl Actor {
    /// The cluster itself, acting on `node`.
    #[must_use]
    pub fn system(node: Option<NodeName>) -> Self {
        Self { identity: Identity::system(), uid: None, node }
    }
}

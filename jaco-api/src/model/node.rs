//! Members of the cluster.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::{Deserialize, Serialize};

use super::{NodeId, NodeName, Timestamp};

/// Whether a node may run work.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum NodeStatus {
    /// Admitted, not yet caught up.
    #[default]
    Joining,
    /// Runs work and takes new work.
    Ready,
    /// Keeps its work, takes no new work.
    Cordoned,
    /// Is being emptied.
    Draining,
    /// Its container engine does not answer.
    Degraded,
    /// Its firewall cannot keep deployments apart; takes no work.
    IsolationUnavailable,
    /// Its lease ran out.
    Down,
    /// Is being removed.
    Leaving,
}

/// What a node says of itself; written when it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFacts {
    /// Where the operator API and internal calls are reached.
    pub api_addr: SocketAddr,
    /// Where raft is reached.
    pub raft_addr: SocketAddr,
    /// JACO version.
    pub version: String,
    /// Container engine and its version; absent while the engine does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Platform as Docker writes it, for example `linux/amd64`.
    pub platform: String,
    /// Processor capacity in thousandths of a core.
    pub cpu_millis: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
}

/// A member of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Raft number; never reused.
    pub id: NodeId,
    /// Unique name.
    pub name: NodeName,
    /// Whether it may run work.
    pub status: NodeStatus,
    /// Why it is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Labels usable in placement constraints.
    pub labels: BTreeMap<String, String>,
    /// What the node says of itself.
    #[serde(flatten)]
    pub facts: NodeFacts,
    /// When it became a member.
    pub joined_at: Timestamp,
}

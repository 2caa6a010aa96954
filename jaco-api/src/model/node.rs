//! Members of the cluster.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
};

use serde::{Deserialize, Serialize};

use super::{MeshFacts, NodeId, NodeName, Timestamp};

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

impl NodeStatus {
    /// As it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Ready => "ready",
            Self::Cordoned => "cordoned",
            Self::Draining => "draining",
            Self::Degraded => "degraded",
            Self::IsolationUnavailable => "isolation_unavailable",
            Self::Down => "down",
            Self::Leaving => "leaving",
        }
    }
}

impl fmt::Display for NodeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a node is able to do by itself, whatever operators want of it.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum NodeCondition {
    /// Admitted, not yet able to run work.
    #[default]
    Joining,
    /// Able to run work.
    Ready,
    /// Its container engine does not answer.
    Degraded,
    /// Its firewall cannot keep deployments apart.
    IsolationUnavailable,
    /// Its lease ran out.
    Down,
}

impl NodeCondition {
    /// Whether what runs there counts: the node is heard of and its engine answers.
    #[must_use]
    pub const fn holds_replicas(self) -> bool {
        !matches!(self, Self::Degraded | Self::Down)
    }
}

/// What operators want of a node.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// It takes new work.
    #[default]
    Active,
    /// It keeps its work and takes no new work.
    Cordoned,
    /// Its work is moved to others.
    Draining,
    /// Its work is moved to others, then it is removed.
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
    /// Its end of the mesh; absent while it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<MeshFacts>,
}

/// A member of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Raft number; never reused.
    pub id: NodeId,
    /// Unique name.
    pub name: NodeName,
    /// Whether it may run work: follows from condition and availability, see [`Node::settled`].
    pub status: NodeStatus,
    /// What it is able to do by itself.
    pub condition: NodeCondition,
    /// When it came into this condition, by the leader's clock.
    pub condition_since: Timestamp,
    /// Why it is in this condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What operators want of it.
    pub availability: Availability,
    /// Replicas that cannot move are given up when it is drained or removed.
    #[serde(default)]
    pub forced: bool,
    /// Labels usable in placement constraints.
    pub labels: BTreeMap<String, String>,
    /// What the node says of itself.
    #[serde(flatten)]
    pub facts: NodeFacts,
    /// When it became a member.
    pub joined_at: Timestamp,
    /// Its address among the nodes, of the setting `mesh_pool`; absent until it has been given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh_address: Option<IpAddr>,
}

impl Node {
    /// The same node with the status that follows from its condition and availability. What keeps a
    /// node from its work comes before what operators want of it; only a node that is down cannot
    /// even be emptied in order.
    #[must_use]
    pub fn settled(self) -> Self {
        let status = match (self.condition, self.availability) {
            (NodeCondition::Down, _) => NodeStatus::Down,
            (_, Availability::Leaving) => NodeStatus::Leaving,
            (_, Availability::Draining) => NodeStatus::Draining,
            (NodeCondition::Joining, _) => NodeStatus::Joining,
            (NodeCondition::Degraded, _) => NodeStatus::Degraded,
            (NodeCondition::IsolationUnavailable, _) => NodeStatus::IsolationUnavailable,
            (NodeCondition::Ready, Availability::Cordoned) => NodeStatus::Cordoned,
            (NodeCondition::Ready, Availability::Active) => NodeStatus::Ready,
        };
        Self { status, ..self }
    }
}

impl Node {
    /// Whether operators want its work to move to others.
    #[must_use]
    pub const fn is_being_emptied(&self) -> bool {
        matches!(self.availability, Availability::Draining | Availability::Leaving)
    }

    /// Whether what cannot move is given up: its operators said so.
    #[must_use]
    pub const fn gives_up_replicas(&self) -> bool {
        self.forced && self.is_being_emptied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_down_is_down_whatever_is_wanted_of_it() {
        let facts = NodeFacts {
            api_addr: "10.0.0.1:7000".parse().unwrap(),
            raft_addr: "10.0.0.1:7001".parse().unwrap(),
            version: String::new(),
            engine: None,
            platform: String::new(),
            cpu_millis: 0,
            memory_bytes: 0,
            mesh: None,
        };
        let node = Node {
            id: NodeId(1),
            name: "a".parse().unwrap(),
            status: NodeStatus::Joining,
            condition: NodeCondition::Joining,
            condition_since: Timestamp(0),
            reason: None,
            availability: Availability::Active,
            forced: false,
            labels: BTreeMap::new(),
            facts,
            joined_at: Timestamp(0),
            mesh_address: None,
        };
        for (condition, availability, status) in [
            (NodeCondition::Ready, Availability::Active, NodeStatus::Ready),
            (NodeCondition::Ready, Availability::Cordoned, NodeStatus::Cordoned),
            (NodeCondition::Degraded, Availability::Cordoned, NodeStatus::Degraded),
            (NodeCondition::Degraded, Availability::Draining, NodeStatus::Draining),
            (NodeCondition::Down, Availability::Leaving, NodeStatus::Down),
            (NodeCondition::Joining, Availability::Leaving, NodeStatus::Leaving),
        ] {
            let node = Node { condition, availability, ..node.clone() }.settled();
            assert_eq!(node.status, status, "{condition:?} {availability:?}");
        }
    }
}

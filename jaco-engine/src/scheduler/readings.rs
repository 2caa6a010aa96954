//! What the leader measured itself and nobody's state holds.

use std::collections::BTreeMap;

use jaco_api::model::{Node, NodeId, Timestamp};

/// Input of a plan beside the state. Without any, nodes are equally loaded and are lost since the
/// time that the state tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readings {
    /// How loaded nodes are, in thousandths: tells apart those that are equal otherwise.
    pub pressure: BTreeMap<NodeId, u32>,
    /// Since when this leader has seen each lost node in its present condition, by a clock of its own
    /// that does not jump, as a time of the plan's `now`.
    pub lost_since: BTreeMap<NodeId, Timestamp>,
}

impl Readings {
    /// Pressure of a node; none is known to be none.
    pub(super) fn pressure(&self, node: NodeId) -> u32 {
        self.pressure.get(&node).copied().unwrap_or(0)
    }

    /// Since when a node has been lost, as far as waiting is concerned: the earlier of both times,
    /// so that neither another leader nor a clock that was put back begins the wait anew.
    pub(super) fn lost_since(&self, node: &Node) -> Timestamp {
        let seen = self.lost_since.get(&node.id).copied();
        seen.map_or(node.condition_since, |seen| seen.min(node.condition_since))
    }

    /// Since when a node has certainly been lost: by this leader's own clock alone, which no skew
    /// between leaders shortens.
    pub(super) fn certainly_lost_since(&self, node: &Node) -> Timestamp {
        self.lost_since.get(&node.id).copied().unwrap_or(node.condition_since)
    }
}

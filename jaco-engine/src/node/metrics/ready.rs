//! Whether a node does its work. Pure.

use jaco_api::model::{Node, NodeCondition};

use crate::{node::readiness::Readiness, raft::RaftStatus};

/// Why a node does not do its work, in words for operators.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotReady {
    /// It was not made a member yet, or is none any more.
    #[error("the node belongs to no cluster yet")]
    NoCluster,
    /// It writes and applies nothing any more.
    #[error("the node has to be restarted: {0}")]
    Fault(String),
    /// Since its start it has not come to where it can work.
    #[error("the node is not ready yet: {0}")]
    Waiting(String),
    /// What it knows of the cluster may be out of date.
    #[error("the node hears of no leader")]
    NoLeader,
    /// It cannot run work.
    #[error("the node is {condition}{}", .reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default())]
    Condition {
        /// In which condition it is.
        condition: &'static str,
        /// Why.
        reason: Option<String>,
    },
}

/// What is known of a node by itself.
pub(super) struct Sight<'s> {
    /// How far it has come since its start.
    pub(super) start: &'s Readiness,
    pub(super) raft: &'s RaftStatus,
    /// Its row.
    pub(super) node: Option<&'s Node>,
    /// Whether its lease holds.
    pub(super) heard: bool,
}

/// A member is ready when it has got through its start, hears of the leader, and can run work. What operators
/// want of it does not matter: a cordoned node does what it is asked to.
pub(super) fn check(sight: &Sight<'_>) -> Result<(), NotReady> {
    if let Some(fault) = &sight.raft.fault {
        return Err(NotReady::Fault(fault.to_string()));
    }
    match sight.start {
        Readiness::Alone => return Err(NotReady::NoCluster),
        Readiness::Waiting(what) => return Err(NotReady::Waiting(what.clone())),
        Readiness::Ready => {}
    }
    if !sight.heard || sight.raft.leader.is_none() {
        return Err(NotReady::NoLeader);
    }
    let Some(node) = sight.node else {
        return Err(NotReady::Waiting("the cluster does not know it".to_owned()));
    };
    let condition = match node.condition {
        NodeCondition::Ready => return Ok(()),
        NodeCondition::Joining => "joining",
        NodeCondition::Degraded => "degraded",
        NodeCondition::IsolationUnavailable => "isolation_unavailable",
        NodeCondition::Down => "down",
    };
    Err(NotReady::Condition { condition, reason: node.reason.clone() })
}

#[cfg(test)]
mod tests {
    use jaco_api::model::{Availability, NodeId};

    use super::*;
    use crate::{raft::RaftError, testing::builders::node};

    /// What is said of a node that is ready but for this.
    fn asked(
        change: impl FnOnce(&mut Readiness, &mut RaftStatus, &mut Option<Node>, &mut bool),
    ) -> Result<(), String> {
        let mut raft = RaftStatus { leader: Some(NodeId(2)), ..RaftStatus::default() };
        let ready = Node { condition: NodeCondition::Ready, reason: None, ..node(1) };
        let (mut start, mut row, mut heard) = (Readiness::Ready, Some(ready), true);
        change(&mut start, &mut raft, &mut row, &mut heard);
        let sight = Sight { start: &start, raft: &raft, node: row.as_ref(), heard };
        check(&sight).map_err(|why| why.to_string())
    }

    #[test]
    fn a_node_is_ready_when_it_can_do_its_work() {
        assert_eq!(asked(|_, _, _, _| {}), Ok(()));
        let cordoned = asked(|_, _, row, _| {
            row.as_mut().unwrap().availability = Availability::Cordoned;
        });
        assert_eq!(cordoned, Ok(()));
    }

    #[test]
    fn whatever_is_in_the_way_is_said() {
        let said = |told: Result<(), String>| told.unwrap_err();
        let fault = |raft: &mut RaftStatus| raft.fault = Some(RaftError::AlreadyInitialized.into());
        assert!(
            said(asked(|_, raft, _, _| fault(raft))).starts_with("the node has to be restarted")
        );
        assert_eq!(
            said(asked(|start, _, _, _| *start = Readiness::Alone)),
            "the node belongs to no cluster yet"
        );
        assert_eq!(
            said(asked(|start, _, _, _| *start = Readiness::Waiting("no way to b".to_owned()))),
            "the node is not ready yet: no way to b"
        );
        assert!(said(asked(|_, _, row, _| *row = None)).contains("does not know it"));
        let alone = "the node hears of no leader";
        assert_eq!(said(asked(|_, raft, _, _| raft.leader = None)), alone);
        assert_eq!(said(asked(|_, _, _, heard| *heard = false)), alone);
        let broken = asked(|_, _, row, _| {
            let row = row.as_mut().unwrap();
            row.condition = NodeCondition::Degraded;
            row.reason = Some("the engine does not answer".to_owned());
        });
        assert_eq!(said(broken), "the node is degraded: the engine does not answer");
    }
}

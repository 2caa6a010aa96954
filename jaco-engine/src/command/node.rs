//! Members: what they are and what they say of themselves.

use jaco_api::{
    error::ErrorCode,
    model::{AuditKind, Node, NodeFacts, NodeId, NodeStatus},
};

use super::{Outcome, rejection::Rejection};
use crate::state::{Transaction, payload};

/// What a node is or says of itself has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateNode {
    /// The node.
    pub node: NodeId,
    /// New facts, if any.
    pub facts: Option<NodeFacts>,
    /// New status with its reason, if any.
    pub status: Option<(NodeStatus, Option<String>)>,
}

impl UpdateNode {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let old = tx.view().node(self.node).cloned().ok_or_else(|| {
            Rejection::new(ErrorCode::UnknownNode, format!("there is no node {}", self.node))
        })?;
        let mut new = Node::clone(&old);
        if let Some(facts) = &self.facts {
            new.facts = facts.clone();
        }
        if let Some((status, reason)) = &self.status {
            new.status = *status;
            new.reason = reason.clone();
        }
        if new == *old {
            return Ok(Outcome::Done);
        }
        if let Some(kind) = audited(old.status, new.status) {
            let mut facts = payload([("node", new.name.to_string())]);
            facts.extend(new.reason.clone().map(|reason| ("reason".to_owned(), reason)));
            tx.audit(kind, facts);
        }
        tx.put_node(new);
        Ok(Outcome::Done)
    }
}

/// The audit event of a change of status, where there is one.
fn audited(old: NodeStatus, new: NodeStatus) -> Option<AuditKind> {
    match (old, new) {
        (old, new) if old == new => None,
        (_, NodeStatus::Down) => Some(AuditKind::NodeDown),
        (NodeStatus::Down, _) => Some(AuditKind::NodeUp),
        (_, NodeStatus::Draining) => Some(AuditKind::NodeDrain),
        _ => None,
    }
}

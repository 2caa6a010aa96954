//! Members: what they are, what they say of themselves and what operators want of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jaco_api::{
    error::ErrorCode,
    model::{
        AuditKind, Availability, Intent, Node, NodeCondition, NodeFacts, NodeId, Observation,
        Reason, Replica, ReplicaState,
    },
};

use super::{Outcome, rejection::Rejection};
use crate::state::{Cluster, Transaction, payload};

/// What a node says of itself, or the leader of it, has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateNode {
    /// The node.
    pub node: NodeId,
    /// New facts, if any.
    pub facts: Option<NodeFacts>,
    /// New condition with its reason, if any.
    pub condition: Option<(NodeCondition, Option<String>)>,
}

/// What operators want of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAvailability {
    /// The node.
    pub node: NodeId,
    /// What is wanted.
    pub availability: Availability,
    /// Replicas that cannot move are given up.
    pub forced: bool,
}

/// Other labels of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelNode {
    /// The node.
    pub node: NodeId,
    /// Labels with their new values.
    pub set: BTreeMap<String, String>,
    /// Labels that go.
    pub remove: BTreeSet<String>,
}

/// The end of a membership. Proposed by the leader once the node has no part in raft any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveNode {
    /// The node.
    pub node: NodeId,
}

fn member(tx: &Transaction<'_>, id: NodeId) -> Result<Node, Rejection> {
    tx.view()
        .node(id)
        .map(|n| Node::clone(n))
        .ok_or_else(|| Rejection::new(ErrorCode::UnknownNode, format!("there is no node {id}")))
}

impl UpdateNode {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let old = member(tx, self.node)?;
        let mut new = old.clone();
        if let Some(facts) = &self.facts {
            new.facts = facts.clone();
        }
        if let Some((condition, reason)) = &self.condition {
            if *condition != old.condition {
                new.condition_since = tx.at();
            }
            new.condition = *condition;
            new.reason = reason.clone();
        }
        if new == old {
            return Ok(Outcome::Done);
        }
        if new.mesh_address.is_none() {
            // A member from before nodes had addresses among themselves.
            new.mesh_address = tx.view().next_mesh_address();
        }
        if let Some(kind) = audited(old.condition, new.condition) {
            let mut facts = payload([("node", new.name.to_string())]);
            facts.extend(new.reason.clone().map(|reason| ("reason".to_owned(), reason)));
            tx.audit(kind, facts);
        }
        if let Some(facts) = rotated(&old, &new) {
            tx.audit(AuditKind::MeshKeyRotated, facts);
        }
        let (held, holds) = (old.condition.holds_replicas(), new.condition.holds_replicas());
        let lost = held && !holds;
        let why = lost.then(|| why_lost(&new));
        tx.put_node(new);
        if let Some(why) = why {
            lose_replicas(tx, self.node, &why);
        } else if held != holds {
            // A plan that takes them for lost comes too late.
            let there: BTreeSet<_> =
                tx.view().replicas_on(self.node).map(|r| r.id.deployment.clone()).collect();
            tx.outdate_plans(there);
        }
        Ok(Outcome::Done)
    }
}

/// What is told of a node that has another key in the mesh. The first one is no news.
fn rotated(old: &Node, new: &Node) -> Option<BTreeMap<String, String>> {
    let (former, present) = (old.facts.mesh.as_ref()?, new.facts.mesh.as_ref()?);
    (former.public_key != present.public_key).then(|| {
        payload([
            ("node", new.name.to_string()),
            ("former", former.public_key.to_string()),
            ("public_key", present.public_key.to_string()),
        ])
    })
}

/// The audit event of a change of condition, where there is one.
fn audited(old: NodeCondition, new: NodeCondition) -> Option<AuditKind> {
    match (old, new) {
        (old, new) if old == new => None,
        (_, NodeCondition::Down) => Some(AuditKind::NodeDown),
        (NodeCondition::Down, _) => Some(AuditKind::NodeUp),
        (_, NodeCondition::IsolationUnavailable) => Some(AuditKind::IsolationUnavailable),
        _ => None,
    }
}

fn why_lost(node: &Node) -> String {
    match node.condition {
        NodeCondition::Down => format!("{} is down", node.name),
        _ => format!("the container engine of {} does not answer", node.name),
    }
}

/// Nothing is known any more of what runs on a node. What it sees when it is back is reported again,
/// because it differs from this.
fn lose_replicas(tx: &mut Transaction<'_>, node: NodeId, why: &str) {
    let there: Vec<_> = tx.view().replicas_on(node).cloned().collect();
    for row in there {
        if row.has_ended() {
            continue;
        }
        let observed = Observation {
            generation: row.generation,
            state: ReplicaState::Lost,
            reason: Some(Reason { code: None, message: why.to_owned() }),
            ..row.observed.clone()
        };
        let lost = Replica { observed, observed_at: tx.at(), ..Replica::clone(&row) };
        tx.replica_event(&lost);
        tx.put_replica(lost);
    }
}

impl SetAvailability {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let old = member(tx, self.node)?;
        if old.availability == Availability::Leaving
            && tx.view().nodes().all(|n| n.availability == Availability::Leaving)
        {
            return Err(Rejection::conflict(format!("{} is the last member", old.name)));
        }
        let others = tx.view().nodes().filter(|n| n.id != self.node);
        let stays = others.filter(|n| n.availability != Availability::Leaving).count();
        if self.availability == Availability::Leaving && stays == 0 {
            return Err(Rejection::conflict(format!(
                "{} is the last member: a cluster without nodes is none",
                old.name
            )));
        }
        let new = Node { availability: self.availability, forced: self.forced, ..old.clone() };
        if new == old {
            return Ok(Outcome::Done);
        }
        let facts = payload([
            ("node", new.name.to_string()),
            ("availability", format!("{:?}", self.availability).to_lowercase()),
            ("forced", self.forced.to_string()),
        ]);
        tx.audit(AuditKind::NodeDrain, facts);
        tx.put_node(new);
        Ok(Outcome::Done)
    }
}

impl LabelNode {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let old = member(tx, self.node)?;
        let mut labels = old.labels.clone();
        labels.retain(|key, _| !self.remove.contains(key));
        labels.extend(self.set.clone());
        if labels == old.labels {
            return Ok(Outcome::Done);
        }
        let shown = labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
        let facts =
            payload([("node", old.name.to_string()), ("key", "labels".to_owned()), ("new", shown)]);
        tx.audit(AuditKind::SettingsChanged, facts);
        tx.put_node(Node { labels, ..old });
        Ok(Outcome::Done)
    }
}

impl RemoveNode {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let Some(row) = tx.view().node(self.node).cloned() else { return Ok(Outcome::Done) };
        if row.availability != Availability::Leaving {
            return Err(Rejection::conflict(format!("{} is to stay", row.name)));
        }
        let there: Vec<_> = tx.view().replicas_on(self.node).cloned().collect();
        // What a job has done stays done, and what became of a run stays known: the row outlives the
        // node.
        let done = |r: &Replica| r.is_completed() || (r.tick.is_some() && r.has_ended());
        for row in there.iter().filter(|r| r.intent == Intent::Remove || !done(r)) {
            tx.remove_replica(&row.id);
        }
        let volumes: Vec<_> =
            tx.view().volumes().filter(|v| v.node == self.node).map(|v| v.name.clone()).collect();
        for name in &volumes {
            tx.remove_volume(name, self.node);
        }
        tx.remove_node(self.node);
        if let Some(cluster) = tx.view().cluster().cloned() {
            tx.put_cluster(Cluster { key_due: true, ..Arc::unwrap_or_clone(cluster) });
        }
        tx.audit(
            AuditKind::NodeRemove,
            payload([
                ("node", row.name.to_string()),
                ("replicas", there.len().to_string()),
                ("volumes", volumes.join(", ")),
            ]),
        );
        super::delete::finish_all(tx);
        Ok(Outcome::Done)
    }
}

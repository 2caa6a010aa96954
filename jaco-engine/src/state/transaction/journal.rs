//! What happened: audit events, replica events and outcomes, each within its bound.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use jaco_api::model::{
    AuditEvent, AuditKind, DeploymentName, NodeId, NodeName, Replica, ReplicaEvent, ReplicaId,
};

use super::{Transaction, drop_oldest};
use crate::{
    command::Outcome,
    state::{Cluster, Remembered, view::least_replica},
};

/// How many events of a replica are kept.
const EVENTS_PER_REPLICA: usize = 20;
/// How many events of a deployment's former replicas are kept together.
const EVENTS_OF_DEPARTED: usize = 200;
/// How many outcomes of client requests are kept.
const REMEMBERED: usize = 1024;

impl Transaction<'_> {
    /// Adds an audit event; the payload never holds a secret.
    pub(crate) fn audit(&mut self, kind: AuditKind, payload: BTreeMap<String, String>) {
        let Some(sequence) = self.next_sequence(|cluster| &mut cluster.last_audit) else { return };
        let event = AuditEvent { sequence, at: self.at, kind, actor: self.actor.clone(), payload };
        self.state.audit.put(sequence, Arc::new(event));
        self.trim_audit();
    }

    pub(super) fn trim_audit(&mut self) {
        let kept = self.state.settings.audit_retention as usize;
        while self.state.audit.len() > kept {
            let Some(first) = self.state.audit.iter().next().map(|(seq, _)| *seq) else { return };
            self.state.audit.remove(&first);
        }
    }

    /// Adds an event about a replica as it is now.
    pub(crate) fn replica_event(&mut self, replica: &Replica) {
        let Some(sequence) = self.next_sequence(|cluster| &mut cluster.last_event) else { return };
        let event = ReplicaEvent {
            sequence,
            at: self.at,
            replica: replica.id.clone(),
            node: self.node_name(replica.node),
            generation: replica.generation,
            state: replica.observed.state,
            reason: replica.observed.reason.clone(),
            exit_code: replica.observed.exit_code,
        };
        self.state.events.put(sequence, Arc::new(event));
        self.state.events_by_replica.insert((replica.id.clone(), sequence));
        let kept: Vec<_> = self.state.events_of(&replica.id).map(|e| e.sequence).collect();
        for old in kept.iter().take(kept.len().saturating_sub(EVENTS_PER_REPLICA)) {
            self.remove_event(replica.id.clone(), *old);
        }
    }

    pub(super) fn node_name(&self, id: NodeId) -> NodeName {
        self.state.node(id).map(|n| n.name.clone()).unwrap_or_else(|| {
            NodeName::new(format!("node-{id}")).expect("`node-<number>` is a DNS label")
        })
    }

    fn next_sequence(&mut self, counter: impl Fn(&mut Cluster) -> &mut u64) -> Option<u64> {
        let counter = counter(Arc::make_mut(self.state.cluster.as_mut()?));
        *counter += 1;
        Some(*counter)
    }

    pub(super) fn remove_event(&mut self, replica: ReplicaId, sequence: u64) {
        self.state.events.remove(&sequence);
        self.state.events_by_replica.remove(&(replica, sequence));
    }

    pub(super) fn events_of_deployment(&self, name: &DeploymentName) -> Vec<(ReplicaId, u64)> {
        let first = ReplicaId { deployment: name.clone(), ..least_replica() };
        self.state
            .events_by_replica
            .range((Bound::Included((first, 0)), Bound::Unbounded))
            .take_while(|(replica, _)| replica.deployment == *name)
            .cloned()
            .collect()
    }

    pub(super) fn prune_events(&mut self, name: &DeploymentName) {
        let mut departed = self.events_of_deployment(name);
        departed.retain(|(replica, _)| !self.state.replicas.contains(replica));
        departed.sort_by_key(|(_, sequence)| *sequence);
        let excess = departed.len().saturating_sub(EVENTS_OF_DEPARTED);
        for (replica, sequence) in departed.into_iter().take(excess) {
            self.remove_event(replica, sequence);
        }
    }

    /// Keeps the outcome of a client's request.
    pub(crate) fn remember(&mut self, request: &str, outcome: &Outcome) {
        let row = Remembered { index: self.state.index, outcome: outcome.clone() };
        self.state.requests.put(request.to_owned(), Arc::new(row));
        drop_oldest(&mut self.state.requests, REMEMBERED, |row| row.index);
    }
}

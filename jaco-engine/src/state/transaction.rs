//! Changing the state: rows in, indexes kept.
//!
//! A transaction owns a working copy. Whatever is put into it or taken out of it keeps the indexes,
//! the reference counts of documents, the versions of deployments and the bounds of the growing
//! tables, so that no command can forget them. Dropped without [`Transaction::commit`], it has
//! changed nothing. It decides nothing: that is the commands' part.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use jaco_api::model::{
    Actor, AuditEvent, AuditKind, Deployment, DeploymentName, Digest, Intent, Node, NodeId,
    NodeName, OperatorToken, Replica, ReplicaEvent, ReplicaId, Revision, Sealed, Settings,
    Timestamp, Volume,
};

use super::{
    Cluster, Document, Remembered, RetiredToken, State, Table, index::Claims, view::least_replica,
};
use crate::command::Outcome;

/// How many events of a replica are kept.
const EVENTS_PER_REPLICA: usize = 20;
/// How many events of a deployment's former replicas are kept together.
const EVENTS_OF_DEPARTED: usize = 200;
/// How many outcomes of client requests are kept.
const REMEMBERED: usize = 1024;
/// How many replaced token hashes are kept.
const RETIRED: usize = 1024;

/// An audit payload from its pairs.
pub(crate) fn payload<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// A working copy of the state.
pub(crate) struct Transaction<'a> {
    state: State,
    at: Timestamp,
    actor: &'a Actor,
    /// Documents that came with the command; one is stored when something refers to it.
    offered: BTreeMap<Digest, Sealed>,
    /// Deployments with a change: each gets a new version.
    touched: BTreeSet<DeploymentName>,
    /// Deployments that lost a replica: their events are pruned.
    departed: BTreeSet<DeploymentName>,
}

impl<'a> Transaction<'a> {
    /// A working copy for the entry at `index`.
    pub(crate) fn begin(state: &State, index: u64, at: Timestamp, actor: &'a Actor) -> Self {
        Self {
            state: State { index, ..state.clone() },
            at,
            actor,
            offered: BTreeMap::new(),
            touched: BTreeSet::new(),
            departed: BTreeSet::new(),
        }
    }

    /// The state as it is inside this transaction.
    pub(crate) fn view(&self) -> &State {
        &self.state
    }
    /// When the command was proposed.
    pub(crate) fn at(&self) -> Timestamp {
        self.at
    }
    /// Who proposed the command.
    pub(crate) fn actor(&self) -> &'a Actor {
        self.actor
    }

    /// The changed state.
    pub(crate) fn commit(mut self) -> State {
        for name in std::mem::take(&mut self.departed) {
            self.prune_events(&name);
        }
        for name in std::mem::take(&mut self.touched) {
            if let Some(row) = self.state.deployments.find(&name) {
                // The raft index: it never repeats, not even when a deployment is made again.
                let row = Deployment { version: self.state.index, ..Deployment::clone(row) };
                self.state.deployments.put(name, Arc::new(row));
            }
        }
        self.state
    }

    // --- cluster, settings, nodes, tokens ---------------------------------------------------

    /// Adds the row that exists once a cluster is initialised.
    pub(crate) fn put_cluster(&mut self, cluster: Cluster) {
        self.state.cluster = Some(Arc::new(cluster));
    }

    /// Replaces the settings and takes out what they no longer keep.
    pub(crate) fn put_settings(&mut self, settings: Settings) {
        self.state.settings = Arc::new(settings);
        self.trim_audit();
        let names: Vec<_> = self.state.deployments.iter().map(|(n, _)| n.clone()).collect();
        for name in names {
            self.trim_revisions(&name);
        }
    }

    /// Adds or replaces a member.
    pub(crate) fn put_node(&mut self, node: Node) {
        let (id, name) = (node.id, node.name.clone());
        if let Some(old) = self.state.nodes.put(id, Arc::new(node)) {
            self.state.node_names.remove(&old.name);
        }
        self.state.node_names.insert(name, id);
    }

    /// Adds or replaces the token of its holder; the hash of a replaced one is retired.
    pub(crate) fn put_token(&mut self, token: OperatorToken) {
        let (identity, hash) = (token.identity.clone(), token.hash);
        let old = self.state.tokens.put(identity.clone(), Arc::new(token));
        if let Some(former) = old.and_then(|t| t.hash).filter(|former| Some(*former) != hash) {
            self.state.token_hashes.remove(&former);
            let index = self.state.index;
            let row = RetiredToken { identity: identity.clone(), index };
            self.state.retired_tokens.put(former, Arc::new(row));
            drop_oldest(&mut self.state.retired_tokens, RETIRED, |row| row.index);
        }
        if let Some(hash) = hash {
            self.state.token_hashes.insert(hash, identity);
        }
    }

    // --- documents --------------------------------------------------------------------------

    /// Makes documents available to the revisions this command adds.
    pub(crate) fn offer_documents(&mut self, documents: &BTreeMap<Digest, Sealed>) {
        self.offered.extend(documents.iter().map(|(digest, sealed)| (*digest, sealed.clone())));
    }

    /// Whether a revision or replica may refer to this document.
    pub(crate) fn has_document(&self, digest: &Digest) -> bool {
        self.state.documents.contains(digest) || self.offered.contains_key(digest)
    }

    fn hold(&mut self, digest: &Digest) {
        let row = match self.state.documents.find(digest) {
            Some(row) => Document { references: row.references + 1, sealed: row.sealed.clone() },
            None => match self.offered.get(digest) {
                Some(sealed) => Document { references: 1, sealed: sealed.clone() },
                None => return debug_assert!(false, "document {digest} is referred to but absent"),
            },
        };
        self.state.documents.put(*digest, Arc::new(row));
    }

    fn release(&mut self, digest: &Digest) {
        let Some(row) = self.state.documents.find(digest) else { return };
        if row.references <= 1 {
            self.state.documents.remove(digest);
        } else {
            let row = Document { references: row.references - 1, sealed: row.sealed.clone() };
            self.state.documents.put(*digest, Arc::new(row));
        }
    }

    // --- deployments ------------------------------------------------------------------------

    /// Adds or replaces a deployment. The revision it names is put before it.
    pub(crate) fn put_deployment(&mut self, row: Deployment) {
        let name = row.name.clone();
        if self.state.deployments.find(&name).is_some_and(|old| **old == row) {
            return;
        }
        let before = self.state.claims(&name);
        self.state.deployments.put(name.clone(), Arc::new(row));
        self.settle_claims(&name, &before);
        self.trim_revisions(&name);
        self.touched.insert(name);
    }

    /// Takes a deployment out, with its revisions and events. Its replicas are gone already; volume
    /// rows stay, because the data does.
    pub(crate) fn remove_deployment(&mut self, name: &DeploymentName) {
        let before = self.state.claims(name);
        self.state.deployments.remove(name);
        self.settle_claims(name, &before);
        let numbers: Vec<_> = self.state.revisions(name).map(|r| r.number).collect();
        for number in numbers {
            self.remove_revision(name, number);
        }
        for (replica, sequence) in self.events_of_deployment(name) {
            self.remove_event(replica, sequence);
        }
        self.touched.remove(name);
        self.departed.remove(name);
    }

    /// Adds a revision, or replaces one whose epochs have risen.
    pub(crate) fn put_revision(&mut self, name: &DeploymentName, row: Revision) {
        for service in row.services.values() {
            self.hold(&service.container);
        }
        let before = self.state.claims(name);
        let old = self.state.revisions.put((name.clone(), row.number), Arc::new(row));
        self.settle_claims(name, &before);
        for service in old.iter().flat_map(|r| r.services.values()) {
            self.release(&service.container);
        }
        self.touched.insert(name.clone());
    }

    fn remove_revision(&mut self, name: &DeploymentName, number: u64) {
        if let Some(old) = self.state.revisions.remove(&(name.clone(), number)) {
            for service in old.services.values() {
                self.release(&service.container);
            }
        }
    }

    /// Takes the oldest revisions out, but never one in force or one that a rollout needs.
    fn trim_revisions(&mut self, name: &DeploymentName) {
        let Some(deployment) = self.state.deployments.find(name) else { return };
        let mut needed = BTreeSet::from([deployment.revision]);
        if let Some(rollout) = deployment.rollout.as_ref().filter(|r| r.ended_at.is_none()) {
            needed.extend([rollout.from, rollout.to]);
        }
        let numbers: Vec<_> = self.state.revisions(name).map(|r| r.number).collect();
        let kept = self.state.settings.revision_retention as usize;
        let excess = numbers.len().saturating_sub(kept);
        for number in numbers.into_iter().filter(|n| !needed.contains(n)).take(excess) {
            self.remove_revision(name, number);
        }
    }

    fn settle_claims(&mut self, name: &DeploymentName, before: &Claims) {
        let after = self.state.claims(name);
        if after != *before {
            self.state.release_claims(name, before);
            self.state.take_claims(name, after);
        }
    }

    // --- replicas and volumes ---------------------------------------------------------------

    /// Adds or replaces a replica.
    pub(crate) fn put_replica(&mut self, row: Replica) {
        let id = row.id.clone();
        let old = self.state.replicas.find(&id).cloned();
        if old.as_deref() == Some(&row) {
            return;
        }
        let row = Arc::new(row);
        self.count_replica(&row);
        self.state.replicas.put(id.clone(), Arc::clone(&row));
        if let Some(old) = old {
            self.discount_replica(&old);
        }
        self.state.replicas_by_node.insert((row.node, id.clone()));
        self.touched.insert(id.deployment);
    }

    /// Takes a replica out; its events stay for a while.
    pub(crate) fn remove_replica(&mut self, id: &ReplicaId) {
        if let Some(old) = self.state.replicas.remove(id) {
            self.discount_replica(&old);
            self.touched.insert(id.deployment.clone());
            self.departed.insert(id.deployment.clone());
        }
    }

    fn count_replica(&mut self, row: &Replica) {
        self.hold(&row.container);
        if let Some(preparation) = &row.preparation {
            self.hold(&preparation.container);
        }
        if row.intent == Intent::Run {
            *self.state.load.entry(row.node).or_insert(0) += 1;
        }
    }

    fn discount_replica(&mut self, row: &Replica) {
        self.release(&row.container);
        if let Some(preparation) = &row.preparation {
            self.release(&preparation.container);
        }
        self.state.replicas_by_node.remove(&(row.node, row.id.clone()));
        if row.intent == Intent::Run {
            match self.state.load.get(&row.node).copied() {
                Some(n) if n > 1 => self.state.load.insert(row.node, n - 1),
                _ => self.state.load.remove(&row.node),
            };
        }
    }

    /// Adds or replaces a volume.
    pub(crate) fn put_volume(&mut self, row: Volume) {
        self.touched.insert(row.deployment.clone());
        self.state.volumes.put((row.name.clone(), row.node), Arc::new(row));
    }

    /// Takes a volume out.
    pub(crate) fn remove_volume(&mut self, name: &str, node: NodeId) {
        if let Some(old) = self.state.volumes.remove(&(name.to_owned(), node)) {
            self.touched.insert(old.deployment.clone());
        }
    }

    // --- what happened ----------------------------------------------------------------------

    /// Adds an audit event; the payload never holds a secret.
    pub(crate) fn audit(&mut self, kind: AuditKind, payload: BTreeMap<String, String>) {
        let Some(sequence) = self.next_sequence(|cluster| &mut cluster.last_audit) else { return };
        let event = AuditEvent { sequence, at: self.at, kind, actor: self.actor.clone(), payload };
        self.state.audit.put(sequence, Arc::new(event));
        self.trim_audit();
    }

    fn trim_audit(&mut self) {
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

    fn node_name(&self, id: NodeId) -> NodeName {
        self.state.node(id).map(|n| n.name.clone()).unwrap_or_else(|| {
            NodeName::new(format!("node-{id}")).expect("`node-<number>` is a DNS label")
        })
    }

    fn next_sequence(&mut self, counter: impl Fn(&mut Cluster) -> &mut u64) -> Option<u64> {
        let counter = counter(Arc::make_mut(self.state.cluster.as_mut()?));
        *counter += 1;
        Some(*counter)
    }

    fn remove_event(&mut self, replica: ReplicaId, sequence: u64) {
        self.state.events.remove(&sequence);
        self.state.events_by_replica.remove(&(replica, sequence));
    }

    fn events_of_deployment(&self, name: &DeploymentName) -> Vec<(ReplicaId, u64)> {
        let first = ReplicaId { deployment: name.clone(), ..least_replica() };
        self.state
            .events_by_replica
            .range((Bound::Included((first, 0)), Bound::Unbounded))
            .take_while(|(replica, _)| replica.deployment == *name)
            .cloned()
            .collect()
    }

    fn prune_events(&mut self, name: &DeploymentName) {
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

/// Takes rows out until at most `kept` are left, those with the lowest `age` first.
fn drop_oldest<K: Ord + Clone, V>(table: &mut Table<K, V>, kept: usize, age: impl Fn(&V) -> u64) {
    while table.len() > kept {
        let oldest = table.iter().min_by_key(|(_, row)| age(row)).map(|(key, _)| key.clone());
        let Some(key) = oldest else { return };
        table.remove(&key);
    }
}

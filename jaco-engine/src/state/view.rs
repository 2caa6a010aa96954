//! Reading the state.

use std::{collections::BTreeSet, ops::Bound, sync::Arc};

use jaco_api::model::{
    AuditEvent, Deployment, DeploymentName, Digest, FileId, Identity, Intent, JoinToken, NamedFile,
    Node, NodeId, NodeName, OperatorToken, PlannedService, Protocol, Replica, ReplicaEvent,
    ReplicaId, Revision, RouteSpec, Sealed, ServiceName, Settings, Slot, Volume,
};

use super::{Cluster, State};
use crate::command::Outcome;

impl State {
    /// Raft index of the last applied entry.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }
    /// The same state after an entry that changes nothing in it.
    #[must_use]
    pub fn at_index(&self, index: u64) -> Self {
        Self { index, ..self.clone() }
    }
    /// The outcome of a client request that was applied before.
    #[must_use]
    pub fn remembered(&self, request: &str) -> Option<&Outcome> {
        self.requests.find(request).map(|row| &row.outcome)
    }
    /// The cluster; absent before init.
    #[must_use]
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.cluster.as_ref()
    }
    /// Cluster-wide settings.
    #[must_use]
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }
    /// Members in order of their numbers.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = &Arc<Node>> {
        self.nodes.iter().map(|(_, n)| n)
    }
    /// A member by number.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Arc<Node>> {
        self.nodes.find(&id)
    }
    /// A member by name.
    #[must_use]
    pub fn node_named(&self, name: &NodeName) -> Option<&Arc<Node>> {
        self.node_names.get(name).and_then(|id| self.nodes.find(id))
    }
    /// How many replicas are to run on a node.
    #[must_use]
    pub fn load(&self, node: NodeId) -> u32 {
        self.load.get(&node).copied().unwrap_or(0)
    }
    /// Secrets and configs of the cluster, by kind and name.
    pub fn files(&self) -> impl DoubleEndedIterator<Item = &Arc<NamedFile>> {
        self.files.iter().map(|(_, f)| f)
    }
    /// A secret or config of the cluster.
    #[must_use]
    pub fn file(&self, id: &FileId) -> Option<&Arc<NamedFile>> {
        self.files.find(id)
    }
    /// The services that use a secret or config by the revisions in force.
    pub fn users_of(&self, id: &FileId) -> impl Iterator<Item = (&DeploymentName, &ServiceName)> {
        self.deployments().flat_map(move |deployment| {
            let services = self.revision_in_force(&deployment.name).map(|r| r.services.iter());
            let using = move |service: &PlannedService| service.schedule.files.contains(id);
            services
                .into_iter()
                .flatten()
                .filter(move |(_, service)| using(service))
                .map(|(name, _)| (&deployment.name, name))
        })
    }
    /// Operator tokens by holder, revoked ones included.
    pub fn tokens(&self) -> impl DoubleEndedIterator<Item = &Arc<OperatorToken>> {
        self.tokens.iter().map(|(_, t)| t)
    }
    /// The holder of a token with this hash, whatever has become of the token.
    #[must_use]
    pub fn token_holder(&self, hash: &Digest) -> Option<&Identity> {
        self.token_hashes
            .get(hash)
            .or_else(|| self.retired_tokens.find(hash).map(|retired| &retired.identity))
    }
    /// What a presented token is, by its hash: O(log n), and the caller still compares the hash in
    /// constant time and looks at expiry and revocation.
    #[must_use]
    pub fn token_of_hash(&self, hash: &Digest) -> TokenMatch<'_> {
        if let Some(token) = self.token_hashes.get(hash).and_then(|id| self.tokens.find(id)) {
            return TokenMatch::Known(token);
        }
        match self.retired_tokens.find(hash) {
            Some(retired) => TokenMatch::Retired(&retired.identity),
            None => TokenMatch::Unknown,
        }
    }
    /// A join token by the hash of its secret.
    #[must_use]
    pub fn join_token(&self, hash: &Digest) -> Option<&Arc<JoinToken>> {
        self.join_tokens.find(hash)
    }
    /// The token of a holder.
    #[must_use]
    pub fn token(&self, identity: &Identity) -> Option<&Arc<OperatorToken>> {
        self.tokens.find(identity)
    }
    /// A sealed container document.
    #[must_use]
    pub fn document(&self, digest: &Digest) -> Option<&Sealed> {
        self.documents.find(digest).map(|d| &d.sealed)
    }
    /// Deployments by name.
    pub fn deployments(&self) -> impl DoubleEndedIterator<Item = &Arc<Deployment>> {
        self.deployments.iter().map(|(_, d)| d)
    }
    /// A deployment.
    #[must_use]
    pub fn deployment(&self, name: &DeploymentName) -> Option<&Arc<Deployment>> {
        self.deployments.find(name)
    }
    /// A kept revision of a deployment.
    #[must_use]
    pub fn revision(&self, name: &DeploymentName, number: u64) -> Option<&Arc<Revision>> {
        self.revisions.find(&(name.clone(), number))
    }
    /// The revision in force of a deployment.
    #[must_use]
    pub fn revision_in_force(&self, name: &DeploymentName) -> Option<&Arc<Revision>> {
        self.deployment(name).and_then(|d| self.revision(name, d.revision))
    }
    /// Kept revisions of a deployment, oldest first.
    pub fn revisions(
        &self,
        name: &DeploymentName,
    ) -> impl DoubleEndedIterator<Item = &Arc<Revision>> {
        self.revisions.range((name.clone(), 0)..=(name.clone(), u64::MAX)).map(|(_, r)| r)
    }
    /// A service of the revision in force.
    #[must_use]
    pub fn service(
        &self,
        deployment: &DeploymentName,
        service: &ServiceName,
    ) -> Option<&PlannedService> {
        self.revision_in_force(deployment).and_then(|r| r.services.get(service))
    }
    /// The services of the revision in force whose containers live beside those of another one.
    #[must_use]
    pub fn companions(&self, name: &DeploymentName, lead: &ServiceName) -> Vec<ServiceName> {
        let services = self.revision_in_force(name).into_iter().flat_map(|r| &r.services);
        let beside = services.filter(|(_, s)| s.schedule.beside.as_ref() == Some(lead));
        beside.map(|(name, _)| name.clone()).collect()
    }
    /// The replica that one goes with: the one that it was made beside, unless the revision in force has
    /// its service live otherwise.
    #[must_use]
    pub fn goes_with<'a>(&self, replica: &'a Replica) -> Option<&'a ReplicaId> {
        let lead = &replica.beside.as_ref()?.replica;
        let planned = self.service(&replica.id.deployment, &replica.id.service);
        planned.is_none_or(|p| p.schedule.beside.as_ref() == Some(&lead.service)).then_some(lead)
    }
    /// Replicas that go with this one. O(services of its kept revisions).
    #[must_use]
    pub fn followers(&self, lead: &ReplicaId) -> Vec<Arc<Replica>> {
        let services = self.revisions(&lead.deployment).flat_map(|r| &r.services);
        let beside = services.filter(|(_, s)| s.schedule.beside.as_ref() == Some(&lead.service));
        let names: BTreeSet<&ServiceName> = beside.map(|(name, _)| name).collect();
        let id = |service: &ServiceName| ReplicaId { service: service.clone(), ..lead.clone() };
        let made = |r: &&Arc<Replica>| self.goes_with(r) == Some(lead);
        names.into_iter().filter_map(|s| self.replica(&id(s))).filter(made).cloned().collect()
    }
    /// The replica that one was made beside, as long as that is to run.
    #[must_use]
    pub fn lead_of(&self, replica: &Replica) -> Option<&Arc<Replica>> {
        let lead = self.replica(&replica.beside.as_ref()?.replica)?;
        Some(lead).filter(|l| l.intent == Intent::Run && l.node == replica.node)
    }
    /// Whether a replica is made from the present content of its service.
    #[must_use]
    pub fn is_current(&self, replica: &Replica) -> bool {
        self.service(&replica.id.deployment, &replica.id.service)
            .is_some_and(|s| s.container == replica.container && s.epoch == replica.epoch)
    }
    /// The service as it applies to a replica: of the revision in force when the replica is
    /// current, else of the replica's own revision while that is kept.
    #[must_use]
    pub fn service_of(&self, replica: &Replica) -> Option<&PlannedService> {
        let id = &replica.id;
        let present = self.service(&id.deployment, &id.service);
        if present.is_some() && self.is_current(replica) {
            return present;
        }
        self.revision(&id.deployment, replica.revision)
            .and_then(|r| r.services.get(&id.service))
            .or(present)
    }
    /// All replicas, ordered by deployment, service and slot.
    pub fn replicas(&self) -> impl DoubleEndedIterator<Item = &Arc<Replica>> {
        self.replicas.iter().map(|(_, r)| r)
    }
    /// A replica.
    #[must_use]
    pub fn replica(&self, id: &ReplicaId) -> Option<&Arc<Replica>> {
        self.replicas.find(id)
    }
    /// Replicas of a deployment, ordered by service and slot. O(its replicas).
    pub fn replicas_of<'a>(
        &'a self,
        deployment: &'a DeploymentName,
    ) -> impl Iterator<Item = &'a Arc<Replica>> {
        let first = ReplicaId { deployment: deployment.clone(), ..least_replica() };
        self.replicas
            .range((Bound::Included(first), Bound::Unbounded))
            .map(|(_, r)| r)
            .take_while(move |r| r.id.deployment == *deployment)
    }
    /// Replicas of a service, ordered by slot. O(its replicas).
    pub fn replicas_of_service<'a>(
        &'a self,
        deployment: &'a DeploymentName,
        service: &'a ServiceName,
    ) -> impl Iterator<Item = &'a Arc<Replica>> {
        let first = ReplicaId {
            deployment: deployment.clone(),
            service: service.clone(),
            slot: Slot::Index(0),
        };
        self.replicas
            .range((Bound::Included(first), Bound::Unbounded))
            .map(|(_, r)| r)
            .take_while(move |r| r.id.deployment == *deployment && r.id.service == *service)
    }
    /// Replicas of a node. O(its replicas).
    pub fn replicas_on(&self, node: NodeId) -> impl Iterator<Item = &Arc<Replica>> {
        self.replicas_by_node
            .range((Bound::Included((node, least_replica())), Bound::Unbounded))
            .take_while(move |(n, _)| *n == node)
            .filter_map(|(_, id)| self.replicas.find(id))
    }
    /// Replicas of a deployment on a node. O(those).
    pub fn replicas_of_on<'a>(
        &'a self,
        deployment: &'a DeploymentName,
        node: NodeId,
    ) -> impl Iterator<Item = &'a Arc<Replica>> {
        let first = ReplicaId { deployment: deployment.clone(), ..least_replica() };
        self.replicas_by_node
            .range((Bound::Included((node, first)), Bound::Unbounded))
            .take_while(move |(n, id)| *n == node && id.deployment == *deployment)
            .filter_map(|(_, id)| self.replicas.find(id))
    }
    /// Where volumes of the engine live, by engine name.
    pub fn volumes(&self) -> impl DoubleEndedIterator<Item = &Arc<Volume>> {
        self.volumes.iter().map(|(_, v)| v)
    }
    /// Where a volume of the engine lives; the first node's, when several have one of that name.
    #[must_use]
    pub fn volume(&self, engine_name: &str) -> Option<&Arc<Volume>> {
        self.volumes
            .range((engine_name.to_owned(), NodeId(0))..)
            .next()
            .map(|(_, v)| v)
            .filter(|v| v.name == engine_name)
    }
    /// A volume of the engine on one node.
    #[must_use]
    pub fn volume_on(&self, engine_name: &str, node: NodeId) -> Option<&Arc<Volume>> {
        self.volumes.find(&(engine_name.to_owned(), node))
    }
    /// Volumes that a deployment made.
    pub fn volumes_of<'a>(
        &'a self,
        deployment: &'a DeploymentName,
    ) -> impl Iterator<Item = &'a Arc<Volume>> {
        self.volumes().filter(move |v| v.deployment == *deployment)
    }
    /// Replica events, oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Arc<ReplicaEvent>> {
        self.events.iter().map(|(_, e)| e)
    }
    /// Events with a higher sequence than this, oldest first.
    pub fn events_after(&self, sequence: u64) -> impl Iterator<Item = &Arc<ReplicaEvent>> {
        self.events.range((Bound::Excluded(sequence), Bound::Unbounded)).map(|(_, e)| e)
    }
    /// Kept events of one replica, oldest first; also of one that is gone.
    pub fn events_of<'a>(
        &'a self,
        replica: &'a ReplicaId,
    ) -> impl DoubleEndedIterator<Item = &'a Arc<ReplicaEvent>> {
        self.events_by_replica
            .range((replica.clone(), 0)..=(replica.clone(), u64::MAX))
            .filter_map(|(_, sequence)| self.events.find(sequence))
    }
    /// Audit events with a higher sequence than this, oldest first.
    pub fn audit_after(&self, sequence: u64) -> impl Iterator<Item = &Arc<AuditEvent>> {
        self.audit.range((Bound::Excluded(sequence), Bound::Unbounded)).map(|(_, e)| e)
    }
    /// The deployment that owns a (domain, path).
    #[must_use]
    pub fn route_owner(&self, domain: &str, path: &str) -> Option<&DeploymentName> {
        self.routes.get(&(domain.to_owned(), path.to_owned()))
    }
    /// Routes in force of a domain, with the deployments that own them.
    pub fn routes_of_domain<'a>(
        &'a self,
        domain: &'a str,
    ) -> impl Iterator<Item = (&'a DeploymentName, &'a RouteSpec)> {
        self.routes
            .range((domain.to_owned(), String::new())..)
            .take_while(move |((d, _), _)| d == domain)
            .filter_map(|((domain, path), owner)| {
                let revision = self.revision_in_force(owner)?;
                let mut routes = revision.routes.iter();
                let route = routes.find(|r| r.domain == *domain && r.path == *path)?;
                Some((owner, route))
            })
    }
    /// The deployment that publishes a port.
    #[must_use]
    pub fn port_owner(&self, port: u16, protocol: Protocol) -> Option<&DeploymentName> {
        self.ports.get(&(port, protocol))
    }
}

/// What a presented token turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenMatch<'a> {
    /// A token in the table: it may be revoked or expired.
    Known(&'a Arc<OperatorToken>),
    /// A token that was replaced by another one of this holder.
    Retired(&'a Identity),
    /// Never issued, or replaced so long ago that it is forgotten.
    Unknown,
}

/// Not greater than any replica id: names start with a letter or digit, and `0` is the least.
pub(super) fn least_replica() -> ReplicaId {
    ReplicaId {
        deployment: DeploymentName::new("0").expect("`0` is a DNS label"),
        service: ServiceName::new("0").expect("`0` is a service name"),
        slot: Slot::Index(0),
    }
}

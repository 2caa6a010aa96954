//! Everything one node must do, projected from the state.
//!
//! In: the state, the node, the container documents it can open. Out: an [`Assignment`]. The cost
//! is that of the node's replicas and their dependencies. It decides nothing that is not in the
//! state already, and nothing here waits, opens or stores anything.

pub mod depend;
mod fabric;
mod fence;
mod frontends;
mod hold;
mod secured;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use jaco_api::model::{
    AssignedFile, AssignedNetwork, AssignedReplica, AssignedSubnet, Assignment, ContainerSpec,
    Digest, FileContent, FileSource, Intent, Mode, NamedFile, NetworkName, NetworkSpec, NodeId,
    Replica, ReplicaId, RestartPolicy, Subnet, SubnetKey, Volume,
};

pub use fabric::fabric;
pub use fence::fence;
pub(crate) use frontends::backends;
pub use frontends::frontends;
pub(crate) use hold::{Holds, Leaving, is_visited};
pub use secured::{Secured, secured};

use crate::state::State;

/// Opened container documents.
pub trait Documents {
    /// The document of this digest; absent when it is not known or cannot be opened.
    fn container(&self, digest: &Digest) -> Option<Arc<ContainerSpec>>;
    /// The content of a secret or config; absent when it cannot be opened.
    fn file(&self, file: &NamedFile) -> Option<FileContent>;
}

/// What `node` must do by this state; absent before the cluster is initialised and when the node
/// is no member.
#[must_use]
pub fn project(
    state: &State,
    node: NodeId,
    documents: &dyn Documents,
    caught_up: bool,
) -> Option<Assignment> {
    let cluster = state.cluster()?.id;
    let name = state.node(node)?.name.clone();
    let mut replicas = BTreeMap::new();
    let mut networks = BTreeMap::new();
    for replica in state.replicas_on(node) {
        let assigned = assign(state, replica, documents);
        for spec in assigned.spec.iter().chain(&assigned.prepare) {
            for attachment in &spec.networks {
                let network = assign_network(state, replica, &attachment.network);
                let engine_name = NetworkSpec::engine_name(&network.deployment, &network.network);
                networks.insert(engine_name, network);
            }
        }
        replicas.insert(replica.id.clone(), assigned);
    }
    let remove_volumes = state
        .volumes()
        .filter(|v| v.node == node && v.removing && !v.external && !in_use(state, v))
        .map(|v| v.name.clone())
        .collect();
    Some(Assignment {
        cluster,
        node: name,
        index: state.index(),
        caught_up,
        replicas,
        networks,
        remove_volumes,
    })
}

/// What a replica that has not been started yet in its present generation waits for.
#[must_use]
pub fn waiting_on(state: &State, replica: &Replica) -> Vec<String> {
    if replica.intent == Intent::Remove || depend::has_started(replica) {
        return Vec::new();
    }
    let own = state.revision(&replica.id.deployment, replica.revision);
    let in_force = state.revision_in_force(&replica.id.deployment);
    let has = |revision: &Arc<_>| has_service(revision, &replica.id);
    match in_force.filter(|r| has(r)).or(own) {
        Some(revision) => depend::unmet(state, revision, &replica.id),
        None => Vec::new(),
    }
}

fn has_service(revision: &jaco_api::model::Revision, replica: &ReplicaId) -> bool {
    revision.services.contains_key(&replica.service)
}

fn assign(state: &State, replica: &Replica, documents: &dyn Documents) -> AssignedReplica {
    let spec = documents.container(&replica.container);
    let mut waiting_on = waiting_on(state, replica);
    if spec.is_none() && replica.intent == Intent::Run {
        waiting_on.push("its container document, which this node cannot open".to_owned());
    }
    let (restart, mode) = state
        .service_of(replica)
        .map(|s| (s.schedule.restart.clone(), s.schedule.mode))
        .unwrap_or((RestartPolicy::default(), Mode::Service));
    let (files, missing) = files(state, spec.as_deref(), documents);
    if replica.intent == Intent::Run {
        waiting_on.extend(missing);
    }
    let preparation = replica.preparation.as_ref().filter(|_| replica.intent == Intent::Run);
    AssignedReplica {
        id: replica.id.clone(),
        intent: replica.intent,
        generation: replica.generation,
        revision: replica.revision,
        tick: replica.tick,
        spec,
        files,
        prepare: preparation.and_then(|p| documents.container(&p.container)),
        retired: retired(state, replica, documents),
        start_limit: state.settings().rollout_step_timeout,
        waiting_on,
        beside: replica.beside.clone(),
        restart,
        mode,
        fenced: false,
        observed: replica.observed.clone(),
        prepared: preparation.and_then(|p| p.result.clone()),
    }
}

/// What containers of earlier revisions were created from, where that asks for something before a stop.
/// Once the present one has been started there is none of them left.
fn retired(
    state: &State,
    replica: &Replica,
    documents: &dyn Documents,
) -> BTreeMap<u64, Arc<ContainerSpec>> {
    if depend::has_started(replica) {
        return BTreeMap::new();
    }
    let id = &replica.id;
    let revisions = state.revisions(&id.deployment).filter(|r| r.number != replica.revision);
    revisions
        .filter_map(|r| Some((r.number, r.services.get(&id.service)?.container)))
        .filter_map(|(number, container)| Some((number, documents.container(&container)?)))
        .filter(|(_, spec)| !spec.pre_stop.is_empty())
        .collect()
}

/// The secrets and configs of a container, and what of them is missing, in words.
fn files(
    state: &State,
    spec: Option<&ContainerSpec>,
    documents: &dyn Documents,
) -> (Vec<AssignedFile>, Vec<String>) {
    let (mut files, mut missing) = (Vec::new(), Vec::new());
    for mount in spec.into_iter().flat_map(|s| &s.files) {
        let content = match &mount.source {
            FileSource::Content(content) => Some(content.clone()),
            FileSource::Named(id) => {
                let content = state.file(id).and_then(|file| documents.file(file));
                if content.is_none() {
                    let why = match state.file(id) {
                        Some(_) => "this node cannot open",
                        None => "the cluster does not have",
                    };
                    missing.push(format!("{} {}, which {why}", id.kind, id.name));
                }
                content
            }
        };
        let target = mount.target.clone();
        let (uid, gid, mode) = (mount.uid, mount.gid, mount.mode);
        files.extend(content.map(|content| AssignedFile { target, content, uid, gid, mode }));
    }
    (files, missing)
}

/// A network as the revision in force has it, or the replica's own when that has dropped it.
fn assign_network(state: &State, replica: &Replica, name: &NetworkName) -> AssignedNetwork {
    let deployment = &replica.id.deployment;
    let spec = state
        .revision_in_force(deployment)
        .and_then(|r| r.networks.get(name))
        .or_else(|| state.revision(deployment, replica.revision).and_then(|r| r.networks.get(name)))
        .cloned()
        .unwrap_or_default();
    let (deployment, network) = (deployment.clone(), name.clone());
    let key = SubnetKey { deployment, network, node: replica.node };
    let subnet = state.subnet(&key).filter(|s| s.released.is_none()).map(|s| addresses(s));
    AssignedNetwork { deployment: key.deployment, network: key.network, spec, subnet }
}

fn addresses(subnet: &Subnet) -> AssignedSubnet {
    AssignedSubnet { prefix: subnet.prefix, gateway: subnet.gateway(), bridge: subnet.bridge() }
}

/// Whether a replica that is still there may hold a volume: one that mounts it, wherever it
/// belongs, or any of the deployment that made it.
fn in_use(state: &State, volume: &Volume) -> bool {
    let mounts = |r: &Arc<Replica>| {
        state.service_of(r).is_some_and(|s| s.schedule.volumes.contains(&volume.name))
    };
    state.replicas_of(&volume.deployment).next().is_some()
        || state.replicas_on(volume.node).any(mounts)
}

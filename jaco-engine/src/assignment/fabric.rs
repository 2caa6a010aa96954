//! The network of one node, projected from the state.
//!
//! In: the state, the node, the container documents it can open. Out: a [`Fabric`]. The cost is that of
//! all blocks of the cluster, and of the replicas in those networks that are on this node.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jaco_api::model::{
    Attachment, ContainerSpec, Digest, Fabric, FabricMember, FabricNetwork, FabricReplica,
    FabricService, Intent, NetworkId, NetworkName, Node, NodeCondition, NodeId, PlannedService,
    Protocol, Replica, ServiceName, Slot, Subnet,
};

use super::{Documents, addresses};
use crate::state::State;

/// The label of a network whose containers may reach every service of their host.
const HOST_ACCESS: &str = "jaco.io/host-access";

/// What the network of `node` must be by this state; absent when it is no member.
#[must_use]
pub fn fabric(state: &State, node: NodeId, documents: &dyn Documents) -> Option<Fabric> {
    let own = state.node(node)?;
    let settings = state.settings();
    let mut networks: BTreeMap<NetworkId, FabricNetwork> = BTreeMap::new();
    for subnet in in_use(state.subnets()) {
        let (deployment, network) = (subnet.key.deployment.clone(), subnet.key.network.clone());
        let id = NetworkId { deployment, network };
        let described = networks.entry(id).or_insert_with_key(|id| describe(state, id));
        described.blocks.insert(subnet.prefix);
        if subnet.key.node == node {
            described.local = Some(addresses(subnet));
        }
    }
    for (id, network) in &mut networks {
        network.services = match network.local {
            Some(_) => services(state, id, documents),
            None => names_only(state, id),
        };
    }
    let others = state.nodes().filter(|other| other.id != node);
    Some(Fabric {
        node: own.name.clone(),
        index: state.index(),
        pools: settings.address_pools.iter().map(|pool| pool.prefix()).collect(),
        service_pool: settings.service_pool.prefix(),
        mesh_pool: settings.mesh_pool.prefix(),
        mesh_address: own.mesh_address,
        mesh_key: own.facts.mesh.as_ref().map(|facts| facts.public_key),
        members: others.map(|other| (other.name.clone(), member(state, other))).collect(),
        networks,
        served: published(state),
        containers: state
            .replicas_on(node)
            .filter(|replica| !replica.observed.addresses.is_empty())
            .map(|replica| (replica.id.clone(), replica.observed.addresses.clone()))
            .collect(),
    })
}

/// The ports that revisions in force publish.
fn published(state: &State) -> BTreeSet<(u16, Protocol)> {
    let in_force = state.deployments().filter_map(|d| state.revision_in_force(&d.name));
    let services = in_force.flat_map(|revision| revision.services.values());
    let ports = services.flat_map(|planned| &planned.schedule.ports);
    ports.filter_map(|port| Some((port.published?, port.protocol))).collect()
}

fn in_use<'s>(subnets: impl Iterator<Item = &'s Arc<Subnet>>) -> impl Iterator<Item = &'s Subnet> {
    subnets.map(|subnet| &**subnet).filter(|subnet| subnet.released.is_none())
}

fn member(state: &State, node: &Node) -> FabricMember {
    FabricMember {
        mesh_address: node.mesh_address,
        mesh: node.facts.mesh.clone(),
        blocks: in_use(state.subnets_on(node.id)).map(|subnet| subnet.prefix).collect(),
    }
}

/// A network as the revision in force has it or, when that has dropped it, as the newest that has it.
fn describe(state: &State, id: &NetworkId) -> FabricNetwork {
    let in_force = state.revision_in_force(&id.deployment);
    let kept = state.revisions(&id.deployment);
    let mut kept = in_force.into_iter().chain(kept).filter_map(|r| r.networks.get(&id.network));
    let spec = kept.next();
    let is_set =
        |label: &str| spec.is_some_and(|s| s.labels.get(label).is_some_and(|v| v == "true"));
    FabricNetwork {
        internal: spec.is_some_and(|spec| spec.internal),
        host_access: is_set(HOST_ACCESS),
        ..FabricNetwork::default()
    }
}

/// The services that the revision in force has on a network.
fn planned<'s>(
    state: &'s State,
    id: &'s NetworkId,
) -> impl Iterator<Item = (&'s ServiceName, &'s PlannedService)> {
    let in_force = state.revision_in_force(&id.deployment).into_iter();
    let services = in_force.flat_map(|revision| &revision.services);
    services.filter(|(_, planned)| planned.schedule.own_networks().any(|own| *own == id.network))
}

fn names_only(state: &State, id: &NetworkId) -> BTreeMap<ServiceName, FabricService> {
    planned(state, id).map(|(name, _)| (name.clone(), FabricService::default())).collect()
}

/// Everybody who can be asked for in a network: the services of the revision in force, and those of
/// which replicas are left.
fn services(
    state: &State,
    id: &NetworkId,
    documents: &dyn Documents,
) -> BTreeMap<ServiceName, FabricService> {
    let mut services = BTreeMap::new();
    for (name, planned) in planned(state, id) {
        let service: &mut FabricService = services.entry(name.clone()).or_default();
        tell(service, id, &planned.container, documents);
        let published = planned.schedule.ports.iter().map(|port| (port.target, port.protocol));
        service.ports.extend(published);
    }
    for replica in state.replicas_of(&id.deployment) {
        let Some(found) = documents.container(&replica.container) else { continue };
        if attachment(&found, &id.network).is_none() || replica.intent == Intent::Remove {
            continue;
        }
        let service = services.entry(replica.id.service.clone()).or_default();
        tell(service, id, &replica.container, documents);
        service.replicas.extend(seen(state, id, replica, &found));
    }
    for (name, service) in &mut services {
        service.address = state.virtual_address(&id.deployment, &id.network, name);
    }
    services
}

fn attachment<'c>(spec: &'c ContainerSpec, network: &NetworkName) -> Option<&'c Attachment> {
    spec.networks.iter().find(|attachment| attachment.network == *network)
}

/// Adds what a container document says of a service.
fn tell(
    service: &mut FabricService,
    id: &NetworkId,
    container: &Digest,
    documents: &dyn Documents,
) {
    let Some(spec) = documents.container(container) else { return };
    let aliases = attachment(&spec, &id.network).map(|a| a.aliases.iter().cloned());
    service.aliases.extend(aliases.into_iter().flatten());
    service.ports.extend(spec.expose.iter().flat_map(|text| exposed(text)));
}

/// `80`, `80/udp` or `8000-8010/tcp`, as the manifest has checked it.
fn exposed(text: &str) -> BTreeSet<(u16, Protocol)> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = if protocol == "udp" { Protocol::Udp } else { Protocol::Tcp };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) => (first..=last).map(|port| (port, protocol)).collect(),
        _ => BTreeSet::new(),
    }
}

fn seen(
    state: &State,
    id: &NetworkId,
    replica: &Replica,
    spec: &ContainerSpec,
) -> Option<(Slot, FabricReplica)> {
    let node = state.node(replica.node)?;
    let present = replica.observed.generation == replica.generation;
    let address = replica.observed.addresses.get(&id.network).copied();
    let seen = FabricReplica {
        node: node.name.clone(),
        address: address.filter(|_| present),
        healthy: replica.is_running() && node.condition != NodeCondition::Down,
        hostname: spec.hostname.as_deref().map(Into::into),
    };
    Some((replica.id.slot.clone(), seen))
}

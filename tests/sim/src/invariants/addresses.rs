//! No address is given to two: blocks of networks, addresses of nodes and those of services are disjoint by
//! the log, and no host has a bridge in a block that is another's by now. A service that is asked to have
//! an address keeps the one that it has.
//!
//! What a member had that was removed does not count, also not when its host has joined again.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;
use jaco_api::model::{NodeId, NodeName, SubnetKey, VirtualAddressKey};
use jaco_engine::{state::State, testing::replay::Step};

use super::{Broken, Invariant};
use crate::world::World;

#[derive(Default)]
pub(super) struct Addresses {
    /// Numbers that each name ever had.
    members: BTreeMap<NodeName, BTreeSet<NodeId>>,
    /// Addresses of services after the entry before that the revisions in force asked for.
    services: BTreeMap<VirtualAddressKey, IpAddr>,
}

/// Whether the revision in force has a service have an address of its own.
fn asks(state: &State, key: &VirtualAddressKey) -> bool {
    let planned = state.service(&key.deployment, &key.service);
    planned.is_some_and(|p| p.schedule.virtual_networks().any(|n| *n == key.network))
}

/// The addresses of services: nobody else's, of the pool, and each of a service that is there.
fn services(
    state: &State,
    blocks: &[(IpNet, &SubnetKey)],
    nodes: &BTreeMap<IpAddr, &NodeName>,
) -> Result<BTreeMap<VirtualAddressKey, IpAddr>, Broken> {
    let pool = state.settings().service_pool;
    let mut owners = BTreeMap::new();
    for row in state.virtual_addresses() {
        let (key, address) = (&row.key, row.address);
        if let Some(other) = owners.insert(address, key) {
            return Err(format!("{other:?} and {key:?} both have {address}"));
        }
        let of_block = blocks.iter().any(|(prefix, _)| prefix.contains(&address));
        if !pool.contains(address) || of_block || nodes.contains_key(&address) {
            return Err(format!("{key:?} has {address}, which is not a service's"));
        }
        let replicas = state.replicas_of_service(&key.deployment, &key.service).count();
        if !asks(state, key) && replicas == 0 {
            return Err(format!("{key:?} has {address} and is not there"));
        }
    }
    Ok(owners.into_iter().map(|(address, key)| (key.clone(), address)).collect())
}

impl Invariant for Addresses {
    fn name(&self) -> &'static str {
        "addresses are given out once"
    }

    fn entry(&mut self, step: &Step) -> Result<(), Broken> {
        let state = &step.after;
        for node in state.nodes() {
            self.members.entry(node.name.clone()).or_default().insert(node.id);
        }
        let mut blocks: Vec<_> = state.subnets().map(|s| (s.prefix, &s.key)).collect();
        blocks.sort_unstable();
        // Of prefixes in order, those that overlap come one after the other.
        for pair in blocks.windows(2) {
            if jaco_api::model::overlap(pair[0].0, pair[1].0) {
                return Err(format!("entry {}: {:?} and {:?}", step.index, pair[0], pair[1]));
            }
        }
        let mut nodes = BTreeMap::new();
        for node in state.nodes() {
            let Some(address) = node.mesh_address else { continue };
            if let Some(other) = nodes.insert(address, &node.name) {
                return Err(format!("{other} and {} both have {address}", node.name));
            }
            if let Some((prefix, key)) = blocks.iter().find(|(p, _)| p.contains(&address)) {
                return Err(format!(
                    "{} has {address}, which is in {prefix} of {key:?}",
                    node.name
                ));
            }
        }
        let services = services(state, &blocks, &nodes)?;
        for (key, address) in &self.services {
            let now = services.get(key);
            if now.is_some_and(|now| now != address) || (now.is_none() && asks(state, key)) {
                return Err(format!("{key:?} had {address} and has {now:?}"));
            }
        }
        // One that nothing asked for may go; one that comes again may have another address.
        self.services = services.into_iter().filter(|(key, _)| asks(state, key)).collect();
        Ok(())
    }

    fn look(&mut self, world: &World) -> Result<(), Broken> {
        let state = world.replay.newest();
        for host in world.cluster.hosts() {
            let name = host.name();
            let Some(node) = state.node_named(name) else { continue };
            if self.members.get(name).is_none_or(|numbers| numbers.len() > 1) {
                continue;
            }
            for (network, prefix) in host.engine().subnets() {
                let mut in_use = state.subnets().filter(|s| s.released.is_none());
                let owner = in_use.find(|s| jaco_api::model::overlap(s.prefix, prefix));
                let Some(SubnetKey { deployment, network: of, node: on }) =
                    owner.map(|s| s.key.clone())
                else {
                    continue;
                };
                let own = jaco_api::model::NetworkSpec::engine_name(&deployment, &of);
                if on != node.id || own != network {
                    return Err(format!(
                        "{name} has {network} with {prefix}, which {deployment} has on node {on}"
                    ));
                }
            }
        }
        Ok(())
    }
}

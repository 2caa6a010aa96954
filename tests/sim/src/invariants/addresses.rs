//! No address is given to two: blocks of networks and addresses of nodes are disjoint by the log, and no
//! host has a bridge in a block that is another's by now.
//!
//! What a member had that was removed does not count, also not when its host has joined again.

use std::collections::{BTreeMap, BTreeSet};

use jaco_api::model::{NodeId, NodeName, SubnetKey};
use jaco_engine::testing::replay::Step;

use super::{Broken, Invariant};
use crate::world::World;

#[derive(Default)]
pub(super) struct Addresses {
    /// Numbers that each name ever had.
    members: BTreeMap<NodeName, BTreeSet<NodeId>>,
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

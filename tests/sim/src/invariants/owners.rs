//! A replica's generation has one owner: one node by the log, and containers on that node's host alone.

use std::collections::{BTreeMap, BTreeSet};

use jaco_api::model::{NodeId, ReplicaId};
use jaco_engine::testing::replay::Step;
use jaco_runtime::container::label;

use super::{Broken, Invariant};
use crate::world::{FOREIGN_CLUSTER, World};

#[derive(Default)]
pub(super) struct Owners {
    /// Of the replicas that there are: the node of each generation.
    present: BTreeMap<(ReplicaId, u64), NodeId>,
    /// Hosts that ever owned a generation; a deployment of the same name may come again.
    ever: BTreeMap<(String, u64), BTreeSet<String>>,
    /// Containers of generations that no entry seen so far has made, with their host.
    unknown: BTreeMap<(String, u64), String>,
}

impl Invariant for Owners {
    fn name(&self) -> &'static str {
        "one owner per replica slot and generation"
    }

    fn entry(&mut self, step: &Step) -> Result<(), Broken> {
        for replica in step.after.replicas() {
            let key = (replica.id.clone(), replica.generation);
            let owner = *self.present.entry(key.clone()).or_insert(replica.node);
            if owner != replica.node {
                let (id, generation) = key;
                return Err(format!(
                    "{id} {generation} moves from node {owner} to {}",
                    replica.node
                ));
            }
            let host = step.after.node(replica.node).map(|n| n.name.to_string());
            let key = (replica.id.to_string(), replica.generation);
            self.ever.entry(key).or_default().extend(host);
        }
        self.present.retain(|(id, _), _| step.after.replica(id).is_some());
        Ok(())
    }

    fn look(&mut self, world: &World) -> Result<(), Broken> {
        self.unknown.clear();
        for host in world.cluster.hosts() {
            let host_name = host.name().to_string();
            for container in host.engine().containers() {
                let label = |key: &str| container.labels.get(key).cloned();
                if label(label::CLUSTER).is_none_or(|cluster| cluster == FOREIGN_CLUSTER) {
                    continue;
                }
                let generation = label(label::GENERATION).and_then(|g| g.parse().ok());
                let Some(key) = label(label::REPLICA).zip(generation) else { continue };
                match self.ever.get(&key) {
                    Some(owners) if owners.contains(&host_name) => {}
                    Some(owners) => {
                        let (id, generation) = key;
                        return Err(format!(
                            "{host_name} has a container of {id} {generation}, which is on {owners:?}"
                        ));
                    }
                    None => drop(self.unknown.insert(key, host_name.clone())),
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, world: &World) -> Result<(), Broken> {
        self.look(world)?;
        match self.unknown.first_key_value() {
            Some(((id, generation), host)) => {
                Err(format!("{host} has a container of {id} {generation}, which nobody made"))
            }
            None => Ok(()),
        }
    }
}

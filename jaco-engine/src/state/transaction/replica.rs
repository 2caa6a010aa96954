//! Replicas and volumes.

use std::sync::Arc;

use jaco_api::model::{DeploymentName, NodeId, Replica, ReplicaId, Volume};

use super::Transaction;

impl Transaction<'_> {
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
            self.unsettle_subnets(&old, Some(&row));
            self.unsettle_addresses_of(&old, Some(&row));
            self.discount_replica(&old);
        }
        self.state.replicas_by_node.insert((row.node, id.clone()));
        self.touched.insert(id.deployment);
    }

    /// Takes a replica out; its events stay for a while.
    pub(crate) fn remove_replica(&mut self, id: &ReplicaId) {
        if let Some(old) = self.state.replicas.remove(id) {
            self.discount_replica(&old);
            self.unsettle_subnets(&old, None);
            self.unsettle_addresses_of(&old, None);
            self.touched.insert(id.deployment.clone());
            self.departed.insert(id.deployment.clone());
        }
    }

    /// What was planned for these deployments is no longer valid.
    pub(crate) fn outdate_plans(&mut self, deployments: impl IntoIterator<Item = DeploymentName>) {
        self.touched.extend(deployments);
    }

    fn count_replica(&mut self, row: &Replica) {
        self.hold(&row.container);
        if let Some(preparation) = &row.preparation {
            self.hold(&preparation.container);
        }
        if row.takes_room() {
            *self.state.load.entry(row.node).or_insert(0) += 1;
        }
    }

    fn discount_replica(&mut self, row: &Replica) {
        self.release(&row.container);
        if let Some(preparation) = &row.preparation {
            self.release(&preparation.container);
        }
        self.state.replicas_by_node.remove(&(row.node, row.id.clone()));
        if row.takes_room() {
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
}

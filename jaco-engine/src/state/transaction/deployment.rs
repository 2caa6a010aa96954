//! Deployments, their revisions and what they own.

use std::sync::Arc;

use jaco_api::model::{Deployment, DeploymentName, Revision};

use super::Transaction;
use crate::state::{index::Claims, needed_revisions};

impl Transaction<'_> {
    /// Adds or replaces a deployment. The revision it names is put before it.
    pub(crate) fn put_deployment(&mut self, row: Deployment) {
        let name = row.name.clone();
        if self.state.deployments.find(&name).is_some_and(|old| **old == row) {
            return;
        }
        let before = self.state.claims(&name);
        if self.state.deployments.find(&name).is_none_or(|old| old.revision != row.revision) {
            self.unsettle_addresses(&name);
        }
        self.state.deployments.put(name.clone(), Arc::new(row));
        self.settle_claims(&name, &before);
        self.trim_revisions(&name);
        self.touched.insert(name);
    }

    /// Takes a deployment out, with its revisions and events. Its replicas are gone already; volume
    /// rows stay, because the data does.
    pub(crate) fn remove_deployment(&mut self, name: &DeploymentName) {
        let before = self.state.claims(name);
        self.unsettle_addresses(name);
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
        self.unsettle_addresses(name);
        self.touched.insert(name.clone());
    }

    fn remove_revision(&mut self, name: &DeploymentName, number: u64) {
        if let Some(old) = self.state.revisions.remove(&(name.clone(), number)) {
            for service in old.services.values() {
                self.release(&service.container);
            }
        }
    }

    /// Takes the oldest revisions out, but never one in force or one that a rollout needs: one under
    /// way, or the next one after one that failed, which goes back to the same.
    pub(super) fn trim_revisions(&mut self, name: &DeploymentName) {
        let Some(deployment) = self.state.deployments.find(name) else { return };
        let needed = needed_revisions(deployment);
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
            self.unsettled_domains |= after.routes != before.routes;
            self.state.release_claims(name, before);
            self.state.take_claims(name, after);
        }
    }
}

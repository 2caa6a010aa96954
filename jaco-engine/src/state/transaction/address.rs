//! Virtual addresses of services: kept while something asks for them.

use std::sync::Arc;

use jaco_api::model::{DeploymentName, Replica, VirtualAddress, VirtualAddressKey};

use super::Transaction;

impl Transaction<'_> {
    /// Adds a virtual address that nobody has.
    pub(crate) fn put_virtual_address(&mut self, row: VirtualAddress) {
        let key = row.key.clone();
        self.state.services_by_address.insert(row.address, key.clone());
        self.state.virtual_addresses.put(key, Arc::new(row));
    }

    fn remove_virtual_address(&mut self, key: &VirtualAddressKey) {
        if let Some(old) = self.state.virtual_addresses.remove(key) {
            self.state.services_by_address.remove(&old.address);
        }
    }

    /// Another revision of a deployment is in force, or none: it may ask for other addresses.
    pub(super) fn unsettle_addresses(&mut self, deployment: &DeploymentName) {
        self.unsettled_services.insert(deployment.clone());
    }

    /// A replica was of another revision, or is gone: it may have been the last one to need an address.
    pub(super) fn unsettle_addresses_of(&mut self, old: &Replica, new: Option<&Replica>) {
        let made = |r: &Replica| (r.container, r.epoch, r.revision);
        if new.map(made) != Some(made(old)) {
            self.unsettle_addresses(&old.id.deployment);
        }
    }

    /// Takes the virtual addresses away that nothing asks for any more.
    pub(super) fn settle_addresses(&mut self) {
        for deployment in std::mem::take(&mut self.unsettled_services) {
            let idle = self.state.virtual_addresses_of(&deployment);
            let idle = idle.filter(|row| !self.state.needs_address(&row.key));
            for key in idle.map(|row| row.key.clone()).collect::<Vec<_>>() {
                self.remove_virtual_address(&key);
            }
        }
    }
}

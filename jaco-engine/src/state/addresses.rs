//! Virtual addresses of services: reading them, and what asks for one.

use std::{net::IpAddr, ops::Bound, sync::Arc};

use jaco_api::model::{
    DeploymentName, NetworkName, PlannedService, Replica, ServiceName, ServiceSchedule,
    VirtualAddress, VirtualAddressKey,
};

use super::State;

/// How much of `service_pool` is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressCount {
    /// Addresses in all.
    pub capacity: u64,
    /// Addresses that services have.
    pub used: u64,
}

impl AddressCount {
    /// How many more can be given out.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.used)
    }
}

impl State {
    /// All virtual addresses, by deployment, network and service.
    pub fn virtual_addresses(&self) -> impl DoubleEndedIterator<Item = &Arc<VirtualAddress>> {
        self.virtual_addresses.iter().map(|(_, row)| row)
    }
    /// The virtual addresses of a deployment, by network and service. O(those).
    pub fn virtual_addresses_of<'a>(
        &'a self,
        deployment: &'a DeploymentName,
    ) -> impl Iterator<Item = &'a Arc<VirtualAddress>> {
        let first = VirtualAddressKey {
            deployment: deployment.clone(),
            network: super::subnets::least_network(),
            service: super::view::least_replica().service,
        };
        self.virtual_addresses
            .range((Bound::Included(first), Bound::Unbounded))
            .map(|(_, row)| row)
            .take_while(move |row| row.key.deployment == *deployment)
    }
    /// The virtual address of a service on a network.
    #[must_use]
    pub fn virtual_address(
        &self,
        deployment: &DeploymentName,
        network: &NetworkName,
        service: &ServiceName,
    ) -> Option<IpAddr> {
        let key = VirtualAddressKey {
            deployment: deployment.clone(),
            network: network.clone(),
            service: service.clone(),
        };
        self.virtual_addresses.find(&key).map(|row| row.address)
    }
    /// The address that the next service is given.
    #[must_use]
    pub fn next_virtual_address(&self) -> Option<IpAddr> {
        self.settings.service_pool.lowest_free(self.services_by_address.keys().copied())
    }
    /// How much of `service_pool` is taken.
    #[must_use]
    pub fn virtual_address_count(&self) -> AddressCount {
        let capacity = self.settings.service_pool.capacity();
        AddressCount { capacity, used: self.virtual_addresses.len() as u64 }
    }

    /// The networks on which a service of this schedule has no virtual address, and asks for one.
    pub(crate) fn lacking_addresses<'a>(
        &'a self,
        deployment: &'a DeploymentName,
        service: &'a ServiceName,
        schedule: &'a ServiceSchedule,
    ) -> impl Iterator<Item = VirtualAddressKey> + 'a {
        let key = |network: &NetworkName| VirtualAddressKey {
            deployment: deployment.clone(),
            network: network.clone(),
            service: service.clone(),
        };
        let lacks = |key: &VirtualAddressKey| !self.virtual_addresses.contains(key);
        schedule.virtual_networks().map(key).filter(lacks)
    }

    /// Whether a virtual address is needed: the revision in force asks for it, or a replica of other
    /// content does. One whose own revision is not kept any more may have asked for it.
    /// O(replicas of the service), less when the revision in force asks.
    pub(crate) fn needs_address(&self, key: &VirtualAddressKey) -> bool {
        let VirtualAddressKey { deployment, network, service } = key;
        let asks =
            |planned: &PlannedService| planned.schedule.virtual_networks().any(|n| n == network);
        if self.service(deployment, service).is_some_and(asks) {
            return true;
        }
        let made = |replica: &Replica| {
            let own = self.revision(deployment, replica.revision)?;
            own.services.get(service)
        };
        let mut others = self
            .replicas_of_service(deployment, service)
            .filter(|replica| !self.is_current(replica));
        others.any(|replica| made(replica).is_none_or(asks))
    }

    /// Builds the index of virtual addresses from the rows.
    pub(super) fn rebuild_address_index(&mut self) {
        self.services_by_address =
            self.virtual_addresses.iter().map(|(key, row)| (row.address, key.clone())).collect();
    }
}

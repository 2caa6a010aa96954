//! Whether a service can have the virtual addresses that it asks for.
//!
//! How many are free is a count in the state; what this call has promised is taken off. Which ones they
//! are is decided where they are given out.

use std::collections::BTreeSet;

use jaco_api::model::{ServiceName, ServiceSchedule, VirtualAddressKey};

use super::input::Service;
use crate::state::{AddressCount, State};

/// What becomes of the addresses that a service lacks.
pub(super) enum Addresses {
    /// It lacks none.
    Complete,
    /// They are free, and promised to it.
    Free,
    /// There are too few: why, in words.
    Exhausted(String),
}

/// The virtual addresses that are left in one call of `plan`.
pub(super) struct Pool {
    count: AddressCount,
    promised: BTreeSet<VirtualAddressKey>,
}

impl Pool {
    pub(super) fn new(state: &State) -> Self {
        Self { count: state.virtual_address_count(), promised: BTreeSet::new() }
    }

    /// Promises a service the addresses that it lacks, all or none. The first replica of a lead has all
    /// that live beside it with it, so theirs are asked for too.
    pub(super) fn promise(
        &mut self,
        state: &State,
        service: &Service<'_>,
        first: bool,
    ) -> Addresses {
        let mut missing = self.missing(state, service, service.name, &service.planned.schedule);
        if first {
            let services = service.revision.services.iter();
            let beside = services.filter(|(_, s)| s.schedule.beside.as_ref() == Some(service.name));
            for (name, planned) in beside {
                missing.extend(self.missing(state, service, name, &planned.schedule));
            }
        }
        let left = self.count.free().saturating_sub(self.promised.len() as u64);
        if missing.is_empty() {
            return Addresses::Complete;
        }
        if missing.len() as u64 > left {
            let AddressCount { capacity, used } = self.count;
            let pool = state.settings().service_pool;
            return Addresses::Exhausted(format!(
                "too few addresses for services are free in service_pool {pool}: {used} of {capacity} in use"
            ));
        }
        self.promised.extend(missing);
        Addresses::Free
    }

    fn missing(
        &self,
        state: &State,
        service: &Service<'_>,
        name: &ServiceName,
        schedule: &ServiceSchedule,
    ) -> Vec<VirtualAddressKey> {
        state
            .lacking_addresses(&service.deployment.name, name, schedule)
            .filter(|key| !self.promised.contains(key))
            .collect()
    }
}

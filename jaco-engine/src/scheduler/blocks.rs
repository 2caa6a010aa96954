//! Whether a node can have the blocks of addresses that a service needs there.
//!
//! How many are free is a count in the state; what this call has promised is taken off. Which ones they
//! are is decided where they are given out.

use std::collections::BTreeSet;

use jaco_api::model::{BlockCount, NodeId, SubnetKey};

use super::{filter::Refusal, input::Service};
use crate::state::State;

/// The blocks that are left in one call of `plan`.
pub(super) struct Blocks {
    count: BlockCount,
    promised: BTreeSet<SubnetKey>,
}

impl Blocks {
    pub(super) fn new(state: &State) -> Self {
        Self { count: state.blocks(), promised: BTreeSet::new() }
    }

    /// Why a service cannot have its networks on a node.
    pub(super) fn refuse(
        &self,
        state: &State,
        service: &Service<'_>,
        node: NodeId,
    ) -> Option<Refusal> {
        let left = self.count.free().saturating_sub(self.promised.len() as u64);
        // Nobody looks at single blocks while there are plenty.
        if service.planned.schedule.networks.len() as u64 <= left
            || self.missing(state, service, node).count() as u64 <= left
        {
            return None;
        }
        let BlockCount { capacity, used, quarantined, .. } = self.count;
        Some(Refusal::Addresses { capacity, used, quarantined })
    }

    /// A replica of the service is going to be on a node.
    pub(super) fn promise(&mut self, state: &State, service: &Service<'_>, node: NodeId) {
        let missing: Vec<_> = self.missing(state, service, node).collect();
        self.promised.extend(missing);
    }

    fn missing<'s>(
        &'s self,
        state: &'s State,
        service: &'s Service<'_>,
        node: NodeId,
    ) -> impl Iterator<Item = SubnetKey> + 's {
        let deployment = &service.deployment.name;
        let networks = service.planned.schedule.networks.iter();
        let key = move |network: &_| SubnetKey {
            deployment: deployment.clone(),
            network: jaco_api::model::NetworkName::clone(network),
            node,
        };
        // One in quarantine is taken back.
        networks.map(key).filter(|key| state.subnet(key).is_none() && !self.promised.contains(key))
    }
}

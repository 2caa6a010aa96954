//! Blocks of addresses: reading them, and the indexes that follow from them.
//!
//! How many blocks of each pool are taken is an index: nobody counts them to know whether one is left.

use std::{collections::BTreeSet, net::IpAddr, ops::Bound, sync::Arc};

use ipnet::IpNet;
use jaco_api::model::{
    AddressPool, AddressPools, BlockCount, DeploymentName, Digest, NetworkName, NodeId, Replica,
    ServiceName, Subnet, SubnetKey,
};

use super::{State, gaps::Gaps};

/// What is taken of each pool of the settings, and what is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blocks(Arc<Vec<PoolUse>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct PoolUse {
    count: BlockCount,
    gaps: Gaps,
}

impl Blocks {
    /// Nothing of these pools is taken.
    fn untaken(pools: &AddressPools) -> Self {
        let empty = |pool: &AddressPool| PoolUse {
            count: BlockCount { capacity: pool.blocks(), ..Default::default() },
            gaps: Gaps::whole(&pool.addresses()),
        };
        Self(Arc::new(pools.iter().map(empty).collect()))
    }
}

impl Default for Blocks {
    fn default() -> Self {
        Self::untaken(&AddressPools::default())
    }
}

impl State {
    /// All blocks, those in quarantine included, by deployment, network and node.
    pub fn subnets(&self) -> impl DoubleEndedIterator<Item = &Arc<Subnet>> {
        self.subnets.iter().map(|(_, s)| s)
    }
    /// The block of a network on a node, also one in quarantine.
    #[must_use]
    pub fn subnet(&self, key: &SubnetKey) -> Option<&Arc<Subnet>> {
        self.subnets.find(key)
    }
    /// The blocks of a node. O(its blocks).
    pub fn subnets_on(&self, node: NodeId) -> impl Iterator<Item = &Arc<Subnet>> {
        self.subnets_from(node, None)
    }
    /// The blocks of a deployment on a node. O(those).
    pub fn subnets_of_on<'a>(
        &'a self,
        deployment: &'a DeploymentName,
        node: NodeId,
    ) -> impl Iterator<Item = &'a Arc<Subnet>> {
        self.subnets_from(node, Some(deployment)).take_while(|s| s.key.deployment == *deployment)
    }

    fn subnets_from(
        &self,
        node: NodeId,
        first: Option<&DeploymentName>,
    ) -> impl Iterator<Item = &Arc<Subnet>> {
        let first = first.cloned().unwrap_or_else(|| super::view::least_replica().deployment);
        self.subnets_by_node
            .range((Bound::Included((node, first, least_network())), Bound::Unbounded))
            .take_while(move |(n, ..)| *n == node)
            .filter_map(|(node, deployment, network)| {
                let key = SubnetKey {
                    deployment: deployment.clone(),
                    network: network.clone(),
                    node: *node,
                };
                self.subnets.find(&key)
            })
    }

    /// Blocks that were released at this raft index or before, and wait to be confirmed.
    pub fn quarantined_until(&self, index: u64) -> impl Iterator<Item = &Arc<Subnet>> {
        self.quarantine
            .iter()
            .take_while(move |(released, _)| *released <= index)
            .filter_map(|(_, key)| self.subnets.find(key))
    }
    /// Whether a block waits to be confirmed.
    #[must_use]
    pub fn has_quarantine(&self) -> bool {
        !self.quarantine.is_empty()
    }

    /// How much of each pool is taken, in the order of the setting.
    pub fn pools(&self) -> impl Iterator<Item = (&AddressPool, BlockCount)> {
        self.settings.address_pools.iter().zip(self.blocks.0.iter().map(|pool| pool.count))
    }
    /// How much of all pools is taken.
    #[must_use]
    pub fn blocks(&self) -> BlockCount {
        self.pools().fold(BlockCount::default(), |all, (_, count)| all.and(count))
    }
    /// The block that is given out next. O(gaps that are too small for one).
    #[must_use]
    pub fn next_block(&self) -> Option<IpNet> {
        let mut pools = self.settings.address_pools.iter().zip(self.blocks.0.iter());
        pools.find_map(|(pool, left)| pool.lowest_in(left.gaps.iter()))
    }
    /// The address that the next node is given.
    #[must_use]
    pub fn next_mesh_address(&self) -> Option<IpAddr> {
        let used: BTreeSet<_> = self.nodes().filter_map(|n| n.mesh_address).collect();
        self.settings.mesh_pool.lowest_free(used)
    }

    /// The networks that a container of a service is on; absent when no revision that is kept tells.
    fn networks_of(
        &self,
        deployment: &DeploymentName,
        service: &ServiceName,
        container: &Digest,
    ) -> Option<BTreeSet<NetworkName>> {
        let in_force = self.revision_in_force(deployment);
        let kept = in_force.into_iter().chain(self.revisions(deployment));
        let same = kept
            .filter_map(|revision| revision.services.get(service))
            .filter(|planned| planned.container == *container)
            .map(|planned| &planned.schedule.networks);
        same.fold(None, |all, networks| {
            let mut all: BTreeSet<_> = all.unwrap_or_default();
            all.extend(networks.iter().cloned());
            Some(all)
        })
    }

    /// The networks that replicas of a deployment need on a node; absent when that is not known of one
    /// of them, so that none may be taken away. O(the deployment's replicas on the node).
    pub(crate) fn needed_networks(
        &self,
        deployment: &DeploymentName,
        node: NodeId,
    ) -> Option<BTreeSet<NetworkName>> {
        let mut needed = BTreeSet::new();
        if self.node(node).is_none() {
            return Some(needed);
        }
        // What is prepared is not there yet, but comes without another look at the blocks.
        let containers = |r: &Replica| {
            let prepared = r.preparation.as_ref().map(|p| p.container);
            std::iter::once(r.container).chain(prepared)
        };
        for replica in self.replicas_of_on(deployment, node) {
            for container in containers(replica) {
                needed.extend(self.networks_of(deployment, &replica.id.service, &container)?);
            }
        }
        Some(needed)
    }

    /// Builds the indexes of blocks from the rows.
    pub(super) fn rebuild_subnet_indexes(&mut self) {
        self.subnets_by_node = self.subnets.iter().map(|(key, _)| by_node(key)).collect();
        self.subnets_by_address =
            self.subnets.iter().map(|(key, s)| (s.prefix, key.clone())).collect();
        self.quarantine =
            self.subnets.iter().filter_map(|(k, s)| Some((s.released?, k.clone()))).collect();
        self.recount_blocks();
    }

    /// Counts the blocks of every pool anew: the pools are others. O(blocks).
    pub(super) fn recount_blocks(&mut self) {
        self.blocks = Blocks::untaken(&self.settings.address_pools);
        // One after the other into an empty index: each is counted beside those before it.
        for (prefix, key) in std::mem::take(&mut self.subnets_by_address) {
            let released = self.subnets.find(&key).is_some_and(|s| s.released.is_some());
            self.count_block(prefix, released, true);
            self.subnets_by_address.insert(prefix, key);
        }
    }

    /// Counts a block in or out. Its neighbours are in the index, it is not.
    pub(super) fn count_block(&mut self, prefix: IpNet, released: bool, adds: bool) {
        self.fill_gaps(prefix, adds);
        let Some(at) = self.settings.address_pools.position_of(prefix) else { return };
        let Some(pool) = self.settings.address_pools.iter().nth(at) else { return };
        // Smaller blocks than the present ones may share one.
        let slot = pool.block_of(prefix);
        let shared = prefix.prefix_len() > pool.block() && self.has_block_in(slot);
        let taken = if shared { 0 } else { pool.blocks_in(prefix) };
        let Some(PoolUse { count, .. }) = Arc::make_mut(&mut self.blocks.0).get_mut(at) else {
            return;
        };
        let (used, quarantined) = if released { (0, 1) } else { (1, 0) };
        let change = |value: &mut u64, by: u64| {
            *value = if adds { *value + by } else { value.saturating_sub(by) };
        };
        change(&mut count.taken, taken);
        change(&mut count.used, used);
        change(&mut count.quarantined, quarantined);
    }

    /// A block fills a gap, or leaves one: in every pool that it has addresses of.
    fn fill_gaps(&mut self, prefix: IpNet, fills: bool) {
        let pools = Arc::make_mut(&mut self.blocks.0).iter_mut();
        for (pool, left) in self.settings.address_pools.iter().zip(pools) {
            match pool.common(prefix) {
                Some(range) if fills => left.gaps.take(&range),
                Some(range) => left.gaps.give_back(&range),
                None => {}
            }
        }
    }

    fn has_block_in(&self, slot: IpNet) -> bool {
        self.subnets_by_address.range(slot..).next().is_some_and(|(next, _)| slot.contains(next))
    }
}

/// A block's place in the index by nodes.
pub(super) fn by_node(key: &SubnetKey) -> (NodeId, DeploymentName, NetworkName) {
    (key.node, key.deployment.clone(), key.network.clone())
}

/// Not greater than any name of a network.
pub(super) fn least_network() -> NetworkName {
    NetworkName::new("0").expect("`0` is a network name")
}

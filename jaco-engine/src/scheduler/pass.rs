//! One call of `plan`: the state, the time, what the leader measured, and what the call placed so far.

use std::collections::BTreeMap;

use jaco_api::model::{NodeId, PlannedService, Timestamp};

use super::{Readings, addresses, blocks::Blocks, filter::Pin};
use crate::state::State;

/// One call of `plan`.
pub(super) struct Pass<'a> {
    pub(super) state: &'a State,
    pub(super) now: Timestamp,
    pub(super) readings: &'a Readings,
    /// A node that counts as none when places are looked for: others are asked for.
    pub(super) left_out: Option<NodeId>,
    /// When the deployment at hand is to be planned again.
    pub(super) wake_at: Option<Timestamp>,
    /// Blocks of addresses that are left.
    pub(super) blocks: Blocks,
    /// Virtual addresses that are left.
    pub(super) addresses: addresses::Pool,
    /// Replicas this call placed, by node.
    placed: BTreeMap<NodeId, u32>,
    /// Resources this call has given away, by node.
    given: BTreeMap<NodeId, Reserved>,
    /// Reservations of replicas in state, of nodes that were asked for.
    reserved: BTreeMap<NodeId, Reserved>,
    /// Volumes this call has put on a node.
    pinned: BTreeMap<String, NodeId>,
}

/// Reserved resources.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reserved {
    pub(super) cpu_millis: u64,
    pub(super) memory_bytes: u64,
}

impl Reserved {
    fn of(service: &PlannedService) -> Self {
        Self {
            cpu_millis: service.schedule.reserved_cpu_millis,
            memory_bytes: service.schedule.reserved_memory_bytes,
        }
    }
    fn add(&mut self, other: Self) {
        self.cpu_millis = self.cpu_millis.saturating_add(other.cpu_millis);
        self.memory_bytes = self.memory_bytes.saturating_add(other.memory_bytes);
    }
}

impl<'a> Pass<'a> {
    pub(super) fn new(state: &'a State, now: Timestamp, readings: &'a Readings) -> Self {
        Self {
            state,
            now,
            readings,
            left_out: None,
            wake_at: None,
            blocks: Blocks::new(state),
            addresses: addresses::Pool::new(state),
            placed: BTreeMap::new(),
            given: BTreeMap::new(),
            reserved: BTreeMap::new(),
            pinned: BTreeMap::new(),
        }
    }

    /// Asks for another call at `at`, unless that has passed.
    pub(super) fn wake(&mut self, at: Timestamp) {
        if at > self.now {
            self.wake_at = Some(self.wake_at.map_or(at, |present| present.min(at)));
        }
    }

    /// Replicas that are to run on a node, those of this call included.
    pub(super) fn load(&self, node: NodeId) -> u32 {
        self.state.load(node) + self.placed.get(&node).copied().unwrap_or(0)
    }

    /// What is reserved on a node, by this call too. O(replicas of the node), once per call.
    pub(super) fn reserved(&mut self, node: NodeId) -> Reserved {
        let state = self.state;
        let mut sum = *self.reserved.entry(node).or_insert_with(|| {
            let mut sum = Reserved::default();
            let replicas = state.replicas_on(node).filter(|r| r.tick.is_none() || r.takes_room());
            for service in replicas.filter_map(|r| state.service_of(r)) {
                sum.add(Reserved::of(service));
            }
            sum
        });
        sum.add(self.given.get(&node).copied().unwrap_or_default());
        sum
    }

    /// Takes note of a replica that is going to be on a node.
    pub(super) fn note_placed(&mut self, service: &PlannedService, node: NodeId) {
        *self.placed.entry(node).or_default() += 1;
        self.given.entry(node).or_default().add(Reserved::of(service));
        for volume in &service.schedule.volumes {
            self.pinned.entry(volume.clone()).or_insert(node);
        }
    }

    /// Where the volumes of a service live already. Every node has its own volume of a global
    /// service, so nothing holds that one anywhere.
    pub(super) fn pins(&self, service: &PlannedService) -> Vec<Pin> {
        if service.schedule.is_global() {
            return Vec::new();
        }
        let pin = |volume: &String| {
            let node = match self.state.volume(volume) {
                Some(row) => row.node,
                None => *self.pinned.get(volume)?,
            };
            let name = self.state.node(node).map(|n| n.name.clone());
            Some(Pin { volume: volume.clone(), node, name })
        };
        service.schedule.volumes.iter().filter_map(pin).collect()
    }
}

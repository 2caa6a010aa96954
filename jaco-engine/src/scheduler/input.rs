//! What one call of `plan` looks at: the state, seen by service, and what the call placed so far.

use std::collections::BTreeMap;

use jaco_api::model::{
    Deployment, Intent, Node, NodeId, Placement, PlannedService, Replica, Revision, Rollout,
    RolloutPhase, ServiceName, Slot, Timestamp,
};

use super::{
    filter::{Ask, Pin, expels},
    restart::serves,
};
use crate::state::State;

/// One call of `plan`.
pub(super) struct Pass<'a> {
    pub(super) state: &'a State,
    pub(super) now: Timestamp,
    /// When the deployment at hand is to be planned again.
    pub(super) wake_at: Option<Timestamp>,
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
    pub(super) fn new(state: &'a State, now: Timestamp) -> Self {
        Self {
            state,
            now,
            wake_at: None,
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
            for service in state.replicas_on(node).filter_map(|r| state.service_of(r)) {
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

/// A service of the revision in force with its replicas.
pub(super) struct Service<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) revision: &'a Revision,
    pub(super) name: &'a ServiceName,
    pub(super) planned: &'a PlannedService,
    pub(super) placement: &'a Placement,
    /// Replicas of the present content in a place where they may stay.
    pub(super) current: Vec<&'a Replica>,
    /// Replicas that are to be replaced: of other content, or in the wrong place.
    pub(super) outgoing: Vec<Outgoing<'a>>,
    /// Replicas that are going already.
    pub(super) leaving: Vec<&'a Replica>,
    /// Replicas on nodes that are no members any more.
    pub(super) gone: Vec<&'a Replica>,
    /// Its content is what the rollout under way changes.
    pub(super) rolled: bool,
}

/// A replica that is to be replaced.
#[derive(Clone, Copy)]
pub(super) struct Outgoing<'a> {
    pub(super) replica: &'a Replica,
    /// It cannot stay where it is.
    pub(super) moves: bool,
    /// It is of other content than the present one.
    pub(super) outdated: bool,
}

impl<'a> Service<'a> {
    pub(super) fn new(
        state: &'a State,
        deployment: &'a Deployment,
        revision: &'a Revision,
        name: &'a ServiceName,
        planned: &'a PlannedService,
    ) -> Self {
        let placement =
            planned.schedule.placement.as_ref().unwrap_or(&state.settings().default_placement);
        let mut service = Self {
            deployment,
            revision,
            name,
            planned,
            placement,
            current: Vec::new(),
            outgoing: Vec::new(),
            leaving: Vec::new(),
            gone: Vec::new(),
            rolled: is_rolled(state, deployment, name, planned),
        };
        for replica in state.replicas_of_service(&deployment.name, name) {
            service.sort_in(state, replica);
        }
        service
    }

    fn sort_in(&mut self, state: &State, replica: &'a Replica) {
        let node = match (replica.intent, state.node(replica.node)) {
            (Intent::Remove, _) => return self.leaving.push(replica),
            (Intent::Run, None) => return self.gone.push(replica),
            (Intent::Run, Some(node)) => node,
        };
        let outdated = !self.made_by(replica);
        let moves = self.must_move(replica, node);
        if outdated || moves {
            self.outgoing.push(Outgoing { replica, moves, outdated });
        } else {
            self.current.push(replica);
        }
    }

    /// Whether a replica is of this service's present content.
    fn made_by(&self, replica: &Replica) -> bool {
        replica.container == self.planned.container && replica.epoch == self.planned.epoch
    }

    /// Whether a replica cannot stay: data stays where it is, whatever the placement says.
    fn must_move(&self, replica: &Replica, node: &Node) -> bool {
        let by_node = matches!(replica.id.slot, Slot::Node(_));
        if by_node != self.planned.schedule.is_global() {
            return true;
        }
        let tied = self.planned.schedule.stateful && !by_node;
        !tied && expels(&self.ask(&[]), node).is_some()
    }

    /// What it asks of a node.
    pub(super) fn ask<'b>(&'b self, pins: &'b [Pin]) -> Ask<'b> {
        Ask { schedule: &self.planned.schedule, placement: self.placement, pins }
    }

    /// Whether a replica does what the service is for.
    pub(super) fn serves(&self, replica: &Replica) -> bool {
        serves(replica, self.planned.schedule.mode)
    }

    /// All replicas that are to run, for now.
    pub(super) fn present(&self) -> impl Iterator<Item = &'a Replica> + use<'a, '_> {
        self.current.iter().copied().chain(self.outgoing.iter().map(|o| o.replica))
    }

    /// How many replicas are wanted.
    pub(super) fn desired(&self, state: &State) -> u32 {
        if !self.planned.schedule.is_global() {
            return self.planned.schedule.replicas;
        }
        u32::try_from(self.global_nodes(state).len()).unwrap_or(u32::MAX)
    }

    /// The nodes a global service belongs on: those that may take it, and those that have it and
    /// may keep it.
    pub(super) fn global_nodes(&self, state: &'a State) -> Vec<&'a Node> {
        let ask = self.ask(&[]);
        let has = |node: &Node| {
            self.present().any(|r| r.node == node.id && matches!(r.id.slot, Slot::Node(_)))
        };
        state
            .nodes()
            .map(|node| &**node)
            .filter(|node| match super::filter::refuses(&ask, node) {
                None => true,
                Some(_) => has(node) && expels(&ask, node).is_none(),
            })
            .collect()
    }
}

/// How many replicas of a service are wanted: the number in its manifest or, of a `global` one,
/// the nodes it belongs on.
#[must_use]
pub fn wanted(
    state: &State,
    deployment: &Deployment,
    name: &ServiceName,
    planned: &PlannedService,
) -> u32 {
    if !planned.schedule.is_global() {
        return planned.schedule.replicas;
    }
    match state.revision(&deployment.name, deployment.revision) {
        Some(revision) => Service::new(state, deployment, revision, name, planned).desired(state),
        None => 0,
    }
}

/// The rollout that is under way, if one is.
pub(super) fn active_rollout(deployment: &Deployment) -> Option<&Rollout> {
    deployment
        .rollout
        .as_ref()
        .filter(|r| matches!(r.phase, RolloutPhase::Rolling | RolloutPhase::RollingBack))
}

/// Whether the rollout under way changes this service: the health of the others is not its affair.
fn is_rolled(
    state: &State,
    deployment: &Deployment,
    name: &ServiceName,
    planned: &PlannedService,
) -> bool {
    let Some(rollout) = active_rollout(deployment) else { return false };
    if rollout.from == rollout.to {
        return true;
    }
    let before = state.revision(&deployment.name, rollout.from);
    let before = before.and_then(|r| r.services.get(name));
    before.is_none_or(|b| b.container != planned.container || b.epoch != planned.epoch)
}

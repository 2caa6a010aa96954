//! A service as one call of `plan` sees it: which of its replicas stay, are replaced, are lost, go.

use std::collections::BTreeSet;

use jaco_api::model::{
    Deployment, Intent, Mode, Node, Placement, PlannedService, Replica, ReplicaId, Revision,
    Rollout, RolloutPhase, ServiceName, Slot, Span, Timestamp, UpdateConfig,
};

use super::{
    Readings,
    filter::{Ask, Pin, expels},
    lost::{self, Fate},
    pass::Pass,
    restart::{Progress, serves},
};
use crate::state::{State, is_cut_off};

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
    /// Replicas whose node is lost for good, as far as they are concerned: they are replaced at
    /// once, and stay where they are only as long as no node can take their successors.
    pub(super) lost: Vec<&'a Replica>,
    /// Replicas that are going already.
    pub(super) leaving: Vec<&'a Replica>,
    /// Replicas that go at once: their node is no member any more, or operators gave them up with
    /// it.
    pub(super) given_up: Vec<&'a Replica>,
    /// Of a companion: replicas that are beside nothing.
    pub(super) strays: Vec<&'a Replica>,
    /// Of a companion: replicas whose lead's container is another one than they were made beside.
    pub(super) detached: Vec<&'a Replica>,
    /// Its content is what the rollout under way changes.
    pub(super) rolled: bool,
    /// Replicas that are going and must be gone before their successors are created.
    pub(super) blocking: u32,
    /// When something changes that nobody is going to report: a lost replica is replaced.
    pub(super) wake_at: Option<Timestamp>,
}

/// A replica that is to be replaced.
#[derive(Clone, Copy)]
pub(super) struct Outgoing<'a> {
    pub(super) replica: &'a Replica,
    /// It cannot stay where it is.
    pub(super) moves: bool,
    /// It is of other content than the present one.
    pub(super) outdated: bool,
    /// It is given up if it cannot move: operators empty its node by force.
    pub(super) forced: bool,
    /// Its node is lost.
    pub(super) lost: bool,
}

impl<'a> Service<'a> {
    pub(super) fn new(
        pass: &Pass<'a>,
        deployment: &'a Deployment,
        revision: &'a Revision,
        name: &'a ServiceName,
        planned: &'a PlannedService,
    ) -> Self {
        let state = pass.state;
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
            lost: Vec::new(),
            leaving: Vec::new(),
            given_up: Vec::new(),
            strays: Vec::new(),
            detached: Vec::new(),
            rolled: is_rolled(state, deployment, name, planned),
            blocking: 0,
            wake_at: None,
        };
        if let Some(lead) = &planned.schedule.beside {
            for replica in state.replicas_of_service(&deployment.name, name) {
                service.sort_in_companion(state, lead, replica);
            }
            return service;
        }
        let timed = planned.schedule.cron.is_some();
        for replica in state.replicas_of_service(&deployment.name, name) {
            // Those of the other kind are nobody's, and runs are neither replaced nor moved.
            match (timed, replica.tick) {
                (false, None) => service.sort_in(pass, replica),
                (true, Some(_)) if replica.takes_room() => service.current.push(replica),
                _ => {}
            }
        }
        if timed {
            return service;
        }
        service.relieve(pass);
        service.count_blocking(pass);
        service
    }

    /// How its replicas are replaced for the revision in force.
    pub(super) fn update(&self) -> &'a UpdateConfig {
        self.planned.schedule.update_for(self.revision.origin)
    }

    /// How many of `desired` replicas keep running whatever the rollout does.
    pub(super) fn floor(&self, desired: u32) -> u32 {
        self.planned.schedule.floor(desired, self.revision.origin)
    }

    /// How long a replica must run before it has settled; a job never has to.
    pub(super) fn monitor(&self) -> Span {
        monitor(self.planned, self.revision)
    }

    fn sort_in(&mut self, pass: &Pass<'_>, replica: &'a Replica) {
        if replica.intent == Intent::Remove {
            return self.leaving.push(replica);
        }
        let outdated = !self.made_by(replica);
        // What a job has done is done, wherever that was.
        let done = replica.is_completed() && !outdated && !self.has_other_slot(replica);
        let Some(node) = pass.state.node(replica.node) else {
            let stays = if done { &mut self.current } else { &mut self.given_up };
            return stays.push(replica);
        };
        if done {
            return self.current.push(replica);
        }
        let forced = node.gives_up_replicas();
        if forced && self.cannot_move(replica) {
            return self.given_up.push(replica);
        }
        let moves = self.must_move(replica, node);
        let lost = !node.condition.holds_replicas();
        if lost && self.is_due(pass, replica, node) && (self.may_roll() || !outdated) {
            return self.lost.push(replica);
        }
        if outdated || moves {
            self.outgoing.push(Outgoing { replica, moves, outdated, forced, lost });
        } else {
            self.current.push(replica);
        }
    }

    /// Whether a replica's node has been lost for as long as the service bears it.
    fn is_due(&mut self, pass: &Pass<'_>, replica: &Replica, node: &Node) -> bool {
        let (schedule, settings) = (&self.planned.schedule, pass.state.settings());
        let fate = lost::fate(replica, schedule, self.placement, node, settings, pass.readings);
        match fate {
            Some(Fate::Moves(at)) if at <= pass.now => true,
            Some(Fate::Moves(at)) => {
                self.wake(at);
                false
            }
            Some(Fate::Waits(_)) | None => false,
        }
    }

    fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |present| present.min(at)));
    }

    /// A replica goes when another was created to take its place. One that does not do well goes
    /// itself, as long as the one that it was to replace is there.
    fn relieve(&mut self, pass: &Pass<'_>) {
        if self.current.iter().all(|r| r.replaces.is_none()) {
            return;
        }
        let ids: BTreeSet<&ReplicaId> = self.current.iter().map(|r| &r.id).collect();
        let (mut relieved, mut useless) = (BTreeSet::new(), BTreeSet::new());
        for replica in &self.current {
            let Some(old) = replica.replaces.as_ref().filter(|old| ids.contains(old)) else {
                continue;
            };
            match self.progress(pass, replica) {
                Progress::Failed(_) | Progress::Lost => useless.insert(&replica.id),
                Progress::Settled | Progress::UnderWay(_) => relieved.insert(old),
            };
        }
        for replica in std::mem::take(&mut self.current) {
            if useless.contains(&replica.id) {
                self.given_up.push(replica);
            } else if relieved.contains(&replica.id) {
                let (moves, outdated, forced, lost) = (true, false, false, false);
                self.outgoing.push(Outgoing { replica, moves, outdated, forced, lost });
            } else {
                self.current.push(replica);
            }
        }
    }

    /// Whether replicas of old content may be replaced.
    pub(super) fn may_roll(&self) -> bool {
        may_roll(self.deployment)
    }

    /// Whether a replica's successor waits until it is gone. Those of a global service wait for the
    /// one of their own node only.
    pub(super) fn is_exclusive(&self) -> bool {
        let schedule = &self.planned.schedule;
        let alone =
            schedule.singleton || schedule.mode == Mode::Job || !schedule.volumes.is_empty();
        alone && !schedule.is_global()
    }

    /// Counts the replicas that are going, or go now, and keep their successors from being created.
    fn count_blocking(&mut self, pass: &Pass<'_>) {
        let going = self.leaving.iter().chain(&self.given_up).copied();
        let going = going.chain(self.left_behind(pass.state));
        let blocks: Vec<_> = going.filter_map(|r| self.holds_up(pass, r)).collect();
        self.blocking = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
        for until in blocks.into_iter().flatten() {
            self.wake(until);
        }
    }

    /// Whether a replica must be gone before its successor is created, and until when at most where
    /// that is known: data is never shared; of a singleton or job two never run. A lost node does not
    /// confirm that it has stopped one, so a job does not wait for it, and a singleton until the node
    /// has done so by itself.
    pub(super) fn holds_up(&self, pass: &Pass<'_>, replica: &Replica) -> Option<Option<Timestamp>> {
        let (schedule, settings) = (&self.planned.schedule, pass.state.settings());
        let node = pass.state.node(replica.node)?;
        if !self.is_exclusive() {
            return None;
        }
        if !schedule.volumes.is_empty() {
            return Some(None);
        }
        if schedule.singleton && is_cut_off(pass.state, replica.node) {
            let until = lost::cut_off_until(node, schedule, settings, pass.readings);
            return (until > pass.now).then_some(Some(until));
        }
        (schedule.singleton || node.condition.holds_replicas()).then_some(None)
    }

    /// Whether a replica is of this service's present content.
    pub(super) fn made_by(&self, replica: &Replica) -> bool {
        replica.container == self.planned.container && replica.epoch == self.planned.epoch
    }

    /// Whether a replica is named after its node though the service is not global, or the reverse.
    fn has_other_slot(&self, replica: &Replica) -> bool {
        matches!(replica.id.slot, Slot::Node(_)) != self.planned.schedule.is_global()
    }

    /// Whether a replica is never moved: data stays where it is, and a job is not interrupted.
    pub(super) fn cannot_move(&self, replica: &Replica) -> bool {
        let schedule = &self.planned.schedule;
        !schedule.is_global()
            && !self.has_other_slot(replica)
            && (schedule.is_tied() || schedule.mode == Mode::Job)
    }

    /// Whether a replica cannot stay.
    fn must_move(&self, replica: &Replica, node: &Node) -> bool {
        self.has_other_slot(replica)
            || (!self.cannot_move(replica) && expels(&self.ask(&[]), node).is_some())
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
        if self.planned.schedule.beside.is_some() {
            return wanted(state, self.deployment, self.name, self.planned);
        }
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
    let lead = planned.schedule.beside.as_ref();
    if let Some((lead, planned)) = lead.and_then(|l| Some((l, state.service(&deployment.name, l)?)))
    {
        return wanted(state, deployment, lead, planned);
    }
    if !planned.schedule.is_global() {
        return planned.schedule.replicas;
    }
    let Some(revision) = state.revision(&deployment.name, deployment.revision) else { return 0 };
    // A global service's replicas stay with their nodes: time does not matter to it.
    let readings = Readings::default();
    let pass = Pass::new(state, Timestamp(0), &readings);
    Service::new(&pass, deployment, revision, name, planned).desired(state)
}

/// How long a replica must run before it has settled; a job never has to.
pub(super) fn monitor(planned: &PlannedService, revision: &Revision) -> Span {
    match planned.schedule.mode {
        Mode::Job => Span(0),
        Mode::Service => planned.schedule.update_for(revision.origin).monitor,
    }
}

/// Whether replicas of old content may be replaced: not after the rollout was given up.
#[must_use]
pub fn may_roll(deployment: &Deployment) -> bool {
    deployment
        .rollout
        .as_ref()
        .is_none_or(|r| !matches!(r.phase, RolloutPhase::Paused | RolloutPhase::Failed))
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

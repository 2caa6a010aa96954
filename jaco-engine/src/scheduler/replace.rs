//! Which replicas of one service are created, replaced and removed now.
//!
//! In: a service with its replicas, how they are doing, and whether its rollout may go on. Out:
//! actions. Start-first adds a replica and removes an old one once the new one has settled;
//! stop-first and global fetch the image for the next generation first and only then advance. No
//! step leaves fewer running than the service's floor.

use std::cmp::Reverse;

use jaco_api::model::{
    DeploymentPhase, Intent, Node, NodeId, Replica, ReplicaId, RolloutPhase, Slot, Timestamp,
};

use super::{
    filter::{explain, refuses},
    input::{Outgoing, Pass, Service, active_rollout},
    place::Board,
    rollout::{Stand, Tally, preparation_failed},
};
use crate::{assignment::depend, command::Action};

/// The steps of one service.
pub(super) struct Steps<'s, 'a> {
    service: &'s Service<'a>,
    tally: &'s Tally<'a>,
    actions: Vec<Action>,
    desired: u32,
    /// Why a replica could not be placed.
    unplaced: Option<String>,
    /// The nodes, once a place was looked for.
    board: Option<Board<'a>>,
    /// A place was looked for.
    looked: bool,
    /// Something will happen by itself, without a step of this call.
    waiting: bool,
    /// Replicas to be replaced that are left after this call.
    left: u32,
}

/// The actions for one service and where that leaves it.
pub(super) fn steps<'a>(
    pass: &mut Pass<'a>,
    service: &Service<'a>,
    tally: &Tally<'a>,
) -> (Vec<Action>, Stand) {
    debug_assert!(service.deployment.phase == DeploymentPhase::Running);
    let mut steps = Steps {
        service,
        tally,
        actions: Vec::new(),
        desired: service.desired(pass.state),
        unplaced: None,
        board: None,
        looked: false,
        waiting: false,
        left: u32::try_from(service.outgoing.len()).unwrap_or(u32::MAX),
    };
    for gone in &service.gone {
        steps.remove(&gone.id);
    }
    if service.planned.schedule.is_global() {
        steps.cover_nodes(pass);
        steps.replace_in_place(pass);
    } else if service.planned.schedule.replaces_in_place() {
        steps.drop_surplus_in_place();
        steps.create_missing(pass);
        steps.replace_in_place(pass);
    } else {
        steps.drop_surplus_current();
        steps.replace_by_new(pass);
    }
    steps.note_unplaced();
    if (service.rolled || !service.outgoing.is_empty())
        && let Some(next) = tally.next
    {
        pass.wake(next);
    }
    let stand = steps.stand();
    (steps.actions, stand)
}

impl<'a> Steps<'_, 'a> {
    fn stand(&self) -> Stand {
        let begins = |a: &Action| {
            matches!(a, Action::Create { .. } | Action::Prepare { .. } | Action::Advance { .. })
        };
        if self.actions.iter().any(begins) || self.waiting {
            return Stand::Working;
        }
        if self.under_way() > 0 {
            return Stand::Working;
        }
        match self.left {
            // A replica that finds no node is wanted, but is not what the rollout waits for.
            0 => Stand::Done,
            _ if self.unplaced.is_some() => Stand::Working,
            _ => Stand::Stuck,
        }
    }

    fn remove(&mut self, replica: &ReplicaId) {
        self.actions.push(Action::Remove { replica: replica.clone() });
    }

    fn is_removed(&self, replica: &Replica) -> bool {
        let removes = |a: &Action| matches!(a, Action::Remove { replica: id } if *id == replica.id);
        self.actions.iter().any(removes)
    }

    /// How many replicas may be under way at a time.
    fn parallelism(&self) -> u32 {
        match self.service.planned.schedule.update.parallelism {
            0 => u32::MAX,
            n => n,
        }
    }

    /// Whether replicas of old content may be replaced: not after the rollout was given up.
    fn may_roll(&self) -> bool {
        self.service
            .deployment
            .rollout
            .as_ref()
            .is_none_or(|r| !matches!(r.phase, RolloutPhase::Paused | RolloutPhase::Failed))
    }

    /// Whether the pause between two steps is over.
    fn delay_is_over(&mut self, pass: &mut Pass<'_>) -> bool {
        let last = active_rollout(self.service.deployment)
            .filter(|_| self.service.rolled)
            .and_then(|r| r.last_step.get(self.service.name).copied());
        let next = last.map_or(Timestamp(0), |last| {
            last.after(self.service.planned.schedule.update.delay.to_std())
        });
        if next > pass.now {
            pass.wake(next);
            self.waiting = true;
        }
        next <= pass.now
    }

    /// Finds a node for one more replica. Looked at from one board, so that all places of a call
    /// are judged alike; what was removed before the first does not count.
    fn take_place(&mut self, pass: &mut Pass<'a>) -> Option<NodeId> {
        let mut board = self
            .board
            .take()
            .unwrap_or_else(|| Board::new(pass, self.service, |r| !self.is_removed(r)));
        let place = board.take(pass, self.service);
        (self.looked, self.board) = (true, Some(board));
        place.map_err(|reason| self.unplaced = Some(reason)).ok()
    }

    /// Creates up to `count` replicas; the first that finds no node ends it.
    fn create(&mut self, pass: &mut Pass<'a>, count: u32) -> u32 {
        for created in 0..count {
            let Some(node) = self.take_place(pass) else { return created };
            let service = self.service.name.clone();
            self.actions.push(Action::Create { service, node, slot: None });
        }
        count
    }

    /// How many replicas there are or, for data that two must not use at once, still are.
    fn occupied(&self) -> u32 {
        let leaving = if self.service.planned.schedule.volumes.is_empty() {
            0
        } else {
            self.service.leaving.len()
        };
        count(self.service.current.len() + self.service.outgoing.len() + leaving)
    }

    /// A successor is due and not created before its predecessor has let go of the data.
    fn is_held_back(&self) -> bool {
        count(self.service.present().count()) < self.desired && self.occupied() >= self.desired
    }

    /// Replicas of the present content that have not settled.
    fn under_way(&self) -> u32 {
        count(self.tally.under_way.iter().filter(|r| !self.is_removed(r)).count())
    }

    /// Replicas that this call creates, or that are created as soon as the data is free.
    fn coming(&self) -> u32 {
        let creates = |a: &&Action| matches!(a, Action::Create { .. });
        let created = count(self.actions.iter().filter(creates).count());
        let held_back = if self.is_held_back() {
            self.desired - count(self.service.present().count())
        } else {
            0
        };
        created + held_back
    }

    /// Replicas beyond the wanted number go: first those that do not serve, then the youngest.
    fn drop_surplus_current(&mut self) {
        let surplus = count(self.service.current.len()).saturating_sub(self.desired);
        let mut candidates = self.service.current.clone();
        candidates.sort_by_key(|r| (self.service.serves(r), Reverse(r.id.slot.clone())));
        for replica in candidates.into_iter().take(surplus as usize) {
            self.remove(&replica.id);
        }
    }

    /// As above, over old and new content: old content goes first.
    fn drop_surplus_in_place(&mut self) {
        let present = count(self.service.present().count());
        let surplus = present.saturating_sub(self.desired);
        let old = |r: &Replica| self.service.outgoing.iter().any(|o| o.replica.id == r.id);
        let mut candidates: Vec<_> = self.service.present().collect();
        candidates.sort_by_key(|r| (self.service.serves(r), !old(r), Reverse(r.id.slot.clone())));
        for replica in candidates.into_iter().take(surplus as usize) {
            self.left -=
                u32::from(self.service.outgoing.iter().any(|o| o.replica.id == replica.id));
            self.remove(&replica.id);
        }
    }

    fn create_missing(&mut self, pass: &mut Pass<'a>) {
        let missing = self.desired.saturating_sub(self.occupied());
        self.waiting |= self.is_held_back();
        self.create(pass, missing);
    }

    /// Start-first: new replicas up to `parallelism` at a time, old ones go as new ones settle.
    fn replace_by_new(&mut self, pass: &mut Pass<'a>) {
        let service = self.service;
        let current = count(service.current.len()).min(self.desired);
        let outgoing = count(service.outgoing.len());
        let fresh = self.desired.saturating_sub(self.occupied().max(current));
        self.waiting |= self.is_held_back();
        let mut created = self.create(pass, fresh);
        let may_replace =
            service.outgoing.iter().any(|o| self.may_roll() || (o.moves && !o.outdated));
        let replacements = (self.desired - current)
            .saturating_sub(fresh)
            .min(outgoing)
            .min(self.parallelism().saturating_sub(self.under_way() + created));
        if may_replace && replacements > 0 && self.unplaced.is_none() && self.delay_is_over(pass) {
            created += self.create(pass, replacements);
        }
        self.drop_replaced(current + created);
    }

    /// Old replicas that are not needed any more: those that do not serve once there is a
    /// replacement, those that do once enough others run.
    fn drop_replaced(&mut self, current: u32) {
        let service = self.service;
        let mut excess = (current + count(service.outgoing.len())).saturating_sub(self.desired);
        let serving = count(service.outgoing.iter().filter(|o| service.serves(o.replica)).count());
        let settled = self.tally.settled.min(self.desired);
        let mut spare = (settled + serving).saturating_sub(self.desired);
        let mut candidates = service.outgoing.clone();
        let crowd =
            |o: &Outgoing<'_>| service.present().filter(|r| r.node == o.replica.node).count();
        candidates.sort_by_key(|o| {
            (
                service.serves(o.replica),
                !o.moves,
                Reverse(crowd(o)),
                Reverse(o.replica.id.slot.clone()),
            )
        });
        for outgoing in candidates {
            let serves = service.serves(outgoing.replica);
            if excess == 0 || (serves && spare == 0) {
                break;
            }
            excess -= 1;
            spare -= u32::from(serves);
            self.left -= 1;
            self.remove(&outgoing.replica.id);
        }
    }

    /// A global service: one replica on every node that may take it, none elsewhere.
    fn cover_nodes(&mut self, pass: &mut Pass<'a>) {
        let service = self.service;
        let nodes = service.global_nodes(pass.state);
        self.looked = true;
        let mut misplaced: Vec<_> = service.present().filter(|r| !on_its_node(r, &nodes)).collect();
        misplaced.sort_by_key(|r| (r.is_running(), r.id.slot.clone()));
        let mut covered = count(service.present().filter(|r| has_node_slot(r)).count());
        let mut running = count(service.present().filter(|r| r.is_running()).count());
        for replica in misplaced {
            let covered_then = covered - u32::from(has_node_slot(replica));
            if replica.is_running() {
                if running - 1 < self.floor_of_leaving(replica, covered_then) {
                    continue;
                }
                running -= 1;
            }
            covered = covered_then;
            self.left -= u32::from(service.outgoing.iter().any(|o| o.replica.id == replica.id));
            self.remove(&replica.id);
        }
        for node in &nodes {
            let taken = |r: &&Replica| r.id.slot == Slot::Node(node.name.clone());
            let vacant = !service.present().any(|r| taken(&r))
                && !service.leaving.iter().chain(&service.gone).any(taken);
            if vacant {
                pass.note_placed(service.planned, node.id);
                self.actions.push(Action::Create {
                    service: service.name.clone(),
                    node: node.id,
                    slot: Some(node.name.clone()),
                });
            }
        }
        if nodes.is_empty() {
            let ask = service.ask(&[]);
            let mut refusals = std::collections::BTreeMap::new();
            for refusal in pass.state.nodes().filter_map(|n| refuses(&ask, n)) {
                *refusals.entry(refusal).or_default() += 1;
            }
            self.unplaced = Some(explain(&refusals));
        }
    }

    /// How many must run without a global service's replica that leaves its node: one that is
    /// numbered, from before the service became global, serves until the others do.
    fn floor_of_leaving(&self, replica: &Replica, covered: u32) -> u32 {
        let schedule = &self.service.planned.schedule;
        let rolling = active_rollout(self.service.deployment).is_some();
        let of_rollout = if rolling { schedule.floor(covered) } else { 0 };
        if has_node_slot(replica) {
            of_rollout
        } else {
            of_rollout.max(schedule.floor(self.desired))
        }
    }

    /// Stop-first and global: the image first, then the next generation of the same replica.
    fn replace_in_place(&mut self, pass: &mut Pass<'a>) {
        let service = self.service;
        let mut candidates: Vec<_> = service
            .outgoing
            .iter()
            .filter(|o| !self.is_removed(o.replica))
            .filter(|o| self.may_roll() || !o.outdated)
            .filter(|o| !(o.moves && service.planned.schedule.is_global()))
            .copied()
            .collect();
        if candidates.is_empty() {
            return;
        }
        candidates.sort_by_key(|o| (service.serves(o.replica), o.replica.id.slot.clone()));
        // A global service may have nodes left that it is not wanted on, but still serves.
        let kept = |r: &&Replica| has_node_slot(r) && !self.is_removed(r);
        let covered = count(service.present().filter(kept).count());
        let floor = service.planned.schedule.floor(self.desired.max(covered));
        let running = service.present().filter(|r| r.is_running() && !self.is_removed(r));
        let mut spare = count(running.count()).saturating_sub(floor);
        let busy = self.under_way() + self.coming();
        let mut slots = self.parallelism().saturating_sub(busy);
        for outgoing in candidates {
            if slots == 0 {
                self.waiting |= self.under_way() > 0;
                return;
            }
            let stops = outgoing.replica.is_running();
            match self.next_step(pass, &outgoing) {
                Next::Wait => slots -= 1,
                Next::Skip => {}
                Next::Now(_) if stops && spare == 0 => {}
                Next::Now(step) => {
                    slots -= 1;
                    // Fetching an image stops nothing.
                    if stops && !matches!(step, Step::Prepare(_)) {
                        spare -= 1;
                    }
                    self.take_step(step);
                }
            }
        }
    }

    /// What comes next for one replica of old content.
    fn next_step(&mut self, pass: &mut Pass<'a>, outgoing: &Outgoing<'_>) -> Next {
        let (replica, planned) = (outgoing.replica, self.service.planned);
        if outgoing.moves {
            return self.next_of_move(pass, replica);
        }
        if !self.delay_is_over(pass) {
            return Next::Wait;
        }
        let advance = Next::Now(Step::Advance(replica.id.clone()));
        if !replica.is_running() {
            return advance;
        }
        if preparation_failed(replica, planned).is_some() {
            return Next::Skip;
        }
        match replica.preparation.as_ref().filter(|p| p.container == planned.container) {
            None => Next::Now(Step::Prepare(replica.id.clone())),
            Some(preparation) => {
                let unmet = || depend::unmet(pass.state, self.service.revision, &replica.id);
                if preparation.result.is_none() || !unmet().is_empty() {
                    self.waiting = true;
                    return Next::Wait;
                }
                advance
            }
        }
    }

    /// A replica that cannot stay goes only when there is a place for its successor.
    fn next_of_move(&mut self, pass: &mut Pass<'a>, replica: &Replica) -> Next {
        match self.take_place(pass) {
            Some(node) => Next::Now(Step::Move(replica.id.clone(), node)),
            None => Next::Skip,
        }
    }

    fn take_step(&mut self, step: Step) {
        let (name, shares) = (self.service.name, self.service.planned.schedule.volumes.is_empty());
        match step {
            Step::Prepare(replica) => self.actions.push(Action::Prepare { replica }),
            Step::Advance(replica) => self.actions.push(Action::Advance { replica }),
            Step::Move(replica, node) => {
                self.remove(&replica);
                if shares {
                    self.actions.push(Action::Create { service: name.clone(), node, slot: None });
                } else {
                    self.waiting = true;
                }
            }
        }
    }

    /// Whether replicas are still to be created on some node.
    fn needs_places(&self) -> bool {
        let service = self.service;
        if service.planned.schedule.replaces_in_place() {
            let stays = |r: &&Replica| !self.is_removed(r);
            let moves = |o: &Outgoing<'_>| o.moves && !self.is_removed(o.replica);
            count(service.present().filter(stays).count()) < self.desired
                || service.outgoing.iter().any(moves)
        } else {
            self.left > 0 || count(service.current.len()) < self.desired
        }
    }

    /// Why replicas cannot be placed is written when it changes.
    fn note_unplaced(&mut self) {
        let service = self.service;
        if !self.looked && self.needs_places() {
            // No place was looked for: what was found last time stands.
            return;
        }
        if service.deployment.unplaced.get(service.name) != self.unplaced.as_ref() {
            self.actions.push(Action::Unplaced {
                service: service.name.clone(),
                reason: self.unplaced.clone(),
            });
        }
    }
}

/// A step of replacing one replica in place.
enum Step {
    /// Fetch the image.
    Prepare(ReplicaId),
    /// The next generation.
    Advance(ReplicaId),
    /// It goes, and its successor comes to this node.
    Move(ReplicaId, NodeId),
}

/// What comes next for a replica.
enum Next {
    /// This.
    Now(Step),
    /// Nothing yet, and its turn is not given to another.
    Wait,
    /// Nothing.
    Skip,
}

fn has_node_slot(replica: &Replica) -> bool {
    matches!(replica.id.slot, Slot::Node(_))
}

/// Whether a global service's replica is the one of a node it belongs on.
fn on_its_node(replica: &Replica, nodes: &[&Node]) -> bool {
    nodes.iter().any(|n| n.id == replica.node && replica.id.slot == Slot::Node(n.name.clone()))
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Everything of a deployment that is to run goes.
pub(super) fn remove_all<'a>(replicas: impl Iterator<Item = &'a Replica>) -> Vec<Action> {
    replicas
        .filter(|r| r.intent == Intent::Run)
        .map(|r| Action::Remove { replica: r.id.clone() })
        .collect()
}

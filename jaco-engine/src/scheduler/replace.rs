//! Which replicas of one service are created, replaced and removed now.
//!
//! In: a service with its replicas, how they are doing, and whether its rollout may go on. Out:
//! actions. Start-first adds a replica and removes an old one once the new one has settled;
//! stop-first and global fetch the image for the next generation first and only then advance. No
//! step leaves fewer running than the service's floor.

use std::cmp::Reverse;

use jaco_api::model::{
    DeploymentPhase, Intent, Node, Replica, ReplicaId, RolloutPhase, Slot, Timestamp,
};

use super::{
    filter::{explain, refuses},
    input::{Outgoing, Pass, Service, active_rollout},
    place::Board,
    restart::serves,
    rollout::{Stand, Tally, preparation_failed},
};
use crate::{assignment::depend, command::Action};

/// The steps of one service.
pub(super) struct Steps<'s, 'a> {
    service: &'s Service<'a>,
    tally: &'s Tally,
    actions: Vec<Action>,
    desired: u32,
    /// Why a replica could not be placed.
    unplaced: Option<String>,
    /// Something will happen by itself, without a step of this call.
    waiting: bool,
    /// Replicas to be replaced that are left after this call.
    left: u32,
}

/// The actions for one service and where that leaves it.
pub(super) fn steps<'a>(
    pass: &mut Pass<'a>,
    service: &Service<'a>,
    tally: &Tally,
) -> (Vec<Action>, Stand) {
    debug_assert!(service.deployment.phase == DeploymentPhase::Running);
    let mut steps = Steps {
        service,
        tally,
        actions: Vec::new(),
        desired: service.desired(pass.state),
        unplaced: None,
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
        let acts = self.actions.iter().any(|a| !matches!(a, Action::Unplaced { .. }));
        let left = self.left > 0;
        match () {
            () if self.unplaced.is_some() || self.waiting => Stand::Working,
            () if !left => Stand::Done,
            () if acts || self.tally.under_way > 0 => Stand::Working,
            () => Stand::Stuck,
        }
    }

    fn remove(&mut self, replica: &ReplicaId) {
        self.actions.push(Action::Remove { replica: replica.clone() });
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

    /// Creates up to `count` replicas; the first that finds no node ends it.
    fn create(&mut self, pass: &mut Pass<'a>, board: &mut Board<'a>, count: u32) -> u32 {
        for created in 0..count {
            match board.take(pass, self.service) {
                Ok(node) => self.actions.push(Action::Create {
                    service: self.service.name.clone(),
                    node,
                    slot: None,
                }),
                Err(reason) => {
                    self.unplaced = Some(reason);
                    return created;
                }
            }
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
    fn waits_for_leaving(&mut self) {
        self.waiting |=
            count(self.service.present().count()) < self.desired && self.occupied() >= self.desired;
    }

    /// Replicas beyond the wanted number go: first those that do not serve, then the youngest.
    fn drop_surplus_current(&mut self) {
        let surplus = count(self.service.current.len()).saturating_sub(self.desired);
        let mut candidates = self.service.current.clone();
        candidates.sort_by_key(|r| (serves(r), Reverse(r.id.slot.clone())));
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
        candidates.sort_by_key(|r| (serves(r), !old(r), Reverse(r.id.slot.clone())));
        for replica in candidates.into_iter().take(surplus as usize) {
            self.left -=
                u32::from(self.service.outgoing.iter().any(|o| o.replica.id == replica.id));
            self.remove(&replica.id);
        }
    }

    fn create_missing(&mut self, pass: &mut Pass<'a>) {
        let missing = self.desired.saturating_sub(self.occupied());
        self.waits_for_leaving();
        if missing > 0 {
            let mut board = Board::new(pass, self.service);
            self.create(pass, &mut board, missing);
        }
    }

    /// Start-first: new replicas up to `parallelism` at a time, old ones go as new ones settle.
    fn replace_by_new(&mut self, pass: &mut Pass<'a>) {
        let service = self.service;
        let current = count(service.current.len()).min(self.desired);
        let outgoing = count(service.outgoing.len());
        let fresh = self.desired.saturating_sub(self.occupied().max(current));
        self.waits_for_leaving();
        let mut created = 0;
        let mut board = None;
        if fresh > 0 {
            created = self.create(pass, board.insert(Board::new(pass, service)), fresh);
        }
        let may_replace =
            service.outgoing.iter().any(|o| self.may_roll() || (o.moves && !o.outdated));
        let replacements = (self.desired - current)
            .saturating_sub(fresh)
            .min(outgoing)
            .min(self.parallelism().saturating_sub(self.tally.under_way + created));
        if may_replace && replacements > 0 && self.unplaced.is_none() && self.delay_is_over(pass) {
            let board = board.get_or_insert_with(|| Board::new(pass, service));
            created += self.create(pass, board, replacements);
        }
        self.drop_replaced(current + created);
    }

    /// Old replicas that are not needed any more: those that do not serve once there is a
    /// replacement, those that do once enough others run.
    fn drop_replaced(&mut self, current: u32) {
        let service = self.service;
        let mut excess = (current + count(service.outgoing.len())).saturating_sub(self.desired);
        let serving = count(service.outgoing.iter().filter(|o| serves(o.replica)).count());
        let settled = self.tally.settled.min(self.desired);
        let mut spare = (settled + serving).saturating_sub(self.desired);
        let mut candidates = service.outgoing.clone();
        let crowd =
            |o: &Outgoing<'_>| service.present().filter(|r| r.node == o.replica.node).count();
        candidates.sort_by_key(|o| {
            (serves(o.replica), !o.moves, Reverse(crowd(o)), Reverse(o.replica.id.slot.clone()))
        });
        for outgoing in candidates {
            let serves = serves(outgoing.replica);
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
        let belongs = |r: &Replica| on_its_node(r, &nodes);
        let mut spare = count(service.present().filter(|r| serves(r)).count())
            .saturating_sub(service.planned.schedule.floor(self.desired));
        for replica in service.present().filter(|r| !belongs(r)) {
            // One that is numbered, from before the service became global, serves until others do.
            let numbered = matches!(replica.id.slot, Slot::Index(_));
            if numbered && serves(replica) {
                if spare == 0 {
                    continue;
                }
                spare -= 1;
            }
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

    /// Stop-first and global: the image first, then the next generation of the same replica.
    fn replace_in_place(&mut self, pass: &mut Pass<'a>) {
        let service = self.service;
        let removed = |r: &Replica, actions: &[Action]| {
            actions.iter().any(|a| matches!(a, Action::Remove { replica } if *replica == r.id))
        };
        let mut candidates: Vec<_> = service
            .outgoing
            .iter()
            .filter(|o| !removed(o.replica, &self.actions))
            .filter(|o| self.may_roll() || !o.outdated)
            .filter(|o| !(o.moves && service.planned.schedule.is_global()))
            .copied()
            .collect();
        if candidates.is_empty() {
            return;
        }
        candidates.sort_by_key(|o| (serves(o.replica), o.replica.id.slot.clone()));
        let floor = service.planned.schedule.floor(self.desired);
        let running = service.present().filter(|r| r.is_running() && !removed(r, &self.actions));
        let mut spare = count(running.count()).saturating_sub(floor);
        let mut slots = self.parallelism().saturating_sub(self.tally.under_way);
        for outgoing in candidates {
            if slots == 0 {
                self.waiting |= self.tally.under_way > 0;
                return;
            }
            let stops = outgoing.replica.is_running();
            match self.next_step(pass, &outgoing) {
                Next::Wait => slots -= 1,
                Next::Skip => {}
                Next::Now(_) if stops && spare == 0 => {}
                Next::Now(action) => {
                    slots -= 1;
                    // Fetching an image stops nothing.
                    if stops && !matches!(action, Action::Prepare { .. }) {
                        spare -= 1;
                    }
                    self.left -= u32::from(matches!(action, Action::Advance { .. }));
                    self.actions.push(action);
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
        let advance = Next::Now(Action::Advance { replica: replica.id.clone() });
        if !replica.is_running() {
            return advance;
        }
        if preparation_failed(replica, planned).is_some() {
            return Next::Skip;
        }
        match replica.preparation.as_ref().filter(|p| p.container == planned.container) {
            None => Next::Now(Action::Prepare { replica: replica.id.clone() }),
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
        match Board::new(pass, self.service).take(pass, self.service) {
            Ok(_) => Next::Now(Action::Remove { replica: replica.id.clone() }),
            Err(reason) => {
                self.unplaced = Some(reason);
                Next::Skip
            }
        }
    }

    /// Why replicas cannot be placed is written when it changes.
    fn note_unplaced(&mut self) {
        let service = self.service;
        if service.deployment.unplaced.get(service.name) != self.unplaced.as_ref() {
            self.actions.push(Action::Unplaced {
                service: service.name.clone(),
                reason: self.unplaced.clone(),
            });
        }
    }
}

/// What comes next for a replica.
enum Next {
    /// This.
    Now(Action),
    /// Nothing yet, and its turn is not given to another.
    Wait,
    /// Nothing.
    Skip,
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

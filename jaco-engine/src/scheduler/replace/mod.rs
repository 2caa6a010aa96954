//! Which replicas of one service are created, replaced and removed now.
//!
//! In: a service with its replicas, how they are doing, and whether its rollout may go on. Out:
//! actions. Start-first adds a replica and removes an old one once the new one has settled;
//! stop-first and global fetch the image for the next generation first and only then advance. No
//! step leaves fewer running than the service's floor. Companions follow their leads.

mod companion;
mod global;
mod in_place;
mod start_first;

use std::collections::BTreeSet;

use jaco_api::model::{DeploymentPhase, Intent, NodeId, Replica, ReplicaId, Slot, Timestamp};

use self::companion::Followed;
use super::{
    addresses::Addresses,
    input::{Outgoing, Service, active_rollout},
    pass::Pass,
    place::Board,
    rollout::{Stand, Tally},
};
use crate::{command::Action, state::State};

/// The steps of one service.
struct Steps<'s, 'a> {
    service: &'s Service<'a>,
    tally: &'s Tally<'a>,
    actions: Vec<Action>,
    desired: u32,
    /// Why a replica could not be placed.
    unplaced: Option<String>,
    /// Why the service cannot have its virtual addresses.
    unaddressed: Option<String>,
    /// The nodes, once a place was looked for.
    board: Option<Board<'a>>,
    /// A place was looked for.
    looked: bool,
    /// Something will happen by itself, without a step of this call.
    waiting: bool,
    /// Replicas to be replaced that are left after this call.
    left: u32,
    /// Leads that this call removes or replaces, with what is beside them.
    followed: Followed,
}

/// The actions for one service and where that leaves it; `former` are those of the services that it
/// may live beside.
pub(super) fn steps<'a>(
    pass: &mut Pass<'a>,
    service: &Service<'a>,
    tally: &Tally<'a>,
    former: &[Action],
) -> (Vec<Action>, Stand) {
    debug_assert!(service.deployment.phase == DeploymentPhase::Running);
    let mut steps = Steps {
        service,
        tally,
        actions: Vec::new(),
        desired: service.desired(pass.state),
        unplaced: None,
        unaddressed: None,
        board: None,
        looked: false,
        waiting: false,
        left: u32::try_from(service.outgoing.len()).unwrap_or(u32::MAX),
        followed: Followed::default(),
    };
    for replica in &service.given_up {
        steps.remove(&replica.id);
    }
    if !steps.has_addresses(pass) {
        // Nothing of it is there: it waits.
        steps.looked = true;
    } else if let Some(lead) = &service.planned.schedule.beside {
        steps.followed = Followed::of(former);
        steps.follow(pass, lead);
    } else if service.planned.schedule.is_global() {
        steps.cover_nodes(pass);
        steps.replace_in_place(pass);
    } else if service.planned.schedule.replaces_in_place() {
        steps.drop_surplus_in_place(pass);
        steps.create_missing(pass);
        steps.replace_in_place(pass);
    } else {
        steps.drop_surplus_current(pass);
        steps.replace_by_new(pass);
    }
    steps.leave_lost(pass);
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
            matches!(
                a,
                Action::Create { .. }
                    | Action::Accompany { .. }
                    | Action::Prepare { .. }
                    | Action::Advance { .. }
            )
        };
        if self.actions.iter().any(begins) || self.waiting || self.under_way() > 0 {
            return Stand::Working;
        }
        // What a lost node has is looked at when it is back. A global service does not wait for
        // nodes: their replicas are rolled when they are there again; a companion leaves that to its
        // lead.
        let schedule = &self.service.planned.schedule;
        let lost = self.service.outgoing.iter().filter(|o| o.lost && !self.is_removed(o.replica));
        let left = if schedule.is_global() || schedule.beside.is_some() {
            self.left.saturating_sub(count(lost.count()))
        } else if lost.count() > 0 || self.tally.lost.iter().any(|r| !self.is_removed(r)) {
            return Stand::Working;
        } else {
            self.left
        };
        match left {
            // A replica that finds no node is wanted, but is not what the rollout waits for.
            0 => Stand::Done,
            _ if self.unplaced.is_some() => Stand::Working,
            _ => Stand::Stuck,
        }
    }

    /// Has a service that lacks virtual addresses given them, and says whether it may have replicas: the
    /// first one waits for the addresses, those that are there go on without them.
    fn has_addresses(&mut self, pass: &mut Pass<'a>) -> bool {
        let (state, service) = (pass.state, self.service);
        let mut there = state.replicas_of_service(&service.deployment.name, service.name);
        let is_first = there.next().is_none();
        let follows = service.planned.schedule.beside.is_some();
        if self.desired == 0 {
            return true;
        }
        match pass.addresses.promise(state, service, is_first && !follows) {
            Addresses::Complete => {}
            Addresses::Free if is_first => {}
            Addresses::Free => {
                self.actions.push(Action::Address { service: service.name.clone() });
            }
            Addresses::Exhausted(why) => {
                self.unaddressed = Some(why);
                // What is beside others comes with them, also where they are there already.
                return follows || !is_first;
            }
        }
        true
    }

    fn remove(&mut self, replica: &ReplicaId) {
        self.actions.push(Action::Remove { replica: replica.clone() });
    }

    fn is_removed(&self, replica: &Replica) -> bool {
        let removes = |a: &Action| matches!(a, Action::Remove { replica: id } if *id == replica.id);
        self.actions.iter().any(removes) || self.followed.removes(replica)
    }

    /// How many replicas may be under way at a time.
    fn parallelism(&self) -> u32 {
        match self.service.update().parallelism {
            0 => u32::MAX,
            n => n,
        }
    }

    /// Whether the pause between two steps is over.
    fn delay_is_over(&mut self, pass: &mut Pass<'_>) -> bool {
        let last = active_rollout(self.service.deployment)
            .filter(|_| self.service.rolled)
            .and_then(|r| r.last_step.get(self.service.name).copied());
        let next =
            last.map_or(Timestamp(0), |last| last.after(self.service.update().delay.to_std()));
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

    /// How many replicas there are or, where two must not run at once, still are. Lost ones are not:
    /// each is replaced at once.
    fn occupied(&self) -> u32 {
        count(self.service.present().count()) + self.service.blocking
    }

    /// A successor is due and not created before its predecessor is gone.
    fn is_held_back(&self) -> bool {
        count(self.service.present().count()) < self.desired && self.occupied() >= self.desired
    }

    /// Lost replicas go as far as others are there or come now; the rest stay where they are, to be
    /// found when their node is back. What operators gave up with its node goes in any case.
    fn leave_lost(&mut self, pass: &Pass<'_>) {
        if self.service.lost.is_empty() {
            return;
        }
        let creates = |a: &&Action| matches!(a, Action::Create { .. });
        let stays = |r: &&Replica| !self.is_removed(r);
        let present = self.service.present().filter(stays).count()
            + self.actions.iter().filter(creates).count();
        let kept = (self.desired as usize).saturating_sub(present);
        let given_up = |r: &Replica| pass.state.node(r.node).is_some_and(|n| n.gives_up_replicas());
        let (go, mut stay): (Vec<_>, Vec<_>) =
            self.service.lost.iter().copied().partition(|r| given_up(r));
        stay.sort_by_key(|r| (!pass.state.is_current(r), r.id.slot.clone()));
        for replica in go.into_iter().chain(stay.into_iter().skip(kept)) {
            self.remove(&replica.id);
        }
    }

    /// Replicas of the present content that have not settled.
    fn under_way(&self) -> u32 {
        count(self.tally.under_way.iter().filter(|r| !self.is_removed(r)).count())
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
        let reason = self.unplaced.clone().or_else(|| self.unaddressed.clone());
        if service.planned.schedule.beside.is_none() && !self.looked && self.needs_places() {
            // No place was looked for: what was found last time stands.
            return;
        }
        if service.deployment.unplaced.get(service.name) != reason.as_ref() {
            self.actions.push(Action::Unplaced { service: service.name.clone(), reason });
        }
    }
}

fn has_node_slot(replica: &Replica) -> bool {
    matches!(replica.id.slot, Slot::Node(_))
}

/// Whether a replica is that of a node which is there, for a global service.
fn covers(state: &State, replica: &Replica) -> bool {
    has_node_slot(replica) && state.node(replica.node).is_some_and(|n| n.condition.holds_replicas())
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Everything of a deployment that is to run goes.
pub(super) fn remove_all<'a>(
    state: &State,
    replicas: impl Iterator<Item = &'a Replica>,
) -> Vec<Action> {
    let replicas: Vec<_> = replicas.filter(|r| r.intent == Intent::Run).collect();
    let ids: BTreeSet<&ReplicaId> = replicas.iter().map(|r| &r.id).collect();
    // Those that go with their leads need no step of their own.
    let follows = |r: &Replica| state.goes_with(r).is_some_and(|lead| ids.contains(lead));
    replicas
        .iter()
        .filter(|r| !follows(r))
        .map(|r| Action::Remove { replica: r.id.clone() })
        .collect()
}

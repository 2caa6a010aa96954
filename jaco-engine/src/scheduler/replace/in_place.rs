//! Stop-first, global and companions: the same replica, its next generation, and the image before that.

use std::collections::BTreeSet;

use jaco_api::model::{NodeId, Replica};

use super::{
    super::{
        crowd::first_to_go, filter::explain, input::Outgoing, pass::Pass,
        rollout::preparation_failed,
    },
    Steps, count, covers, has_node_slot,
};
use crate::{assignment::depend, command::Action};

/// A step of replacing one replica in place.
enum Step {
    /// Fetch the image.
    Prepare,
    /// The next generation.
    Advance,
    /// It goes, and its successor comes to this node.
    Move(NodeId),
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

impl<'a> Steps<'_, 'a> {
    /// Replicas beyond the wanted number go: first those that do not serve, then those of old
    /// content, then those in the largest crowd, then the youngest.
    pub(super) fn drop_surplus_in_place(&mut self, pass: &Pass<'_>) {
        let present: Vec<_> = self.service.present().collect();
        let surplus = count(present.len()).saturating_sub(self.desired);
        if surplus == 0 {
            return;
        }
        let old: BTreeSet<_> = self.service.outgoing.iter().map(|o| &o.replica.id).collect();
        let worth = |r: &Replica| (self.service.serves(r), !old.contains(&r.id));
        let order = first_to_go(pass.state, self.service.planned, &present, worth);
        for replica in order.into_iter().take(surplus as usize) {
            self.left -=
                u32::from(self.service.outgoing.iter().any(|o| o.replica.id == replica.id));
            self.remove(&replica.id);
        }
    }

    pub(super) fn create_missing(&mut self, pass: &mut Pass<'a>) {
        let missing = self.desired.saturating_sub(self.occupied());
        self.waiting |= self.is_held_back();
        self.create(pass, missing);
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

    /// Stop-first and global: the image first, then the next generation of the same replica.
    pub(super) fn replace_in_place(&mut self, pass: &mut Pass<'a>) {
        let service = self.service;
        let (together, alone): (Vec<&Outgoing<'_>>, Vec<_>) = service
            .outgoing
            .iter()
            .partition(|o| self.follows(o.replica) || self.goes_with_its_lead(pass, o.replica));
        for outgoing in together {
            self.left -= 1;
            if !self.follows(outgoing.replica) {
                self.prepare_with_its_lead(pass, outgoing.replica);
            }
        }
        let mut candidates: Vec<_> = alone
            .into_iter()
            .filter(|o| !self.is_removed(o.replica))
            .filter(|o| service.may_roll() || !o.outdated || o.forced)
            .filter(|o| !(o.moves && service.planned.schedule.is_global()))
            .copied()
            .collect();
        if candidates.is_empty() {
            return;
        }
        candidates
            .sort_by_key(|o| (!o.forced, service.serves(o.replica), o.replica.id.slot.clone()));
        // A global service may have nodes left that it is not wanted on, but still serves; what a
        // lost node had of it cannot be held.
        let kept = |r: &&Replica| covers(pass.state, r) && !self.is_removed(r);
        let covered = count(service.present().filter(kept).count());
        let global = service.planned.schedule.is_global();
        let lost = |r: &&Replica| global && has_node_slot(r) && !covers(pass.state, r);
        let desired = self.desired.saturating_sub(count(service.present().filter(lost).count()));
        let floor = service.floor(desired.max(covered));
        let stays = |r: &&Replica| !self.is_removed(r) && !self.follows(r);
        let running = service.present().filter(|r| r.is_running() && stays(r));
        let mut spare = count(running.count()).saturating_sub(floor);
        let anew = |r: &&Replica| self.follows(r) && !self.is_removed(r);
        let followed = count(service.present().filter(anew).count());
        let busy = self.under_way() + self.coming() + followed;
        let mut slots = self.parallelism().saturating_sub(busy);
        for outgoing in candidates {
            if slots == 0 {
                self.waiting |= self.under_way() > 0;
                return;
            }
            // What operators give up with its node is not held, but is missing all the same.
            let stops = outgoing.replica.is_running();
            match self.next_step(pass, &outgoing) {
                Next::Wait => slots -= 1,
                Next::Skip if outgoing.forced => {
                    self.left -= 1;
                    spare = spare.saturating_sub(u32::from(stops));
                    self.remove(&outgoing.replica.id);
                }
                Next::Skip => {}
                Next::Now(_) if stops && spare == 0 && !outgoing.forced => {}
                Next::Now(step) => {
                    slots -= 1;
                    // Fetching an image stops nothing.
                    if stops && !matches!(step, Step::Prepare) {
                        spare = spare.saturating_sub(1);
                    }
                    self.take_step(pass, outgoing.replica, step);
                }
            }
        }
    }

    /// What comes next for one replica of old content.
    fn next_step(&mut self, pass: &mut Pass<'a>, outgoing: &Outgoing<'_>) -> Next {
        let (replica, planned) = (outgoing.replica, self.service.planned);
        if outgoing.moves {
            return self.next_of_move(pass);
        }
        if outgoing.lost {
            // It may still serve somewhere: what it is comes out when its node is back.
            return Next::Skip;
        }
        if !self.delay_is_over(pass) {
            return Next::Wait;
        }
        if let Some(refusal) = pass.blocks.refuse(pass.state, self.service, replica.node) {
            self.unplaced = Some(explain(&[(refusal, 1)].into()));
            return Next::Skip;
        }
        pass.blocks.promise(pass.state, self.service, replica.node);
        let advance = Next::Now(Step::Advance);
        if !replica.is_running() {
            return advance;
        }
        if preparation_failed(replica, planned).is_some() {
            return Next::Skip;
        }
        match replica.preparation.as_ref().filter(|p| p.container == planned.container) {
            None => Next::Now(Step::Prepare),
            Some(preparation) => {
                let unmet = || depend::unmet(pass.state, self.service.revision, &replica.id);
                if preparation.result.is_none() || !unmet().is_empty() {
                    self.waiting = true;
                    return Next::Wait;
                }
                self.next_of_pair(pass, replica)
            }
        }
    }

    /// A container takes those beside it along: their images come first as well.
    fn next_of_pair(&mut self, pass: &Pass<'_>, replica: &Replica) -> Next {
        for companion in pass.state.followers(&replica.id) {
            let id = &companion.id;
            let Some(planned) = pass.state.service(&id.deployment, &id.service) else { continue };
            if !companion.is_running() || pass.state.is_current(&companion) {
                continue;
            }
            if preparation_failed(&companion, planned).is_some() {
                return Next::Skip;
            }
            let prepared = companion.preparation.as_ref();
            let prepared = prepared.filter(|p| p.container == planned.container);
            if prepared.is_none_or(|p| p.result.is_none()) {
                self.waiting = true;
                return Next::Wait;
            }
        }
        Next::Now(Step::Advance)
    }

    /// A replica that cannot stay goes only when there is a place for its successor.
    fn next_of_move(&mut self, pass: &mut Pass<'a>) -> Next {
        match self.take_place(pass) {
            Some(node) => Next::Now(Step::Move(node)),
            None => Next::Skip,
        }
    }

    fn take_step(&mut self, pass: &Pass<'_>, replica: &Replica, step: Step) {
        match step {
            Step::Prepare => self.actions.push(Action::Prepare { replica: replica.id.clone() }),
            Step::Advance => self.actions.push(Action::Advance { replica: replica.id.clone() }),
            Step::Move(node) => {
                self.remove(&replica.id);
                if self.service.holds_up(pass, replica).is_some() {
                    self.waiting = true;
                } else {
                    let service = self.service.name.clone();
                    self.actions.push(Action::Create { service, node, slot: None });
                }
            }
        }
    }
}

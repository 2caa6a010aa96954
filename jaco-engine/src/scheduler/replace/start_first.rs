//! Start-first: a new replica beside the old one, which goes once the new one has settled.

use std::cmp::Reverse;

use jaco_api::model::Replica;

use super::{
    super::{crowd::first_to_go, input::Outgoing, pass::Pass},
    Steps, count,
};

impl<'a> Steps<'_, 'a> {
    /// Replicas beyond the wanted number go: first those that do not serve, then those in the
    /// largest crowd, then the youngest.
    pub(super) fn drop_surplus_current(&mut self, pass: &Pass<'_>) {
        let surplus = count(self.service.current.len()).saturating_sub(self.desired);
        if surplus == 0 {
            return;
        }
        let serves = |r: &Replica| self.service.serves(r);
        let order = first_to_go(pass.state, self.service.planned, &self.service.current, serves);
        for replica in order.into_iter().take(surplus as usize) {
            self.remove(&replica.id);
        }
    }

    /// Start-first: new replicas up to `parallelism` at a time, old ones go as new ones settle.
    pub(super) fn replace_by_new(&mut self, pass: &mut Pass<'a>) {
        let service = self.service;
        let current = count(service.current.len()).min(self.desired);
        let outgoing = count(service.outgoing.len());
        let missing = self.desired.saturating_sub(count(service.present().count()).max(current));
        // Those that must be gone first take the place of those that are to come.
        let room = self.desired.saturating_sub(current + service.blocking);
        self.waiting |= service.blocking > 0 && current < self.desired;
        let mut created = self.create(pass, missing.min(room));
        let may_replace =
            service.outgoing.iter().any(|o| service.may_roll() || (o.moves && !o.outdated));
        let replacements = (self.desired - current)
            .saturating_sub(missing)
            .min(outgoing)
            .min(room - created)
            .min(self.parallelism().saturating_sub(self.under_way() + created));
        if may_replace && replacements > 0 && self.unplaced.is_none() && self.delay_is_over(pass) {
            created += self.create(pass, replacements);
        }
        self.drop_replaced(current + created);
        let comes = created > 0 || self.under_way() > 0 || service.wake_at.is_some();
        if !comes && !self.waiting {
            let given_up = self.give_up_forced();
            // Where they were not to be replaced, as after a rollout that was given up, they are missing from now on.
            let present = count(service.present().count()).saturating_sub(given_up);
            let missing = self.desired.saturating_sub(present.max(current));
            if given_up > 0 && self.unplaced.is_none() {
                self.create(pass, missing.min(room));
            }
        }
    }

    /// Nothing is going to replace these, and operators have given them up. How many they are.
    fn give_up_forced(&mut self) -> u32 {
        let mut given_up = 0;
        for outgoing in self.service.outgoing.iter().filter(|o| o.forced) {
            if !self.is_removed(outgoing.replica) {
                given_up += 1;
                self.left -= 1;
                self.remove(&outgoing.replica.id);
            }
        }
        given_up
    }

    /// Old replicas that are not needed any more: those that do not serve once there is a
    /// replacement, those that do, or may when their node is back, once enough others run.
    fn drop_replaced(&mut self, current: u32) {
        let service = self.service;
        let mut excess = (current + count(service.outgoing.len())).saturating_sub(self.desired);
        let serving = count(service.outgoing.iter().filter(|o| service.serves(o.replica)).count());
        let settled = self.tally.settled.min(self.desired);
        let enough = settled + serving >= self.desired;
        let mut spare = (settled + serving).saturating_sub(self.desired);
        let mut candidates = service.outgoing.clone();
        let crowd =
            |o: &Outgoing<'_>| service.present().filter(|r| r.node == o.replica.node).count();
        candidates.sort_by_key(|o| {
            (
                service.serves(o.replica),
                !o.forced,
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
            if outgoing.lost && !enough {
                continue;
            }
            excess -= 1;
            spare -= u32::from(serves);
            self.left -= 1;
            self.remove(&outgoing.replica.id);
        }
    }
}

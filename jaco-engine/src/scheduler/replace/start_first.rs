//! Start-first: a new replica beside the old one, which goes once the new one has settled.

use std::cmp::Reverse;

use super::{
    super::input::{Outgoing, Pass},
    Steps, count,
};

impl<'a> Steps<'_, 'a> {
    /// Replicas beyond the wanted number go: first those that do not serve, then the youngest.
    pub(super) fn drop_surplus_current(&mut self) {
        let surplus = count(self.service.current.len()).saturating_sub(self.desired);
        let mut candidates = self.service.current.clone();
        candidates.sort_by_key(|r| (self.service.serves(r), Reverse(r.id.slot.clone())));
        for replica in candidates.into_iter().take(surplus as usize) {
            self.remove(&replica.id);
        }
    }

    /// Start-first: new replicas up to `parallelism` at a time, old ones go as new ones settle.
    pub(super) fn replace_by_new(&mut self, pass: &mut Pass<'a>) {
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
}

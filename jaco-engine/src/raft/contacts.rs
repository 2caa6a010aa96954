//! Which members have answered lately, and who led.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jaco_api::model::NodeId;
use tokio::time::Instant;

/// What calls from and to the members told. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Contacts {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    members: BTreeMap<NodeId, Contact>,
    led: Option<(NodeId, Instant)>,
}

/// What is known of one member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Contact {
    /// When it last answered.
    pub(super) answered: Option<Instant>,
    /// When the first call began that it did not answer and that no answer has followed since; none
    /// for one that was never called.
    pub(super) silent_since: Option<Instant>,
}

impl Contacts {
    pub(super) fn answered(&self, peer: NodeId) {
        let contact = Contact { answered: Some(Instant::now()), silent_since: None };
        self.lock().members.insert(peer, contact);
    }

    /// It did not answer a call that began at `called`. That is no news if it has answered another
    /// one that began later.
    pub(super) fn silent(&self, peer: NodeId, called: Instant) {
        let mut known = self.lock();
        let contact = known.members.entry(peer).or_default();
        if contact.answered.is_none_or(|answered| answered <= called) {
            contact.silent_since.get_or_insert(called);
        }
    }

    /// A member has called as the leader does.
    pub(super) fn led_by(&self, leader: NodeId) {
        self.lock().led = Some((leader, Instant::now()));
    }

    /// Who last called as the leader does, and when.
    pub(super) fn led(&self) -> Option<(NodeId, Instant)> {
        self.lock().led
    }

    /// Whether a member has answered, or led, in this time.
    pub(super) fn heard_within(&self, peer: NodeId, time: Duration) -> bool {
        let led = self.led().filter(|(leader, _)| *leader == peer).map(|(_, at)| at);
        self.of(peer).answered.max(led).is_some_and(|at| at.elapsed() < time)
    }

    pub(super) fn of(&self, peer: NodeId) -> Contact {
        self.lock().members.get(&peer).copied().unwrap_or_default()
    }

    /// Since when too few of `voters` answer to be a majority together with `me`; `None` while
    /// enough of them do, or were never called.
    pub(super) fn minority_since(&self, voters: &BTreeSet<u64>, me: NodeId) -> Option<Instant> {
        let others = voters.iter().filter(|voter| **voter != me.0);
        let mut silent: Vec<Instant> =
            others.filter_map(|voter| self.of(NodeId(*voter)).silent_since).collect();
        silent.sort();
        // With so many silent, the rest is no majority.
        let too_many = voters.len().div_ceil(2);
        too_many.checked_sub(1).and_then(|last| silent.get(last)).copied()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_minority_counts_from_the_call_that_lost_the_majority() {
        let (contacts, me) = (Contacts::default(), NodeId(1));
        let voters = BTreeSet::from([1, 2, 3]);
        let pairs = BTreeSet::from([1, 2]);
        assert_eq!(contacts.minority_since(&voters, me), None, "nobody was called");
        assert_eq!(contacts.minority_since(&BTreeSet::from([1]), me), None);

        let first = Instant::now();
        contacts.silent(NodeId(2), first);
        assert_eq!(contacts.minority_since(&voters, me), None, "two of three are left");
        assert_eq!(contacts.minority_since(&pairs, me), Some(first), "one of two is not enough");

        tokio::time::advance(Duration::from_secs(1)).await;
        let second = Instant::now();
        contacts.silent(NodeId(3), second);
        tokio::time::advance(Duration::from_secs(1)).await;
        contacts.silent(NodeId(3), Instant::now());
        assert_eq!(contacts.minority_since(&voters, me), Some(second));

        contacts.answered(NodeId(2));
        assert_eq!(contacts.minority_since(&voters, me), None);
        contacts.silent(NodeId(2), second);
        assert_eq!(contacts.minority_since(&voters, me), None, "it has answered since");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_no_voter_counts_every_voter() {
        let (contacts, learner) = (Contacts::default(), NodeId(9));
        let voters = BTreeSet::from([1, 2, 3]);
        let now = Instant::now();
        contacts.silent(NodeId(1), now);
        assert_eq!(contacts.minority_since(&voters, learner), None);
        contacts.silent(NodeId(2), now);
        assert_eq!(contacts.minority_since(&voters, learner), Some(now));
    }
}

//! Keeps this node's assignment equal to what the newest state says and its lease allows.

use std::sync::Arc;

use jaco_api::model::{Assignment, NodeCondition};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{documents::OpenedDocuments, draining::Draining};
use crate::{
    assignment::{Holds, Leaving, fence, is_visited, project},
    control::Lease,
    rpc::Membership,
    state::State,
};

/// The assignment in force and how far it reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct InForce {
    /// Index of the state that it was made from.
    made: u64,
    /// Index of the newest state that asks for the same.
    until: u64,
}

impl InForce {
    /// The raft index up to which the networks are as assigned, when they are so by the assignment that
    /// was made from this state.
    pub(crate) fn confirmed(self, tidied: Option<u64>) -> Option<u64> {
        tidied.map(|tidied| if tidied == self.made { self.until } else { tidied })
    }
}

/// Projects every newest state until the state machine stops. A state that changes nothing for this
/// node wakes nobody. What visitors are led to goes on until they are led elsewhere.
pub(crate) async fn keep_assigned(
    membership: Arc<Membership>,
    draining: Draining,
    mut caught_up: watch::Receiver<bool>,
    mut lease: watch::Receiver<Lease>,
    assignments: Arc<watch::Sender<Option<Arc<Assignment>>>>,
    in_force: watch::Sender<InForce>,
) {
    let mut state = membership.state.subscribe();
    let mut documents = OpenedDocuments::new(membership.keyring.clone());
    let (mut fenced, mut behind) = (false, None);
    let mut held = Held { draining, holds: Holds::default(), waits: JoinSet::new(), asked: 0 };
    loop {
        let newest = state.newest();
        let ready = *caught_up.borrow_and_update();
        let granted = *lease.borrow_and_update();
        let now = Instant::now();
        behind = is_behind(behind, newest.index(), granted.commit, now);
        let over = is_fenced(fenced, &newest, &membership, granted, now)
            || behind.is_some_and(|behind| now >= behind.fence_at());
        if std::mem::replace(&mut fenced, over) != over {
            tracing::info!(fenced, "the lease says whether singletons may run here");
        }
        let mut next = documents.of(&newest, |d| project(&newest, membership.id, d, ready));
        if let Some(assignment) = next.as_mut() {
            if fenced {
                held.let_go();
                fence(&newest, assignment);
            } else {
                held.put_back(&membership, &newest, assignments.borrow().as_deref(), assignment);
            }
        }
        let asked = next.as_ref().map_or(newest.index(), |assignment| assignment.index);
        assignments.send_if_modified(|present| {
            let differs = !same(present.as_deref(), next.as_ref());
            if differs {
                *present = next.map(Arc::new);
            }
            differs
        });
        let made = assignments.borrow().as_ref().map_or(0, |a| a.index);
        in_force.send_replace(InForce { made, until: asked });
        held.asked = asked;
        let lease_ends = async {
            if fenced {
                std::future::pending().await
            } else {
                let ends = granted.fence_at();
                sleep_until(behind.map_or(ends, |behind| ends.min(behind.fence_at()))).await
            }
        };
        tokio::select! {
            changed = state.changed() => if changed.is_err() { return },
            Ok(()) = caught_up.changed() => {}
            Ok(()) = lease.changed(), if fenced => {}
            () = lease_ends => {}
            Some(ended) = held.waits.join_next() => {
                if let Ok(left) = ended {
                    held.holds.end(&left);
                }
            }
        }
    }
}

/// What is held back, and what is waited for.
struct Held {
    draining: Draining,
    holds: Holds,
    waits: JoinSet<Leaving>,
    /// Index of the last state that asked for what is in force.
    asked: u64,
}

impl Held {
    fn put_back(
        &mut self,
        membership: &Arc<Membership>,
        newest: &State,
        present: Option<&Assignment>,
        next: &mut Assignment,
    ) {
        let visited = |replica: &_| is_visited(newest, replica);
        for leaving in self.holds.put_back(present, next, self.asked, visited) {
            let (draining, membership) = (self.draining.clone(), Arc::clone(membership));
            let index = newest.index();
            self.waits.spawn(async move { draining.wait(&membership, index, leaving).await });
        }
    }

    /// A node that others may have given up holds nothing back.
    fn let_go(&mut self) {
        self.holds.clear();
        self.waits.abort_all();
    }
}

/// Whether others may have given this node up. What it owns is certain again once it has a lease, is
/// not counted as down, and has applied everything that was committed when the lease was granted.
fn is_fenced(
    fenced: bool,
    state: &State,
    membership: &Membership,
    lease: Lease,
    now: Instant,
) -> bool {
    let down = state.node(membership.id).is_none_or(|n| n.condition == NodeCondition::Down);
    let over = now >= lease.fence_at();
    down || over || (fenced && state.index() < lease.commit)
}

/// Since when this node has not applied what was committed at a time: it may be granted one lease after the other and
/// know nothing of what it has lost, as after a start while its log is not sent on. Counted like a lease that began
/// then.
fn is_behind(before: Option<Lease>, index: u64, commit: u64, now: Instant) -> Option<Lease> {
    match before {
        Some(behind) if index < behind.commit => Some(behind),
        _ => (index < commit).then_some(Lease { granted: now, commit }),
    }
}

/// Whether two assignments ask for the same; the state they were made from does not matter.
fn same(a: Option<&Assignment>, b: Option<&Assignment>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => {
            (&a.cluster, &a.node, a.caught_up, &a.replicas, &a.networks, &a.remove_volumes)
                == (&b.cluster, &b.node, b.caught_up, &b.replicas, &b.networks, &b.remove_volumes)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_worth_nothing_to_who_never_catches_up() {
        let start = Instant::now();
        let at = |ms| start + std::time::Duration::from_millis(ms);
        assert_eq!(is_behind(None, 7, 7, at(0)), None);
        let behind = is_behind(None, 7, 9, at(0)).unwrap();
        // More is committed all the time: what counts is what it lacked first.
        let still = is_behind(Some(behind), 8, 40, at(2_900)).unwrap();
        assert_eq!(still, behind);
        assert!(at(3_000) >= still.fence_at());
        // One that follows is never behind for long.
        let follows = is_behind(Some(behind), 9, 12, at(2_900)).unwrap();
        assert!(at(5_000) < follows.fence_at());
        assert_eq!(is_behind(Some(follows), 12, 12, at(3_000)), None);
    }

    #[test]
    fn what_holds_by_the_assignment_in_force_holds_until_the_newest_state() {
        let in_force = InForce { made: 10, until: 25 };
        assert_eq!(in_force.confirmed(None), None);
        assert_eq!(in_force.confirmed(Some(7)), Some(7), "of an earlier assignment");
        assert_eq!(in_force.confirmed(Some(10)), Some(25));
    }
}

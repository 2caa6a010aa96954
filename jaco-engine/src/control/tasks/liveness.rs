//! Declares nodes down whose lease ran out.
//!
//! A node says itself that it is back, once it has stopped what it no longer owns. A new leader gives
//! everybody one fresh lease: its sessions begin with its term. Only its predecessor's begins with the
//! last call it made as leader, for this node has waited for its next since then. Who joins or comes back
//! gets one too: its first sign of life may come after its first word in the log.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use jaco_api::{
    error::ApiError,
    model::{NodeCondition, NodeId, Timestamp},
};
use tokio::time::Instant;

use super::super::{
    driver::Task,
    propose::Propose,
    sessions::{LEASE, Sessions},
};
use crate::{
    clock::Clock,
    command::{Command, UpdateNode},
    state::State,
};

/// How long an election may take.
const ELECTION: Duration = Duration::from_millis(2_500);

/// Watches the leases.
pub(in crate::control) struct Liveness {
    sessions: Sessions,
    propose: Arc<dyn Propose>,
    clock: Arc<dyn Clock>,
    /// When this term began.
    since: Instant,
    /// Who led before, and when it was last heard of as the leader.
    former: Option<(NodeId, Instant)>,
    /// When each node that is not down was given its first lease.
    granted: BTreeMap<NodeId, Instant>,
}

impl Liveness {
    pub(in crate::control) fn new(
        former: Option<(NodeId, Instant)>,
        sessions: Sessions,
        propose: Arc<dyn Propose>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { sessions, propose, clock, since: Instant::now(), former, granted: BTreeMap::new() }
    }

    /// Gives first leases to those who are up and have none.
    fn grant(&mut self, up: &BTreeSet<NodeId>, now: Instant) {
        let term_begins = self.granted.is_empty();
        self.granted.retain(|node, _| up.contains(node));
        for node in up.difference(&self.granted.keys().copied().collect()) {
            let from = if term_begins { self.inherited(*node) } else { now };
            self.granted.insert(*node, from);
        }
    }

    /// From when the first lease counts of a node that was up when the term began.
    fn inherited(&self, node: NodeId) -> Instant {
        match self.former {
            // One that was heard of longer ago is not who lost this election.
            Some((former, heard)) if former == node && heard + ELECTION >= self.since => heard,
            _ => self.since,
        }
    }

    /// What is left of a node's lease.
    fn left(&self, node: NodeId, now: Instant) -> Duration {
        let granted = self.granted.get(&node).copied();
        let last = self.sessions.heard_at(node).max(granted);
        last.map_or(Duration::ZERO, |last| (last + LEASE).saturating_duration_since(now))
    }

    async fn declare_down(&self, node: NodeId) -> Result<(), ApiError> {
        let reason = format!("not heard of for {} s", LEASE.as_secs());
        let condition = Some((NodeCondition::Down, Some(reason)));
        let update = UpdateNode { node, facts: None, condition };
        self.propose.propose(None, Command::UpdateNode(update)).await.map(|_| ())
    }
}

#[async_trait]
impl Task for Liveness {
    fn name(&self) -> &'static str {
        "liveness"
    }

    async fn pass(&mut self, state: Arc<State>) -> Result<Option<Timestamp>, ApiError> {
        self.sessions.keep(|node| state.node(node).is_some());
        let now = Instant::now();
        let up = state.nodes().filter(|n| n.condition != NodeCondition::Down);
        let up: BTreeSet<NodeId> = up.map(|n| n.id).collect();
        self.grant(&up, now);
        let mut next: Option<Duration> = None;
        for node in up {
            let left = self.left(node, now);
            if left.is_zero() {
                self.declare_down(node).await?;
            } else {
                next = Some(next.map_or(left, |next| next.min(left)));
            }
        }
        // Leases are extended meanwhile: whoever is due then is looked at again.
        Ok(next.map(|span| self.clock.now().after(span + Duration::from_millis(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{command::Outcome, testing::ManualClock};

    struct Nobody;

    #[async_trait]
    impl Propose for Nobody {
        async fn propose(&self, _: Option<String>, _: Command) -> Result<Outcome, ApiError> {
            unreachable!("nothing is declared")
        }
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// The task of a term that begins now, with these nodes up.
    fn task(former: Option<(u64, Instant)>, up: &[u64]) -> Liveness {
        let former = former.map(|(id, heard)| (NodeId(id), heard));
        let clock = Arc::new(ManualClock::default());
        let mut task = Liveness::new(former, Sessions::default(), Arc::new(Nobody), clock);
        task.grant(&ids(up), Instant::now());
        task
    }

    fn ids(up: &[u64]) -> BTreeSet<NodeId> {
        up.iter().copied().map(NodeId).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_former_leader_has_its_lease_since_it_was_last_heard_of() {
        tokio::time::advance(seconds(60)).await;
        let heard = Instant::now();
        tokio::time::advance(seconds(2)).await;
        let began = Instant::now();
        let leads = task(Some((1, heard)), &[1, 2]);
        assert_eq!(leads.left(NodeId(1), began), seconds(2));
        assert_eq!(leads.left(NodeId(2), began), seconds(4), "all others a fresh one");
        let long_ago = task(Some((1, heard - seconds(30))), &[1]);
        assert_eq!(long_ago.left(NodeId(1), began), seconds(4), "somebody else led since");
        // A sign of life counts for every node alike.
        leads.sessions.heard(NodeId(1), jaco_api::pb::NodeLoad::default());
        assert_eq!(leads.left(NodeId(1), began), LEASE);
    }

    #[tokio::test(start_paused = true)]
    async fn who_joins_or_comes_back_is_given_a_lease_before_its_first_sign_of_life() {
        let mut task = task(None, &[1]);
        tokio::time::advance(seconds(60)).await;
        task.grant(&ids(&[1, 2]), Instant::now());
        assert_eq!(task.left(NodeId(2), Instant::now()), LEASE);
        assert_eq!(task.left(NodeId(1), Instant::now()), seconds(0), "its own ran out long ago");
        tokio::time::advance(seconds(3)).await;
        task.grant(&ids(&[1, 2]), Instant::now());
        assert_eq!(task.left(NodeId(2), Instant::now()), seconds(1));
        // Down for a while, then up by its own word.
        task.grant(&ids(&[1]), Instant::now());
        tokio::time::advance(seconds(60)).await;
        task.grant(&ids(&[1, 2]), Instant::now());
        assert_eq!(task.left(NodeId(2), Instant::now()), LEASE);
    }
}

//! Declares nodes down whose lease ran out.
//!
//! A node says itself that it is back, once it has stopped what it no longer owns. A new leader gives
//! everybody one fresh lease: its sessions begin with its term. Only its predecessor's begins with the
//! last call it made as leader, for this node has waited for its next since then.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jaco_api::{
    error::ApiError,
    model::{Node, NodeCondition, NodeId, Timestamp},
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

/// How long an election may have taken.
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
}

impl Liveness {
    pub(in crate::control) fn new(
        former: Option<(NodeId, Instant)>,
        sessions: Sessions,
        propose: Arc<dyn Propose>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { sessions, propose, clock, since: Instant::now(), former }
    }

    /// From when a node's first lease counts.
    fn granted(&self, node: NodeId) -> Instant {
        match self.former {
            // Voters that still heard it have elected nobody for as long as that: it has not been
            // sure to lead for longer.
            Some((former, heard)) if former == node => {
                self.since.checked_sub(ELECTION).map_or(heard, |earliest| heard.max(earliest))
            }
            _ => self.since,
        }
    }

    /// What is left of a node's lease.
    fn left(&self, node: &Node, now: Instant) -> Duration {
        let granted = self.granted(node.id);
        let heard = self.sessions.heard_at(node.id).map_or(granted, |heard| heard.max(granted));
        (heard + LEASE).saturating_duration_since(now)
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
        let mut next: Option<Duration> = None;
        for node in state.nodes().filter(|n| n.condition != NodeCondition::Down) {
            let left = self.left(node, now);
            if left.is_zero() {
                self.declare_down(node.id).await?;
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
    use crate::{
        command::Outcome,
        testing::{ManualClock, builders::node},
    };

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

    #[tokio::test(start_paused = true)]
    async fn the_former_leader_has_its_lease_since_it_was_last_heard_of() {
        tokio::time::advance(seconds(60)).await;
        let heard = Instant::now();
        tokio::time::advance(seconds(2)).await;
        let began = Instant::now();
        let task = |heard| {
            let former = Some((NodeId(1), heard));
            let clock = Arc::new(ManualClock::default());
            Liveness::new(former, Sessions::default(), Arc::new(Nobody), clock)
        };
        assert_eq!(task(heard).left(&node(1), began), seconds(2));
        assert_eq!(task(heard).left(&node(2), began), seconds(4), "all others a fresh one");
        // Who was out of hearing of this node alone may have led until the election.
        let left = task(heard - seconds(30)).left(&node(1), began);
        assert_eq!(left, LEASE - ELECTION);
        // A sign of life counts for every node alike.
        let task = task(heard);
        task.sessions.heard(NodeId(1), jaco_api::pb::NodeLoad::default());
        assert_eq!(task.left(&node(1), began), LEASE);
    }
}

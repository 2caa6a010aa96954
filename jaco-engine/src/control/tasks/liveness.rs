//! Declares nodes down whose lease ran out.
//!
//! A node says itself that it is back, once it has stopped what it no longer owns. A new leader gives
//! everybody one fresh lease: its sessions begin with its term.

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

/// Watches the leases.
pub(in crate::control) struct Liveness {
    sessions: Sessions,
    propose: Arc<dyn Propose>,
    clock: Arc<dyn Clock>,
    /// When this term began.
    since: Instant,
}

impl Liveness {
    pub(in crate::control) fn new(
        sessions: Sessions,
        propose: Arc<dyn Propose>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { sessions, propose, clock, since: Instant::now() }
    }

    /// What is left of a node's lease.
    fn left(&self, node: &Node, now: Instant) -> Duration {
        let heard = self.sessions.heard_at(node.id).unwrap_or(self.since).max(self.since);
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

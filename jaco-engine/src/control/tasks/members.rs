//! Keeps the raft group equal to what the nodes of the state call for, one change at a time.
//!
//! Which change is next is decided in [`voters`](crate::raft::voters); this only looks, measures how
//! long nodes have been reachable, and carries it out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use jaco_api::{
    error::ApiError,
    model::{Availability, Node, NodeCondition, NodeId, Timestamp},
};
use tokio::time::Instant;

use super::super::{
    driver::Task,
    group::Group,
    propose::Propose,
    sessions::{HEARTBEAT, Sessions},
};
use crate::{
    clock::Clock,
    command::{Command, RemoveNode},
    raft::voters::{self, Change, Reach},
    scheduler,
    state::State,
};

/// How long a node must have been reachable before it gets a vote.
const STEADY: Duration = Duration::from_secs(3);
/// A node that is not heard of for so long is not steady.
const SILENCE: Duration = Duration::from_millis(2_500);
/// Pause between two looks while something is under way that no change of the state tells.
const LOOK: Duration = Duration::from_millis(500);

/// Changes the group.
pub(in crate::control) struct Members {
    me: NodeId,
    group: Arc<dyn Group>,
    sessions: Sessions,
    propose: Arc<dyn Propose>,
    clock: Arc<dyn Clock>,
    /// Since when each node has been heard of without a pause.
    steady_since: BTreeMap<NodeId, Instant>,
}

impl Members {
    pub(in crate::control) fn new(
        me: NodeId,
        group: Arc<dyn Group>,
        sessions: Sessions,
        propose: Arc<dyn Propose>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { me, group, sessions, propose, clock, steady_since: BTreeMap::new() }
    }

    fn reach(&mut self, state: &State) -> Reach {
        let (now, at) = (Instant::now(), self.clock.now());
        let mut steady = BTreeSet::new();
        for node in state.nodes() {
            let heard = self.sessions.heard_at(node.id);
            if heard.is_none_or(|heard| now.duration_since(heard) > SILENCE.max(HEARTBEAT)) {
                self.steady_since.remove(&node.id);
            } else if now.duration_since(*self.steady_since.entry(node.id).or_insert(now)) >= STEADY
            {
                steady.insert(node.id);
            }
        }
        self.steady_since.retain(|id, _| state.node(*id).is_some());
        let patience = state.settings().voter_replace_after.to_std();
        let given_up = |n: &&Arc<Node>| {
            n.condition == NodeCondition::Down && at.since(n.condition_since) >= patience
        };
        Reach {
            steady,
            given_up: state.nodes().filter(given_up).map(|n| n.id).collect(),
            emptied: state.nodes().filter(|n| is_emptied(state, n, at)).map(|n| n.id).collect(),
        }
    }

    /// Whether something is under way that no change of the state tells.
    fn unsettled(&self, state: &State) -> bool {
        let group = self.group.status();
        let leaving = |n: &Arc<Node>| n.availability == Availability::Leaving;
        let stay = state.nodes().filter(|n| !leaving(n)).count();
        group.members.len() != state.nodes().count()
            || group.voters().count() != voters::voters_of(stay)
            || state.nodes().any(|n| leaving(n) || n.condition == NodeCondition::Down)
    }

    async fn carry_out(&self, change: Change) -> Result<(), ApiError> {
        tracing::info!(?change, "the raft group changes");
        match change {
            Change::Remove(node) => {
                let command = Command::RemoveNode(RemoveNode { node });
                self.propose.propose(None, command).await.map(|_| ())
            }
            change => self.group.change(change).await,
        }
    }
}

/// Whether a node that is to leave has nothing left.
fn is_emptied(state: &State, node: &Node, now: Timestamp) -> bool {
    node.availability == Availability::Leaving
        && scheduler::drain::left(state, node.id, now).is_empty()
}

#[async_trait]
impl Task for Members {
    fn name(&self) -> &'static str {
        "members"
    }

    async fn pass(&mut self, state: Arc<State>) -> Result<Option<Timestamp>, ApiError> {
        let reach = self.reach(&state);
        let change = voters::next(&state, &self.group.status(), self.me, &reach);
        let busy = change.is_some();
        if let Some(change) = change {
            self.carry_out(change).await?;
        }
        Ok((busy || self.unsettled(&state)).then(|| self.clock.now().after(LOOK)))
    }
}

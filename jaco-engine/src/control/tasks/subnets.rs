//! Ends the quarantine of blocks of addresses once every member has confirmed that their bridge is gone.
//!
//! What members confirm comes with their signs of life and stays in the leader's memory: a new leader
//! hears it again within a second. A member that is down has confirmed nothing: its bridges may still
//! be there. Nothing is written while nothing is in quarantine.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jaco_api::{
    error::ApiError,
    model::{NodeCondition, NodeId, Subnet, Timestamp},
};

use super::super::{driver::Task, propose::Propose, sessions::Sessions};
use crate::{
    clock::Clock,
    command::{Command, ReleaseSubnets},
    state::State,
};

/// Pause between two looks while something is in quarantine: no change of the state tells what members
/// confirm.
const LOOK: Duration = Duration::from_secs(1);
/// Blocks of one entry of the log.
const AT_A_TIME: usize = 256;

/// Gives blocks back to everybody.
pub(in crate::control) struct Subnets {
    sessions: Sessions,
    propose: Arc<dyn Propose>,
    clock: Arc<dyn Clock>,
}

impl Subnets {
    pub(in crate::control) fn new(
        sessions: Sessions,
        propose: Arc<dyn Propose>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { sessions, propose, clock }
    }
}

/// The raft index up to which the networks of every member are as assigned; absent while one of them has
/// not told.
fn confirmed(state: &State, told: impl Fn(NodeId) -> Option<u64>) -> Option<u64> {
    let of = |node: &Arc<jaco_api::model::Node>| match node.condition {
        NodeCondition::Down => None,
        _ => told(node.id),
    };
    state.nodes().map(of).try_fold(u64::MAX, |least, told| Some(least.min(told?)))
}

#[async_trait]
impl Task for Subnets {
    fn name(&self) -> &'static str {
        "subnets"
    }

    async fn pass(&mut self, state: Arc<State>) -> Result<Option<Timestamp>, ApiError> {
        if !state.has_quarantine() {
            return Ok(None);
        }
        let told = |node| self.sessions.of(node)?.load.networks;
        if let Some(index) = confirmed(&state, told) {
            let over = state.quarantined_until(index).take(AT_A_TIME);
            let subnets: Vec<_> = over.map(|row| Subnet::clone(row)).collect();
            if !subnets.is_empty() {
                tracing::debug!(blocks = subnets.len(), index, "the quarantine is over");
                let command = Command::ReleaseSubnets(ReleaseSubnets { subnets });
                self.propose.propose(None, command).await?;
            }
        }
        Ok(Some(self.clock.now().after(LOOK)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::world::World;

    #[test]
    fn the_slowest_member_counts_and_one_that_is_down_has_confirmed_nothing() {
        let mut world = World::new(&["a", "b", "c"]);
        let told = |node: NodeId| Some(10 * node.0);
        assert_eq!(confirmed(world.state(), told), Some(10));
        let silent = |node: NodeId| told(node).filter(|told| *told != 20);
        assert_eq!(confirmed(world.state(), silent), None);
        world.node_condition("c", NodeCondition::Down);
        assert_eq!(confirmed(world.state(), told), None);
        world.node_condition("c", NodeCondition::Degraded);
        assert_eq!(confirmed(world.state(), told), Some(10), "it has told nevertheless");
    }
}

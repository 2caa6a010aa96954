//! Since when this leader has seen nodes lost, by its monotonic clock.
//!
//! The state tells it by the clock of whoever led then. A wait that keeps two copies apart must not be
//! shortened by the skew between two leaders, nor by a clock that is set.

use std::collections::BTreeMap;

use jaco_api::model::{NodeCondition, NodeId, Timestamp};
use tokio::time::Instant;

use crate::state::State;

/// Nodes that are lost, and since when each is in its condition.
#[derive(Debug, Default)]
pub(super) struct LostNodes(BTreeMap<NodeId, (NodeCondition, Instant)>);

impl LostNodes {
    /// Looks at the state and says since when nodes are lost, as times of the caller's `now`.
    pub(super) fn look(&mut self, state: &State, now: Timestamp) -> BTreeMap<NodeId, Timestamp> {
        let instant = Instant::now();
        let mut seen = BTreeMap::new();
        for node in state.nodes().filter(|n| !n.condition.holds_replicas()) {
            let known = self.0.get(&node.id).filter(|(condition, _)| *condition == node.condition);
            seen.insert(node.id, *known.unwrap_or(&(node.condition, instant)));
        }
        self.0 = seen;
        let since = |at: &Instant| {
            let passed = u64::try_from((instant - *at).as_millis()).unwrap_or(u64::MAX);
            Timestamp(now.0.saturating_sub(passed))
        };
        self.0.iter().map(|(node, (_, at))| (*node, since(at))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::world::World;

    #[tokio::test(start_paused = true)]
    async fn a_wait_begins_when_this_leader_first_sees_the_condition() {
        let mut world = World::new(&["a", "b"]);
        let b = world.node_id("b");
        let mut lost = LostNodes::default();
        assert!(lost.look(world.state(), Timestamp(1_000)).is_empty());
        world.node_condition("b", NodeCondition::Degraded);
        assert_eq!(lost.look(world.state(), Timestamp(50_000))[&b], Timestamp(50_000));
        tokio::time::advance(Duration::from_secs(3)).await;
        // The clock was set an hour ahead meanwhile: three seconds have passed.
        assert_eq!(lost.look(world.state(), Timestamp(3_650_000))[&b], Timestamp(3_647_000));
        world.node_condition("b", NodeCondition::Down);
        assert_eq!(lost.look(world.state(), Timestamp(60_000))[&b], Timestamp(60_000));
        world.node_condition("b", NodeCondition::Ready);
        assert!(lost.look(world.state(), Timestamp(61_000)).is_empty());
    }
}

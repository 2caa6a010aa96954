//! Whether a node stops by itself what must not run twice: one answer for the scheduler that plans and
//! the state machine that refuses.

use jaco_api::model::{NodeCondition, NodeId};

use super::State;

/// Whether a node stops its singletons by its own clock: it is down, that is, its lease has run out.
/// One whose engine does not answer still gets leases, so nobody knows what runs there. One that is
/// no member runs nothing any more.
#[must_use]
pub fn is_cut_off(state: &State, node: NodeId) -> bool {
    state.node(node).is_none_or(|n| n.condition == NodeCondition::Down)
}

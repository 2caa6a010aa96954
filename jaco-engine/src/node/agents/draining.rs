//! Asks every node whether it leads visitors elsewhere before a replica of this node is stopped.
//!
//! Nothing is decided here: who is held back and what becomes of it is said by [`Holds`](crate::assignment::Holds).

use std::sync::Arc;

use futures::future::join_all;
use jaco_api::model::{Node, NodeCondition};

use crate::{
    assignment::Leaving,
    rpc::{Membership, OwnServing, Peers, led_away, led_away_by},
};

/// What this node serves, and how others are asked for the same.
#[derive(Clone)]
pub(crate) struct Draining {
    pub(crate) serving: Arc<dyn OwnServing>,
    pub(crate) peers: Arc<dyn Peers>,
}

impl Draining {
    /// Waits until no node leads visitors to the replica and none of their requests is under way there, no longer
    /// than its grace. A node that does not answer is not waited for.
    pub(crate) async fn wait(
        &self,
        membership: &Membership,
        index: u64,
        leaving: Leaving,
    ) -> Leaving {
        let state = membership.state.newest();
        let nodes = state.nodes().filter(|node| node.condition != NodeCondition::Down);
        let each = nodes
            .map(|node| async { while !self.led_away(membership, node, index, &leaving).await {} });
        let grace = leaving.grace.to_std();
        if tokio::time::timeout(grace, join_all(each)).await.is_err() {
            tracing::info!(replica = %leaving.id, "is stopped with requests under way");
        }
        leaving
    }

    async fn led_away(
        &self,
        membership: &Membership,
        node: &Node,
        index: u64,
        leaving: &Leaving,
    ) -> bool {
        if node.id == membership.id {
            return led_away(&*self.serving, &leaving.addresses, index).await;
        }
        let asked = led_away_by(&*self.peers, node, &leaving.addresses, index).await;
        asked.unwrap_or_else(|error| {
            tracing::debug!(%error, "whether visitors are led elsewhere is not known");
            true
        })
    }
}

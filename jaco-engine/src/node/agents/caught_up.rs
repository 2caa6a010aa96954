//! Finds out when this node's state holds everything the leader had committed when the node
//! started: before that nothing is stopped, removed or restarted on the strength of it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::rpc::Membership;

/// Sets `caught_up` once, and keeps it until the node stops.
pub(crate) async fn catch_up(membership: Arc<Membership>, caught_up: watch::Sender<bool>) {
    if membership.raft.caught_up().await.is_ok() {
        tracing::info!(index = membership.state.newest().index(), "caught up with the cluster");
        caught_up.send_replace(true);
    }
    // The agents watch this channel: it must not close before them.
    caught_up.closed().await;
}

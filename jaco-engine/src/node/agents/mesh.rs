//! Keeps the mesh equal to what the members are.

use std::{sync::Arc, time::Duration};

use jaco_net::MeshDevice;
use tokio::sync::watch;

use crate::{retry::Backoff, rpc::Membership};

/// A cluster of one has nobody to reach: once the node knows that it is alone, what an earlier
/// cluster left behind goes. An empty view that is not caught up is never acted on.
pub(crate) async fn keep_meshed(
    mesh: Arc<dyn MeshDevice>,
    membership: Arc<Membership>,
    mut caught_up: watch::Receiver<bool>,
) {
    if caught_up.wait_for(|ready| *ready).await.is_err() {
        return;
    }
    let mut pauses = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    while membership.state.newest().nodes().count() == 1 {
        match mesh.remove().await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "the mesh interface could not be removed"),
        }
        tokio::time::sleep(pauses.pause()).await;
    }
}

//! The end of this node's membership: it was removed, and becomes what it was before it joined.
//!
//! Containers and networks of the cluster go, then what is on disk: a crash in between leaves a node that
//! goes on with it when it is started again. Volumes stay: they may be all that is
//! left of somebody's data.

use std::time::Duration;

use super::{NodeError, keeper::Keeper, ports::Reserved, readiness::Readiness};

/// How long containers may take to stop.
const STOPPING: Duration = Duration::from_secs(60);
/// How long the log may take to stop.
const LOG_PATIENCE: Duration = Duration::from_secs(8);

impl Keeper {
    /// Forgets the cluster.
    pub(crate) async fn leave(&mut self) {
        tracing::warn!(node = %self.name, "this node leaves its cluster");
        self.seams.transport().detached();
        let membership = self.membership.send_replace(None);
        if let (Some(part), Some(membership)) = (self.part.take(), membership) {
            part.clear(&self.seams, membership.cluster, membership.name.clone(), STOPPING).await;
        }
        self.seams.readiness.send_replace(Readiness::Alone);
        self.ports_open.cancel();
        if let Some(consensus) = self.consensus.take()
            && let Err(error) = consensus.raft.shutdown(LOG_PATIENCE).await
        {
            tracing::error!(%error, "the log was abandoned");
        }
        match self.begin_anew().await {
            Ok(()) => tracing::info!(node = %self.name, "this node belongs to no cluster any more"),
            Err(error) => {
                // What is left on disk is looked at by the next start.
                tracing::error!(error = &error as &dyn std::error::Error, "restart this node");
                self.stop.cancel();
            }
        }
    }

    /// What the node has before it belongs to a cluster: an empty data directory and its ports.
    async fn begin_anew(&mut self) -> Result<(), NodeError> {
        self.directory.forget_member()?;
        self.storage = (self.open_storage)(&self.directory.raft()).map_err(NodeError::Storage)?;
        self.ports_open = self.stop.child_token();
        if self.seams.transport().needs_ports() {
            self.ports = Some(Reserved::again(&self.config, self.addresses).await?);
        }
        Ok(())
    }
}

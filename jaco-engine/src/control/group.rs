//! The seams to raft's membership and to the data keys: tests need neither.

use async_trait::async_trait;
use jaco_api::{error::ApiError, model::NodeId};
use tokio::time::Instant;

use crate::raft::{Raft, RaftStatus, voters::Change};

/// The raft group, as its leader changes it.
#[async_trait]
pub trait Group: Send + Sync + 'static {
    /// What the leader knows of it.
    fn status(&self) -> RaftStatus;
    /// Who last called this node as the leader does, and when.
    fn former_leader(&self) -> Option<(NodeId, Instant)>;
    /// Makes one change; [`Change::Remove`] is none of the group.
    ///
    /// # Errors
    /// Why it could not be made now.
    async fn change(&self, change: Change) -> Result<(), ApiError>;
}

#[async_trait]
impl Group for Raft {
    fn status(&self) -> RaftStatus {
        Raft::status(self).borrow().clone()
    }

    fn former_leader(&self) -> Option<(NodeId, Instant)> {
        Raft::former_leader(self)
    }

    async fn change(&self, change: Change) -> Result<(), ApiError> {
        match change {
            Change::Follow(peer) => self.add_learner(peer).await?,
            Change::Relocate(peer) => self.update_member(peer).await?,
            Change::Vote(voters) => self.set_voters(voters).await?,
            Change::Drop(id) => self.remove_learner(id).await?,
            Change::HandOver(to) => self.transfer_leader(to).await?,
            Change::Remove(_) => {}
        }
        Ok(())
    }
}

/// Makes data keys.
#[async_trait]
pub trait Rekey: Send + Sync + 'static {
    /// Makes a new data key, gives it to the members and puts it in force.
    ///
    /// # Errors
    /// Too few members took it, or the cluster cannot be written to.
    async fn rotate(&self) -> Result<u32, ApiError>;
}

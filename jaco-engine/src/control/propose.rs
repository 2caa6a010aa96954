//! The seam to the write path: tests count what is proposed, nothing else needs raft.

use async_trait::async_trait;
use jaco_api::{
    error::ApiError,
    model::{Actor, NodeName},
};

use crate::{
    command::{Command, Outcome},
    submit::Submitter,
};

/// Writes what the leader's tasks decide.
#[async_trait]
pub trait Propose: Send + Sync + 'static {
    /// Commits a command. One with a request id has an effect only once.
    ///
    /// # Errors
    /// The rejection, or why it did not get through.
    async fn propose(
        &self,
        request_id: Option<String>,
        command: Command,
    ) -> Result<Outcome, ApiError>;
}

/// Writes as the cluster itself, through the one write path.
#[derive(Debug, Clone)]
pub struct Proposer {
    submitter: Submitter,
    node: NodeName,
}

impl Proposer {
    /// Writes in the name of the cluster, on this node.
    #[must_use]
    pub fn new(submitter: Submitter, node: NodeName) -> Self {
        Self { submitter, node }
    }
}

#[async_trait]
impl Propose for Proposer {
    async fn propose(
        &self,
        request_id: Option<String>,
        command: Command,
    ) -> Result<Outcome, ApiError> {
        let actor = Actor::system(Some(self.node.clone()));
        self.submitter.submit(actor, request_id, command).await
    }
}

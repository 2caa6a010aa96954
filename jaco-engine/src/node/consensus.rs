//! The log of this node and everything that reads or writes it.

use std::{sync::Arc, time::Duration};

use jaco_api::{error::ApiError, model::NodeId};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{NodeError, desk::NodeDesk, directory::MemberFile, seams::Seams};
use crate::{
    control::{Board, Lease, Sessions},
    raft::{Member, Raft, RaftOptions, RaftStorage},
    retry::Backoff,
    rpc::Membership,
    seal::Keyring,
    state::State,
};

/// How long the founder of a cluster may take to lead itself.
const ELECTION: Duration = Duration::from_secs(10);

/// The log of this node and everything that reads or writes it.
#[derive(Clone)]
pub(crate) struct Consensus {
    pub(crate) raft: Raft,
    pub(crate) keyring: Keyring,
    pub(crate) sessions: Sessions,
}

impl Consensus {
    /// Starts the log where the storage left off.
    pub(crate) async fn start(
        id: NodeId,
        storage: Arc<dyn RaftStorage>,
        seams: &Seams,
        keyring: Keyring,
    ) -> Result<Self, NodeError> {
        let sessions = Sessions::default();
        let desk = NodeDesk {
            keyring: keyring.clone(),
            sessions: sessions.clone(),
            clock: Arc::clone(&seams.clock),
        };
        let options = RaftOptions {
            id,
            storage,
            transport: seams.transport(),
            clock: Arc::clone(&seams.clock),
            timing: seams.timing.clone(),
            desk: Arc::new(desk),
        };
        let raft = Raft::start(options).await.map_err(NodeError::Raft)?;
        Ok(Self { raft, keyring, sessions })
    }

    /// Makes this node the one voter of its log. Nothing happens when the log has voters already.
    pub(crate) async fn stand_alone(&self, me: Member) -> Result<(), NodeError> {
        self.raft.initialize(me).await.map_err(NodeError::Raft)
    }

    /// The state with everything that was committed before this call.
    pub(crate) async fn present(&self) -> Result<Arc<State>, ApiError> {
        let deadline = Instant::now() + ELECTION;
        let mut pauses = Backoff::new(Duration::from_millis(10), Duration::from_millis(200));
        loop {
            match self.raft.present().await {
                Err(error) if Instant::now() < deadline => {
                    tracing::debug!(%error, "the log does not answer yet");
                    sleep(pauses.pause()).await;
                }
                result => return result,
            }
        }
    }

    /// What the API works with, once the node is a member.
    pub(crate) fn membership(self, member: &MemberFile) -> Membership {
        let Self { raft, keyring, .. } = self;
        let MemberFile { cluster, node: id, name, others } = member.clone();
        let (state, submitter) = (raft.state(), raft.submitter());
        if let Some(cluster) = state.newest().cluster() {
            // When it is missing, it is fetched: see `agents::keys`.
            let _ = keyring.put_in_force(cluster.data_key);
        }
        let board = Board::default();
        let lease = Arc::new(watch::Sender::new(Lease::at_start()));
        Membership { cluster, id, name, others, state, submitter, raft, keyring, board, lease }
    }
}

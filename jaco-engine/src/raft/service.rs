//! What a member answers to another: the receiving end of every transport.

use std::sync::Arc;

use bytes::Bytes;
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{NodeId, NodeName},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;

use super::{
    desk::{Ask, Desk, Told},
    network::SnapshotHeader,
    status::RaftStatus,
    transport::{PeerReply, PeerRequest},
    types::Snapshot,
    writer::Writer,
};
use crate::{
    command,
    submit::{Failed, LogWriter as _},
    watch::StateWatch,
};

/// Answers the calls of other members. Who calls was checked before: see `server`.
#[derive(Clone)]
pub struct PeerService {
    pub(super) raft: super::handle::Group,
    pub(super) writer: Arc<Writer>,
    pub(super) desk: Arc<dyn Desk>,
    pub(super) state: StateWatch,
    pub(super) status: watch::Receiver<RaftStatus>,
}

impl std::fmt::Debug for PeerService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PeerService")
    }
}

/// Who may make a call, of the nodes that hold a certificate of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entrance {
    /// Members, and those that this node may not have heard of yet: one that joins or lags knows no
    /// newer members, and they may introduce themselves.
    Raft,
    /// Members.
    Members,
    /// Also those that were members: one that was removed while it was away learns of it so.
    Everybody,
}

impl PeerRequest {
    fn entrance(&self) -> Entrance {
        match self {
            Self::AppendEntries(_)
            | Self::Vote(_)
            | Self::PreVote(_)
            | Self::TransferLeader(_)
            | Self::Snapshot { .. } => Entrance::Raft,
            Self::Ask(Ask::Heartbeat(_)) => Entrance::Everybody,
            Self::Propose { .. } | Self::ReadIndex | Self::Ask(_) => Entrance::Members,
        }
    }
}

/// What a node is to this one.
enum Standing {
    Member,
    /// It was a member.
    Removed,
    /// It may be a member that was admitted after what this node knows.
    Unknown,
}

pub(super) fn denied(why: &str) -> ApiError {
    ApiError::new(ErrorCode::PermissionDenied, why)
}

impl PeerService {
    /// Refuses a call of a node that may not make it; the transport knows who calls.
    ///
    /// # Errors
    /// `permission_denied`.
    pub fn admit(
        &self,
        caller: NodeId,
        name: &NodeName,
        request: &PeerRequest,
    ) -> Result<(), ApiError> {
        self.admit_through(request.entrance(), caller, name)
    }

    pub(super) fn admit_through(
        &self,
        entrance: Entrance,
        caller: NodeId,
        name: &NodeName,
    ) -> Result<(), ApiError> {
        match (entrance, self.standing(caller, name)) {
            (Entrance::Everybody, _)
            | (_, Standing::Member)
            | (Entrance::Raft, Standing::Unknown) => Ok(()),
            _ => Err(denied("the certificate's node is no member")),
        }
    }

    /// What is known here of a node.
    fn standing(&self, caller: NodeId, name: &NodeName) -> Standing {
        let status = self.status.borrow();
        let state = self.state.newest();
        if status.members.get(&caller).is_some_and(|m| m.member.name == *name)
            || state.node(caller).is_some_and(|n| n.name == *name)
        {
            return Standing::Member;
        }
        match state.cluster() {
            Some(cluster) if caller.0 <= cluster.last_node => Standing::Removed,
            _ => Standing::Unknown,
        }
    }

    /// Answers one call of a member.
    ///
    /// # Errors
    /// `no_leader` when this node cannot answer now, `version_mismatch` when it does not understand
    /// the caller, or the rejection of a proposed command's format.
    pub async fn handle(
        &self,
        caller: NodeId,
        request: PeerRequest,
    ) -> Result<PeerReply, ApiError> {
        let raft = &self.raft;
        match request {
            PeerRequest::AppendEntries(bytes) => {
                self.writer.network.contacts.led_by(caller);
                answer(raft.append_entries(decode(&bytes)?).await)
            }
            PeerRequest::Vote(bytes) => answer(raft.vote(decode(&bytes)?).await),
            PeerRequest::PreVote(bytes) => answer(raft.pre_vote(decode(&bytes)?).await),
            PeerRequest::TransferLeader(bytes) => {
                answer(raft.handle_transfer_leader(decode(&bytes)?).await)
            }
            PeerRequest::Snapshot { header, data } => {
                let (vote, meta): SnapshotHeader = decode(&header)?;
                let snapshot = Snapshot { meta, snapshot: data };
                answer(raft.install_full_snapshot(vote, snapshot).await)
            }
            PeerRequest::Propose { envelope, relayed } => {
                self.propose(caller, &envelope, relayed).await
            }
            PeerRequest::ReadIndex => {
                super::handle::leader_read_index(raft).await.map(PeerReply::ReadIndex)
            }
            PeerRequest::Ask(Ask::HandOver(to)) => {
                let asked = raft.trigger().transfer_leader(to.0).await;
                asked.map_err(|e| ApiError::new(ErrorCode::NoLeader, e.to_string()))?;
                Ok(PeerReply::Told(Told::HandingOver))
            }
            PeerRequest::Ask(ask) => {
                let status = self.status.borrow().clone();
                self.desk.answer(caller, ask, &self.state.newest(), &status).map(PeerReply::Told)
            }
        }
    }

    async fn propose(
        &self,
        caller: NodeId,
        bytes: &[u8],
        relayed: bool,
    ) -> Result<PeerReply, ApiError> {
        let mut envelope = command::decode(bytes).map_err(|e| {
            ApiError::new(ErrorCode::VersionMismatch, "the proposed command is not understood")
                .with("cause", e)
        })?;
        // All times in the state are the leader's.
        envelope.at = self.writer.clock.now();
        let proposed = match relayed {
            true => self.writer.pass_on(caller, envelope).await,
            false => self.writer.propose_here(envelope).await,
        };
        match proposed {
            Ok(applied) => {
                let outcome = command::encode_outcome(&applied.outcome).into();
                Ok(PeerReply::Applied { index: applied.index, outcome })
            }
            Err(Failed::Again) => Err(self.writer.obstacle()),
            Err(Failed::ForGood(error)) => Err(error),
        }
    }
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    postcard::from_bytes(bytes).map_err(|e| {
        ApiError::new(ErrorCode::VersionMismatch, "a raft message is not understood")
            .with("cause", e)
    })
}

/// openraft's own refusals are part of its answers; an error means it has stopped.
fn answer<A: Serialize, E: std::error::Error>(result: Result<A, E>) -> Result<PeerReply, ApiError> {
    let answer = result.map_err(|e| {
        ApiError::new(ErrorCode::NoLeader, "raft has stopped on this node").with("cause", e)
    })?;
    let bytes: Bytes = postcard::to_stdvec(&answer)
        .map_err(|e| ApiError::new(ErrorCode::Internal, e.to_string()))?
        .into();
    Ok(PeerReply::Message(bytes))
}

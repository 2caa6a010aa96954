//! The gRPC services `Raft` and `Internal`, for members only.
//!
//! In: calls with whom TLS has authenticated. Out: answers of [`PeerService`]. Every call is
//! refused unless its connection shows the certificate of a present member of this cluster.

use std::{fmt, sync::Arc};

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::ClusterId,
    pb::{self, internal_server::InternalServer, raft_server::RaftServer},
};
use tonic::{Extensions, Request, Response, Status, Streaming};

use super::{
    grpc::{LARGEST_MESSAGE, Pieces},
    handle::Raft,
    service::PeerService,
    transport::{PeerReply, PeerRequest},
};
use crate::pki::PeerIdentity;

/// Tells whom the certificate of a call's connection names; `None` without a certificate.
pub type Identify = Arc<dyn Fn(&Extensions) -> Option<PeerIdentity> + Send + Sync>;

/// The services of one member.
#[derive(Clone)]
pub struct PeerServer {
    service: PeerService,
    raft: Raft,
    cluster: ClusterId,
    identify: Identify,
}

impl fmt::Debug for PeerServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerServer({})", self.raft.id())
    }
}

impl PeerServer {
    /// Answers members of `cluster`, as `identify` tells them.
    #[must_use]
    pub fn new(raft: &Raft, cluster: ClusterId, identify: Identify) -> Self {
        Self { service: raft.service(), raft: raft.clone(), cluster, identify }
    }

    /// The service of the raft port.
    #[must_use]
    pub fn raft(&self) -> RaftServer<Self> {
        RaftServer::new(self.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    /// The service for members on the API port.
    #[must_use]
    pub fn internal(&self) -> InternalServer<Self> {
        InternalServer::new(self.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    /// Refuses everybody but members.
    fn admit<T>(&self, request: &Request<T>) -> Result<(), ApiError> {
        let denied = |why: &str| ApiError::new(ErrorCode::PermissionDenied, why);
        let caller = (self.identify)(request.extensions())
            .ok_or_else(|| denied("only members may call this, with their certificate"))?;
        if caller.cluster != self.cluster {
            return Err(denied("the certificate belongs to another cluster"));
        }
        let status = self.raft.status();
        let status = status.borrow();
        // A joining node knows no members yet: whom the cluster's CA has signed may introduce them.
        let known = status.members.is_empty()
            || status.members.values().any(|m| m.member.name == caller.node)
            || self.raft.state().newest().node_named(&caller.node).is_some();
        if known { Ok(()) } else { Err(denied("the certificate's node is no member")) }
    }

    async fn answer(&self, request: PeerRequest) -> Result<Response<pb::RaftMessage>, Status> {
        match self.service.handle(request).await? {
            PeerReply::Message(payload) => {
                Ok(Response::new(pb::RaftMessage { payload: payload.into() }))
            }
            _ => Err(other_question()),
        }
    }
}

fn other_question() -> Status {
    ApiError::new(ErrorCode::Internal, "an answer to another question").into()
}

#[tonic::async_trait]
impl pb::raft_server::Raft for PeerServer {
    async fn append_entries(
        &self,
        request: Request<pb::RaftMessage>,
    ) -> Result<Response<pb::RaftMessage>, Status> {
        self.admit(&request)?;
        self.answer(PeerRequest::AppendEntries(request.into_inner().payload.into())).await
    }
    async fn vote(
        &self,
        request: Request<pb::RaftMessage>,
    ) -> Result<Response<pb::RaftMessage>, Status> {
        self.admit(&request)?;
        self.answer(PeerRequest::Vote(request.into_inner().payload.into())).await
    }
    async fn pre_vote(
        &self,
        request: Request<pb::RaftMessage>,
    ) -> Result<Response<pb::RaftMessage>, Status> {
        self.admit(&request)?;
        self.answer(PeerRequest::PreVote(request.into_inner().payload.into())).await
    }
    async fn snapshot(
        &self,
        request: Request<Streaming<pb::SnapshotChunk>>,
    ) -> Result<Response<pb::RaftMessage>, Status> {
        self.admit(&request)?;
        let mut chunks = request.into_inner();
        let mut pieces = Pieces::default();
        while let Some(chunk) = chunks.message().await? {
            pieces.add(chunk);
        }
        self.answer(pieces.whole()?).await
    }
    async fn transfer_leader(
        &self,
        request: Request<pb::RaftMessage>,
    ) -> Result<Response<pb::RaftMessage>, Status> {
        self.admit(&request)?;
        self.answer(PeerRequest::TransferLeader(request.into_inner().payload.into())).await
    }
}

#[tonic::async_trait]
impl pb::internal_server::Internal for PeerServer {
    async fn propose(
        &self,
        request: Request<pb::ProposeRequest>,
    ) -> Result<Response<pb::ProposeResponse>, Status> {
        self.admit(&request)?;
        let envelope = request.into_inner().envelope.into();
        match self.service.handle(PeerRequest::Propose(envelope)).await? {
            PeerReply::Applied { index, outcome } => {
                Ok(Response::new(pb::ProposeResponse { outcome: outcome.into(), index }))
            }
            _ => Err(other_question()),
        }
    }
    async fn read_index(
        &self,
        request: Request<pb::ReadIndexRequest>,
    ) -> Result<Response<pb::ReadIndexResponse>, Status> {
        self.admit(&request)?;
        match self.service.handle(PeerRequest::ReadIndex).await? {
            PeerReply::ReadIndex(index) => Ok(Response::new(pb::ReadIndexResponse { index })),
            _ => Err(other_question()),
        }
    }
}

//! The gRPC services `Raft` and `Internal`, for members only.
//!
//! In: calls with whom TLS has authenticated. Out: answers of [`PeerService`]. Every call is
//! refused unless its connection shows the certificate of a present member of this cluster.

use std::{fmt, sync::Arc};

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{ClusterId, NodeId},
    pb::{self, internal_server::InternalServer, raft_server::RaftServer},
};
use tonic::{Extensions, Request, Response, Status, Streaming};

use super::{
    desk::{Ask, Told},
    grpc::{LARGEST_MESSAGE, Pieces},
    handle::Raft,
    service::{Entrance, PeerService, denied},
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

    /// Whom the caller's certificate names, of this cluster.
    fn caller<T>(&self, request: &Request<T>) -> Result<PeerIdentity, ApiError> {
        let caller = (self.identify)(request.extensions())
            .ok_or_else(|| denied("only members may call this, with their certificate"))?;
        if caller.cluster != self.cluster {
            return Err(denied("the certificate belongs to another cluster"));
        }
        Ok(caller)
    }

    /// Whom the caller's certificate names, if that node may make this call.
    fn admit<T>(&self, request: &Request<T>, entrance: Entrance) -> Result<NodeId, ApiError> {
        let caller = self.caller(request)?;
        self.service.admit_through(entrance, caller.member, &caller.node)?;
        Ok(caller.member)
    }

    async fn answer(
        &self,
        caller: NodeId,
        request: PeerRequest,
    ) -> Result<Response<pb::RaftMessage>, Status> {
        match self.service.handle(caller, request).await? {
            PeerReply::Message(payload) => {
                Ok(Response::new(pb::RaftMessage { payload: payload.into() }))
            }
            _ => Err(other_question()),
        }
    }

    async fn tell(&self, caller: NodeId, ask: Ask) -> Result<Told, Status> {
        match self.service.handle(caller, PeerRequest::Ask(ask)).await? {
            PeerReply::Told(told) => Ok(told),
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
        let caller = self.admit(&request, Entrance::Raft)?;
        self.answer(caller, PeerRequest::AppendEntries(request.into_inner().payload.into())).await
    }
    async fn vote(
        &self,
        request: Request<pb::RaftMessage>,
    ) -> Result<Response<pb::RaftMessage>, Status> {
        let caller = self.admit(&request, Entrance::Raft)?;
        self.answer(caller, PeerRequest::Vote(request.into_inner().payload.into())).await
    }
    async fn pre_vote(
        &self,
        request: Request<pb::RaftMessage>,
    ) -> Result<Response<pb::RaftMessage>, Status> {
        let caller = self.admit(&request, Entrance::Raft)?;
        self.answer(caller, PeerRequest::PreVote(request.into_inner().payload.into())).await
    }
    async fn snapshot(
        &self,
        request: Request<Streaming<pb::SnapshotChunk>>,
    ) -> Result<Response<pb::RaftMessage>, Status> {
        let caller = self.admit(&request, Entrance::Raft)?;
        let mut chunks = request.into_inner();
        let mut pieces = Pieces::default();
        while let Some(chunk) = chunks.message().await? {
            pieces.add(chunk);
        }
        self.answer(caller, pieces.whole()?).await
    }
    async fn transfer_leader(
        &self,
        request: Request<pb::RaftMessage>,
    ) -> Result<Response<pb::RaftMessage>, Status> {
        let caller = self.admit(&request, Entrance::Raft)?;
        self.answer(caller, PeerRequest::TransferLeader(request.into_inner().payload.into())).await
    }
}

#[tonic::async_trait]
impl pb::internal_server::Internal for PeerServer {
    async fn propose(
        &self,
        request: Request<pb::ProposeRequest>,
    ) -> Result<Response<pb::ProposeResponse>, Status> {
        let caller = self.admit(&request, Entrance::Members)?;
        let pb::ProposeRequest { envelope, relayed } = request.into_inner();
        let proposal = PeerRequest::Propose { envelope: envelope.into(), relayed };
        match self.service.handle(caller, proposal).await? {
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
        let caller = self.admit(&request, Entrance::Members)?;
        match self.service.handle(caller, PeerRequest::ReadIndex).await? {
            PeerReply::ReadIndex(index) => Ok(Response::new(pb::ReadIndexResponse { index })),
            _ => Err(other_question()),
        }
    }
    async fn heartbeat(
        &self,
        request: Request<pb::HeartbeatRequest>,
    ) -> Result<Response<pb::HeartbeatReply>, Status> {
        // Not only members: one that was removed while it was away learns of it here.
        let caller = self.admit(&request, Entrance::Everybody)?;
        match self.tell(caller, Ask::Heartbeat(request.into_inner())).await? {
            Told::Heartbeat(reply) => Ok(Response::new(reply)),
            _ => Err(other_question()),
        }
    }
    async fn sign(
        &self,
        request: Request<pb::SignRequest>,
    ) -> Result<Response<pb::SignReply>, Status> {
        let caller = self.admit(&request, Entrance::Members)?;
        match self.tell(caller, Ask::Sign(request.into_inner())).await? {
            Told::Signed(reply) => Ok(Response::new(reply)),
            _ => Err(other_question()),
        }
    }
    async fn data_keys(
        &self,
        request: Request<pb::DataKeysRequest>,
    ) -> Result<Response<pb::DataKeysReply>, Status> {
        let caller = self.admit(&request, Entrance::Members)?;
        match self.tell(caller, Ask::DataKeys).await? {
            Told::DataKeys(reply) => Ok(Response::new(reply)),
            _ => Err(other_question()),
        }
    }
    async fn offer_key(
        &self,
        request: Request<pb::DataKey>,
    ) -> Result<Response<pb::OfferKeyReply>, Status> {
        let caller = self.admit(&request, Entrance::Members)?;
        match self.tell(caller, Ask::OfferKey(request.into_inner())).await? {
            Told::KeyTaken => Ok(Response::new(pb::OfferKeyReply {})),
            _ => Err(other_question()),
        }
    }
    async fn hand_over(
        &self,
        request: Request<pb::HandOverRequest>,
    ) -> Result<Response<pb::HandOverReply>, Status> {
        let caller = self.admit(&request, Entrance::Members)?;
        match self.tell(caller, Ask::HandOver(NodeId(request.into_inner().to))).await? {
            Told::HandingOver => Ok(Response::new(pb::HandOverReply {})),
            _ => Err(other_question()),
        }
    }
    async fn overview(
        &self,
        request: Request<pb::OverviewRequest>,
    ) -> Result<Response<pb::OverviewReply>, Status> {
        let caller = self.admit(&request, Entrance::Members)?;
        match self.tell(caller, Ask::Overview).await? {
            Told::Overview(reply) => Ok(Response::new(reply)),
            _ => Err(other_question()),
        }
    }
}

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

    /// Whom the caller's certificate names, of this cluster.
    fn caller<T>(&self, request: &Request<T>) -> Result<PeerIdentity, ApiError> {
        let caller = (self.identify)(request.extensions())
            .ok_or_else(|| denied("only members may call this, with their certificate"))?;
        if caller.cluster != self.cluster {
            return Err(denied("the certificate belongs to another cluster"));
        }
        Ok(caller)
    }

    /// What is known here of the node that a certificate names.
    fn standing(&self, caller: &PeerIdentity) -> Standing {
        let status = self.raft.status();
        let status = status.borrow();
        let voter = status.members.get(&caller.member);
        let state = self.raft.state().newest();
        let row = state.node(caller.member);
        if voter.is_some_and(|m| m.member.name == caller.node)
            || row.is_some_and(|n| n.name == caller.node)
        {
            return Standing::Member;
        }
        match state.cluster() {
            Some(cluster) if caller.member.0 <= cluster.last_node => Standing::Removed,
            _ => Standing::Unknown,
        }
    }

    /// Refuses everybody but members.
    fn admit<T>(&self, request: &Request<T>) -> Result<NodeId, ApiError> {
        let caller = self.caller(request)?;
        match self.standing(&caller) {
            Standing::Member => Ok(caller.member),
            _ => Err(denied("the certificate's node is no member")),
        }
    }

    /// Refuses everybody but members and those that this node may not have heard of yet: one that
    /// joins or lags knows no newer members, and they may introduce themselves.
    fn admit_to_raft<T>(&self, request: &Request<T>) -> Result<NodeId, ApiError> {
        let caller = self.caller(request)?;
        match self.standing(&caller) {
            Standing::Member | Standing::Unknown => Ok(caller.member),
            Standing::Removed => Err(denied("the certificate's node is no member")),
        }
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

/// What a node is to this one.
enum Standing {
    Member,
    /// It was a member.
    Removed,
    /// It may be a member that was admitted after what this node knows.
    Unknown,
}

fn denied(why: &str) -> ApiError {
    ApiError::new(ErrorCode::PermissionDenied, why)
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
        let caller = self.admit_to_raft(&request)?;
        self.answer(caller, PeerRequest::AppendEntries(request.into_inner().payload.into())).await
    }
    async fn vote(
        &self,
        request: Request<pb::RaftMessage>,
    ) -> Result<Response<pb::RaftMessage>, Status> {
        let caller = self.admit_to_raft(&request)?;
        self.answer(caller, PeerRequest::Vote(request.into_inner().payload.into())).await
    }
    async fn pre_vote(
        &self,
        request: Request<pb::RaftMessage>,
    ) -> Result<Response<pb::RaftMessage>, Status> {
        let caller = self.admit_to_raft(&request)?;
        self.answer(caller, PeerRequest::PreVote(request.into_inner().payload.into())).await
    }
    async fn snapshot(
        &self,
        request: Request<Streaming<pb::SnapshotChunk>>,
    ) -> Result<Response<pb::RaftMessage>, Status> {
        let caller = self.admit_to_raft(&request)?;
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
        let caller = self.admit_to_raft(&request)?;
        self.answer(caller, PeerRequest::TransferLeader(request.into_inner().payload.into())).await
    }
}

#[tonic::async_trait]
impl pb::internal_server::Internal for PeerServer {
    async fn propose(
        &self,
        request: Request<pb::ProposeRequest>,
    ) -> Result<Response<pb::ProposeResponse>, Status> {
        let caller = self.admit(&request)?;
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
        let caller = self.admit(&request)?;
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
        let caller = self.caller(&request)?.member;
        match self.tell(caller, Ask::Heartbeat(request.into_inner())).await? {
            Told::Heartbeat(reply) => Ok(Response::new(reply)),
            _ => Err(other_question()),
        }
    }
    async fn sign(
        &self,
        request: Request<pb::SignRequest>,
    ) -> Result<Response<pb::SignReply>, Status> {
        let caller = self.admit(&request)?;
        match self.tell(caller, Ask::Sign(request.into_inner())).await? {
            Told::Signed(reply) => Ok(Response::new(reply)),
            _ => Err(other_question()),
        }
    }
    async fn data_keys(
        &self,
        request: Request<pb::DataKeysRequest>,
    ) -> Result<Response<pb::DataKeysReply>, Status> {
        let caller = self.admit(&request)?;
        match self.tell(caller, Ask::DataKeys).await? {
            Told::DataKeys(reply) => Ok(Response::new(reply)),
            _ => Err(other_question()),
        }
    }
    async fn offer_key(
        &self,
        request: Request<pb::DataKey>,
    ) -> Result<Response<pb::OfferKeyReply>, Status> {
        let caller = self.admit(&request)?;
        match self.tell(caller, Ask::OfferKey(request.into_inner())).await? {
            Told::KeyTaken => Ok(Response::new(pb::OfferKeyReply {})),
            _ => Err(other_question()),
        }
    }
    async fn hand_over(
        &self,
        request: Request<pb::HandOverRequest>,
    ) -> Result<Response<pb::HandOverReply>, Status> {
        let caller = self.admit(&request)?;
        match self.tell(caller, Ask::HandOver(NodeId(request.into_inner().to))).await? {
            Told::HandingOver => Ok(Response::new(pb::HandOverReply {})),
            _ => Err(other_question()),
        }
    }
    async fn overview(
        &self,
        request: Request<pb::OverviewRequest>,
    ) -> Result<Response<pb::OverviewReply>, Status> {
        let caller = self.admit(&request)?;
        match self.tell(caller, Ask::Overview).await? {
            Told::Overview(reply) => Ok(Response::new(reply)),
            _ => Err(other_question()),
        }
    }
}

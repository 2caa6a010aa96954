//! openraft's network over the `PeerTransport` seam.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use jaco_api::model::NodeId;
use openraft::{
    RaftNetworkFactory,
    errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable},
    network::{RPCOption, RPCTypes, v2::RaftNetworkV2},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
        TransferLeaderResponse, VoteRequest, VoteResponse,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{sync::watch, time::Instant};

use super::{
    contacts::Contacts,
    status::RaftStatus,
    transport::{PeerReply, PeerRequest, PeerTransport, TransportError},
    types::{C, Member, Peer, Snapshot, SnapshotMeta, Vote},
};

/// Makes openraft's connections.
#[derive(Clone)]
pub(super) struct Network {
    pub(super) me: NodeId,
    pub(super) transport: Arc<dyn PeerTransport>,
    pub(super) contacts: Contacts,
    /// Where members are reached now; known once raft runs.
    pub(super) group: Arc<OnceLock<watch::Receiver<RaftStatus>>>,
}

/// One member as openraft calls it. openraft keeps a connection when the member's address changes.
pub(super) struct Connection {
    network: Network,
    peer: Peer,
}

impl RaftNetworkFactory<C> for Network {
    type Network = Connection;
    async fn new_client(&mut self, target: u64, member: &Member) -> Connection {
        let peer = Peer { id: NodeId(target), member: member.clone() };
        Connection { network: self.clone(), peer }
    }
}

impl Network {
    /// One call, whose outcome counts as news of the member.
    pub(super) async fn call(
        &self,
        peer: &Peer,
        request: PeerRequest,
        patience: Duration,
    ) -> Result<PeerReply, TransportError> {
        let called = Instant::now();
        let result = self.transport.call(peer, request, patience).await;
        match &result {
            Ok(_) | Err(TransportError::Refused { .. }) => self.contacts.answered(peer.id),
            Err(_) => self.contacts.silent(peer.id, called),
        }
        result
    }
}

impl Connection {
    /// Who is called, at the address the group knows now.
    fn peer(&self) -> Peer {
        let moved = self.network.group.get().and_then(|group| {
            let member = group.borrow().members.get(&self.peer.id)?.member.clone();
            Some(Peer { id: self.peer.id, member })
        });
        moved.unwrap_or_else(|| self.peer.clone())
    }

    async fn ask<A: DeserializeOwned>(
        &self,
        action: RPCTypes,
        request: PeerRequest,
        patience: Duration,
    ) -> Result<A, RPCError<C>> {
        match self.network.call(&self.peer(), request, patience).await {
            Ok(PeerReply::Message(bytes)) => decode(&bytes),
            Ok(PeerReply::Applied { .. } | PeerReply::ReadIndex(_) | PeerReply::Told(_)) => {
                Err(NetworkError::from_string("an answer to another question").into())
            }
            Err(TransportError::TimedOut { after, .. }) => Err(Timeout {
                action,
                id: self.network.me.0,
                target: self.peer.id.0,
                timeout: after,
            }
            .into()),
            Err(error) => Err(Unreachable::new(&error).into()),
        }
    }
}

pub(super) fn encode<T: Serialize>(message: &T) -> Result<Bytes, RPCError<C>> {
    let bytes = postcard::to_stdvec(message).map_err(|e| NetworkError::<C>::new(&e))?;
    Ok(bytes.into())
}
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RPCError<C>> {
    postcard::from_bytes(bytes).map_err(|e| NetworkError::new(&e).into())
}

/// First part of a snapshot on its way: whose it is and what it holds.
pub(super) type SnapshotHeader = (Vote, SnapshotMeta);

impl RaftNetworkV2<C> for Connection {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<C>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<C>, RPCError<C>> {
        let request = PeerRequest::AppendEntries(encode(&rpc)?);
        self.ask(RPCTypes::AppendEntries, request, option.hard_ttl()).await
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<C>,
        option: RPCOption,
    ) -> Result<VoteResponse<C>, RPCError<C>> {
        self.ask(RPCTypes::Vote, PeerRequest::Vote(encode(&rpc)?), option.hard_ttl()).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<C>,
        option: RPCOption,
    ) -> Result<VoteResponse<C>, RPCError<C>> {
        self.ask(RPCTypes::Vote, PeerRequest::PreVote(encode(&rpc)?), option.hard_ttl()).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<C>, StreamingError<C>> {
        let header: SnapshotHeader = (vote, snapshot.meta);
        let request = PeerRequest::Snapshot { header: encode(&header)?, data: snapshot.snapshot };
        let sent = self.ask(RPCTypes::InstallSnapshot, request, option.hard_ttl());
        tokio::select! {
            closed = cancel => Err(closed.into()),
            answer = sent => Ok(answer?),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<C>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<C>, RPCError<C>> {
        let request = PeerRequest::TransferLeader(encode(&request)?);
        self.ask(RPCTypes::TransferLeader, request, option.hard_ttl()).await
    }
}

//! The `PeerTransport` of real clusters: gRPC over mutual TLS, one pooled connection per port of a
//! member, made when it is needed and again when it is lost.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use hyper_util::rt::TokioIo;
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::NodeId,
    pb::{self, internal_client::InternalClient, raft_client::RaftClient},
};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use super::{
    desk::{Ask, Told},
    enrol::enrol,
    transport::{PeerReply, PeerRequest, PeerTransport, TransportError},
    types::Peer,
};
use crate::pki::{self, CaPin, Credentials, PeerIdentity, PkiError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection whose other end is silent while calls wait is given up.
const KEEPALIVE: Duration = Duration::from_secs(2);
/// A message between members: many entries, or a piece of a snapshot.
pub(super) const LARGEST_MESSAGE: usize = 256 << 20;
/// Bytes of one stream that may wait for its reader, and of all of a connection: as many streams as
/// a connection carries can wait and leave room for the next.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 256 * STREAM_WINDOW;
/// A piece of a snapshot.
const CHUNK: usize = 1 << 20;

/// Calls members over mutual TLS. Clones share their connections.
#[derive(Clone, Default)]
pub struct GrpcTransport {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    trust: RwLock<Option<Trust>>,
    channels: Mutex<BTreeMap<(NodeId, SocketAddr, Lane), Channel>>,
}

/// What a connection carries. Streams whose readers are slow fill their connection: calls of the log
/// never wait behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Calls,
    Streams,
}

#[derive(Clone)]
struct Trust {
    ca_pem: String,
    credentials: Credentials,
}

impl std::fmt::Debug for GrpcTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GrpcTransport")
    }
}

/// No call is possible before [`GrpcTransport::trust`].
#[derive(Debug, thiserror::Error)]
#[error("this node has no certificate yet")]
struct NoCertificate;

impl GrpcTransport {
    /// A transport that calls nobody before it is told whom to [`Self::trust`]: a node that forms a
    /// cluster has no certificate when its log begins.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts this CA and shows these credentials from now on.
    pub fn trust(&self, ca_pem: &str, credentials: Credentials) {
        let trust = Trust { ca_pem: ca_pem.to_owned(), credentials };
        *self.shared.trust.write().unwrap_or_else(PoisonError::into_inner) = Some(trust);
        self.shared.channels.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// A connection to a member's API port for streams.
    ///
    /// # Errors
    /// [`TransportError::Unreachable`] before this node can show who it is.
    pub(crate) fn streams(&self, to: &Peer) -> Result<Channel, TransportError> {
        self.channel(to, to.member.api_addr, Lane::Streams).map_err(|error| error.of(to.id))
    }

    fn channel(&self, to: &Peer, addr: SocketAddr, lane: Lane) -> Result<Channel, CallError> {
        let mut channels = self.shared.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(&(to.id, addr, lane)) {
            return Ok(channel.clone());
        }
        let trust = self.shared.trust.read().unwrap_or_else(PoisonError::into_inner).clone();
        let channel = connect(&trust.ok_or(NoCertificate)?, to, addr, lane)?;
        // A member has moved when its address changes: the former connection is of no use.
        channels.retain(|(id, at, _), _| {
            *id != to.id || *at == to.member.raft_addr || *at == to.member.api_addr
        });
        channels.insert((to.id, addr, lane), channel.clone());
        Ok(channel)
    }

    async fn carry(&self, to: &Peer, request: PeerRequest) -> Result<PeerReply, CallError> {
        let raft = || {
            let channel = self.channel(to, to.member.raft_addr, Lane::Calls)?;
            Ok::<_, CallError>(RaftClient::new(channel).max_decoding_message_size(LARGEST_MESSAGE))
        };
        let internal = || {
            let channel = self.channel(to, to.member.api_addr, Lane::Calls)?;
            Ok::<_, CallError>(InternalClient::new(channel))
        };
        let message = |payload: Bytes| pb::RaftMessage { payload: payload.into() };
        let reply = match request {
            PeerRequest::AppendEntries(b) => raft()?.append_entries(message(b)).await?,
            PeerRequest::Vote(b) => raft()?.vote(message(b)).await?,
            PeerRequest::PreVote(b) => raft()?.pre_vote(message(b)).await?,
            PeerRequest::TransferLeader(b) => raft()?.transfer_leader(message(b)).await?,
            PeerRequest::Snapshot { header, data } => {
                raft()?.snapshot(tokio_stream::iter(chunks(header, data))).await?
            }
            PeerRequest::Propose { envelope, relayed } => {
                let request = pb::ProposeRequest { envelope: envelope.into(), relayed };
                let reply = internal()?.propose(request).await?.into_inner();
                let outcome = reply.outcome.into();
                return Ok(PeerReply::Applied { index: reply.index, outcome });
            }
            PeerRequest::ReadIndex => {
                let reply = internal()?.read_index(pb::ReadIndexRequest {}).await?;
                return Ok(PeerReply::ReadIndex(reply.into_inner().index));
            }
            PeerRequest::Ask(ask) => return Ok(PeerReply::Told(tell(internal()?, ask).await?)),
        };
        Ok(PeerReply::Message(reply.into_inner().payload.into()))
    }
}

async fn tell(mut member: InternalClient<Channel>, ask: Ask) -> Result<Told, Status> {
    Ok(match ask {
        Ask::Heartbeat(m) => Told::Heartbeat(member.heartbeat(m).await?.into_inner()),
        Ask::Sign(m) => Told::Signed(member.sign(m).await?.into_inner()),
        Ask::DataKeys => {
            Told::DataKeys(member.data_keys(pb::DataKeysRequest {}).await?.into_inner())
        }
        Ask::OfferKey(m) => {
            member.offer_key(m).await?;
            Told::KeyTaken
        }
        Ask::HandOver(to) => {
            member.hand_over(pb::HandOverRequest { to: to.0 }).await?;
            Told::HandingOver
        }
        Ask::Overview => {
            Told::Overview(member.overview(pb::OverviewRequest {}).await?.into_inner())
        }
    })
}

fn chunks(header: Bytes, data: Bytes) -> impl Iterator<Item = pb::SnapshotChunk> + Send + 'static {
    let first = pb::SnapshotChunk { header: header.into(), data: Vec::new() };
    let starts = (0..data.len()).step_by(CHUNK);
    let rest = starts.map(move |at| {
        let piece = data.slice(at..data.len().min(at + CHUNK));
        pb::SnapshotChunk { header: Vec::new(), data: piece.into() }
    });
    std::iter::once(first).chain(rest)
}

fn connect(trust: &Trust, to: &Peer, addr: SocketAddr, lane: Lane) -> Result<Channel, CallError> {
    let cluster = trust.credentials.identity().cluster;
    let expected = PeerIdentity { cluster, node: to.member.name.clone(), member: to.id };
    let config = pki::client_config(&trust.ca_pem, &trust.credentials, expected)?;
    let connector = TlsConnector::from(config);
    let dial = tower::service_fn(move |_: http::Uri| {
        let connector = connector.clone();
        async move {
            let tcp = TcpStream::connect(addr).await?;
            tcp.set_nodelay(true)?;
            // The identity in the certificate is what counts; the address is only sent along.
            let tls = connector.connect(ServerName::from(addr.ip()), tcp).await?;
            Ok::<_, io::Error>(TokioIo::new(tls))
        }
    });
    let endpoint = Endpoint::from_shared(format!("http://{addr}"))?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE);
    let endpoint = match lane {
        Lane::Calls => endpoint,
        Lane::Streams => endpoint
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW),
    };
    Ok(endpoint.connect_with_connector_lazy(dial))
}

/// Why one call failed, before it is known whose fault that is.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error(transparent)]
    NoCertificate(#[from] NoCertificate),
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error(transparent)]
    Endpoint(#[from] tonic::transport::Error),
    #[error(transparent)]
    Status(#[from] Status),
}

impl CallError {
    fn of(self, peer: NodeId) -> TransportError {
        match self {
            // Without a source in it, the answer came from the member itself.
            Self::Status(status)
                if std::error::Error::source(&status).is_none()
                    && status.code() != Code::Cancelled =>
            {
                TransportError::Refused { peer, source: ApiError::from(status) }
            }
            error => TransportError::Unreachable { peer, source: Box::new(error) },
        }
    }
}

#[async_trait]
impl PeerTransport for GrpcTransport {
    async fn call(
        &self,
        to: &Peer,
        request: PeerRequest,
        patience: Duration,
    ) -> Result<PeerReply, TransportError> {
        match tokio::time::timeout(patience, self.carry(to, request)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(error.of(to.id)),
            Err(_) => Err(TransportError::TimedOut { peer: to.id, after: patience }),
        }
    }

    async fn enrol(
        &self,
        address: &str,
        pin: &CaPin,
        request: pb::EnrolRequest,
    ) -> Result<pb::EnrolReply, ApiError> {
        enrol(address, pin, request).await
    }
}

/// A snapshot that came in pieces, put together.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    header: Option<Bytes>,
    data: Vec<u8>,
}

impl Pieces {
    pub(super) fn add(&mut self, chunk: pb::SnapshotChunk) {
        if self.header.is_none() {
            self.header = Some(chunk.header.into());
        }
        self.data.extend_from_slice(&chunk.data);
    }
    pub(super) fn whole(self) -> Result<PeerRequest, ApiError> {
        let header = self.header.ok_or_else(|| {
            ApiError::new(ErrorCode::VersionMismatch, "a snapshot came without its header")
        })?;
        Ok(PeerRequest::Snapshot { header, data: self.data.into() })
    }
}

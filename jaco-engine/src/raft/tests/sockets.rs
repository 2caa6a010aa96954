//! Members over mutual TLS on loopback, and everybody who is not one.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::StreamExt as _;
use jaco_api::{
    error::ErrorCode,
    model::{ClusterId, NodeId, NodeName, Timestamp},
    pb::{self, raft_client::RaftClient},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::server::TlsStream;
use tonic::transport::{Endpoint, Server, server::Connected};

use super::nodes::{init, mark, marks, start, write};
use crate::{
    pki::{self, Authority, ClientAuth, Credentials, PeerIdentity, peer_identity},
    raft::{
        GrpcTransport, Member, MemoryStorage, Peer, PeerRequest, PeerServer, PeerTransport as _,
        Raft, RaftTiming, TransportError,
    },
};

/// A TLS connection that tells whom its certificate names.
struct Named(TlsStream<TcpStream>);

impl Connected for Named {
    type ConnectInfo = Option<PeerIdentity>;
    fn connect_info(&self) -> Self::ConnectInfo {
        let certificates = self.0.get_ref().1.peer_certificates()?;
        peer_identity(certificates.first()?).ok()
    }
}
impl AsyncRead for Named {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}
impl AsyncWrite for Named {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

fn now() -> Timestamp {
    Timestamp::from_system_time(std::time::SystemTime::now())
}
fn cluster() -> ClusterId {
    ClusterId(uuid::Uuid::from_u128(1))
}
fn credentials(ca: &Authority, name: &str) -> Credentials {
    let number = name.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    let identity = PeerIdentity {
        cluster: cluster(),
        node: NodeName::new(name).unwrap(),
        member: NodeId(number),
    };
    Credentials::new(&ca.issue(&identity, &[], now()).unwrap()).unwrap()
}
fn transport(ca: &Authority, trusted: &str, name: &str) -> GrpcTransport {
    let transport = GrpcTransport::new();
    transport.trust(trusted, credentials(ca, name));
    transport
}

/// A member that listens.
struct Host {
    raft: Raft,
    peer: Peer,
    servers: Vec<JoinHandle<()>>,
}

impl Host {
    async fn start(ca: &Authority, id: u64, timing: RaftTiming) -> Self {
        let name = format!("node-{id}");
        let shown = credentials(ca, &name);
        let calls = GrpcTransport::new();
        calls.trust(ca.ca_pem(), shown.clone());
        let raft = start(id, Arc::new(MemoryStorage::default()), Arc::new(calls), timing).await;
        let server = PeerServer::new(
            &raft,
            cluster(),
            Arc::new(|e| e.get::<Option<PeerIdentity>>().cloned().flatten()),
        );
        let listen = || TcpListener::bind("127.0.0.1:0");
        let (raft_port, api_port) = (listen().await.unwrap(), listen().await.unwrap());
        let member = Member {
            name: NodeName::new(name).unwrap(),
            raft_addr: raft_port.local_addr().unwrap(),
            api_addr: api_port.local_addr().unwrap(),
        };
        let tls = |clients| pki::server_config(ca.ca_pem(), &shown, clients).unwrap();
        let serve = |port, clients| {
            let incoming = pki::incoming(port, tls(clients)).map(|tls| tls.map(Named));
            let router =
                Server::builder().add_service(server.raft()).add_service(server.internal());
            tokio::spawn(async move { router.serve_with_incoming(incoming).await.unwrap() })
        };
        let servers =
            vec![serve(raft_port, ClientAuth::Required), serve(api_port, ClientAuth::Optional)];
        Self { raft, peer: Peer { id: NodeId(id), member }, servers }
    }

    fn die(&self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.die();
    }
}

async fn three(ca: &Authority, timing: RaftTiming) -> Vec<Host> {
    let mut hosts = Vec::new();
    for id in 1..=3 {
        hosts.push(Host::start(ca, id, timing.clone()).await);
    }
    let first = &hosts[0].raft;
    first.initialize(hosts[0].peer.member.clone()).await.unwrap();
    write(first, init()).await.unwrap();
    for host in &hosts[1..] {
        first.add_learner(host.peer.clone()).await.unwrap();
    }
    first.set_voters(BTreeSet::from([1, 2, 3].map(NodeId))).await.unwrap();
    hosts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_elect_write_and_fail_over_over_mutual_tls() {
    let ca = Authority::create(cluster(), now()).unwrap();
    let mut hosts = three(&ca, RaftTiming::default()).await;
    for (n, host) in hosts.iter().enumerate() {
        write(&host.raft, mark(n)).await.unwrap();
        assert!(marks(&host.raft.present().await.unwrap()).contains(&n.to_string()));
    }
    let first = hosts.remove(0);
    first.die();
    first.raft.shutdown(Duration::from_secs(5)).await.unwrap();
    write(&hosts[1].raft, mark("after")).await.unwrap();
    let state = hosts[0].raft.present().await.unwrap();
    assert_eq!(marks(&state), ["0", "1", "2", "after"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_member_gets_a_large_snapshot_over_the_wire() {
    let ca = Authority::create(cluster(), now()).unwrap();
    let timing = RaftTiming { snapshot_every: 30, keep: 2, ..RaftTiming::default() };
    let first = Host::start(&ca, 1, timing.clone()).await;
    first.raft.initialize(first.peer.member.clone()).await.unwrap();
    write(&first.raft, init()).await.unwrap();
    for n in 0..64 {
        write(&first.raft, mark(format!("{n} {}", "x".repeat(64 << 10)))).await.unwrap();
    }
    let second = Host::start(&ca, 2, timing).await;
    first.raft.add_learner(second.peer.clone()).await.unwrap();
    let reached = second.raft.state().wait_for_index(first.raft.state().newest().index()).await;
    assert_eq!(marks(&reached.unwrap()).len(), 64);
    assert!(second.raft.status().borrow().snapshot > 30);
}

#[tokio::test]
async fn strangers_get_no_answer() {
    let ca = Authority::create(cluster(), now()).unwrap();
    let host = Host::start(&ca, 1, RaftTiming::default()).await;
    host.raft.initialize(host.peer.member.clone()).await.unwrap();
    write(&host.raft, init()).await.unwrap();
    let ask = |transport: GrpcTransport| {
        let (peer, patience) = (host.peer.clone(), Duration::from_secs(5));
        async move { transport.call(&peer, PeerRequest::ReadIndex, patience).await }
    };
    let vote = |transport: GrpcTransport| {
        let (peer, patience) = (host.peer.clone(), Duration::from_secs(5));
        async move { transport.call(&peer, PeerRequest::Vote(Vec::new().into()), patience).await }
    };
    ask(transport(&ca, ca.ca_pem(), "node-1")).await.unwrap();

    // Another CA, even with the right names in the certificate.
    let other = Authority::create(cluster(), now()).unwrap();
    for call in [
        ask(transport(&other, ca.ca_pem(), "node-1")).await,
        vote(transport(&other, ca.ca_pem(), "node-1")).await,
    ] {
        assert!(matches!(call, Err(TransportError::Unreachable { .. })), "{call:?}");
    }
    // We trust another CA than the one that answers.
    let call = ask(transport(&ca, other.ca_pem(), "node-1")).await;
    assert!(matches!(call, Err(TransportError::Unreachable { .. })), "{call:?}");
    // Signed by the cluster, but no member.
    for call in [
        ask(transport(&ca, ca.ca_pem(), "ghost")).await,
        vote(transport(&ca, ca.ca_pem(), "ghost")).await,
    ] {
        let Err(TransportError::Refused { source, .. }) = call else { panic!("{call:?}") };
        assert_eq!(source.code, ErrorCode::PermissionDenied);
    }
    // Somebody else answers at the member's address.
    let mut moved = host.peer.clone();
    moved.member.name = NodeName::new("node-9").unwrap();
    let member = transport(&ca, ca.ca_pem(), "node-1");
    let call = member.call(&moved, PeerRequest::ReadIndex, Duration::from_secs(5)).await;
    assert!(matches!(call, Err(TransportError::Unreachable { .. })), "{call:?}");
    // No certificate of our own yet.
    let call = ask(GrpcTransport::new()).await;
    assert!(matches!(call, Err(TransportError::Unreachable { .. })), "{call:?}");
}

#[tokio::test]
async fn plaintext_and_certificateless_callers_get_no_answer_on_either_port() {
    let ca = Authority::create(cluster(), now()).unwrap();
    let host = Host::start(&ca, 1, RaftTiming::default()).await;
    for port in [host.peer.member.raft_addr, host.peer.member.api_addr] {
        let plain = Endpoint::from_shared(format!("http://{port}")).unwrap().connect_lazy();
        let message = pb::RaftMessage { payload: Vec::new() };
        RaftClient::new(plain).vote(message.clone()).await.unwrap_err();
        let nameless = nameless(&ca, port);
        let refused = RaftClient::new(nameless).vote(message).await.unwrap_err();
        if port == host.peer.member.api_addr {
            assert_eq!(refused.code(), ErrorCode::PermissionDenied.grpc(), "{refused}");
        }
    }
}

/// A channel over TLS without a client certificate.
fn nameless(ca: &Authority, port: SocketAddr) -> tonic::transport::Channel {
    let config = pki::nameless_config(ca.ca_pem(), "node-1");
    Endpoint::from_shared(format!("http://{port}")).unwrap().connect_with_connector_lazy(
        tower::service_fn(move |_: http::Uri| {
            let config = config.clone();
            async move {
                let tcp = TcpStream::connect(port).await?;
                let name = port.ip().into();
                let tls = tokio_rustls::TlsConnector::from(config).connect(name, tcp).await?;
                Ok::<_, io::Error>(hyper_util::rt::TokioIo::new(tls))
            }
        }),
    )
}

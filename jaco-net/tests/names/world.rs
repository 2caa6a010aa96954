//! A node on loopback addresses, and a client that asks it.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query},
    rr::{Name, RData, RecordType},
};
use jaco_net::{
    Scope,
    dns::{Bridge, Endpoint, Forwarders, NamedPort, NamedReplica, NamedService, Names, Resolver},
    dns::{FORWARDER_TIMEOUT, Responders, Tally, Zone},
    testing::FakeUpstream,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream, UdpSocket},
    time::timeout,
};

pub(crate) const PORT: u16 = 5300;
/// Longer than anything here takes.
pub(crate) const BOUND: Duration = Duration::from_secs(10);

/// Four octets of loopback that are this world's alone: tests run at the same time.
fn octets(host: u8) -> IpAddr {
    static WORLDS: AtomicU8 = AtomicU8::new(0);
    thread_local! {
        static WORLD: u8 = WORLDS.fetch_add(1, Ordering::Relaxed);
    }
    let [.., process] = std::process::id().to_be_bytes();
    IpAddr::from([127, 64 + WORLD.with(|world| *world), process, host])
}

/// An address of this test.
pub(crate) fn at(host: u8) -> SocketAddr {
    SocketAddr::new(octets(host), PORT)
}

pub(crate) fn scope() -> Scope {
    Scope { deployment: "shop".parse().unwrap(), network: "default".parse().unwrap() }
}

pub(crate) fn service(name: &str, replicas: &[&str]) -> NamedService {
    let replica = |(index, address): (u32, &&str)| NamedReplica {
        slot: jaco_api::model::Slot::Index(index),
        addresses: vec![address.parse().unwrap()],
        node: "node-a".parse().unwrap(),
        healthy: true,
        hostname: None,
    };
    NamedService {
        name: name.parse().unwrap(),
        endpoint: Endpoint::Dnsrr,
        aliases: vec![format!("{name}-alias")],
        ports: vec![NamedPort {
            name: Some("http".into()),
            number: 80,
            protocol: jaco_api::model::Protocol::Tcp,
        }],
        replicas: (1..).zip(replicas).map(replica).collect(),
    }
}

/// What a node with a bridge at `gateway` knows.
pub(crate) fn names(gateway: IpAddr, services: Vec<NamedService>) -> Names {
    let mut names = Names::of("node-a".parse().unwrap());
    names.pools = vec!["10.244.0.0/14".parse().unwrap()];
    let block = ipnet::IpNet::new(gateway, 24).unwrap().trunc();
    names.bridges.insert(gateway, Bridge { block, scope: scope() });
    names.scopes.insert(scope(), services);
    names
}

/// A node that answers at host 1 of its block.
pub(crate) struct World {
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) _responders: Responders,
}

impl World {
    pub(crate) async fn of(services: Vec<NamedService>, forwarders: Forwarders) -> Self {
        let (zone, tally) = (Zone::new(&names(at(1).ip(), services)), Arc::<Tally>::default());
        let resolver = Resolver::tallied(zone, forwarders, FORWARDER_TIMEOUT, Arc::clone(&tally));
        let responders = Responders::start(Arc::clone(&resolver));
        responders.set(BTreeSet::from([at(1)]));
        timeout(BOUND, responders.bound(at(1))).await.unwrap_or_else(|_| {
            panic!("not bound: {:?}", responders.status());
        });
        Self { resolver, tally, _responders: responders }
    }

    pub(crate) async fn forwarding_to(upstreams: &[SocketAddr]) -> Self {
        Self::of(Vec::new(), Forwarders::Given(upstreams.into())).await
    }
}

/// An upstream at this host of the block.
pub(crate) async fn upstream(host: u8) -> FakeUpstream {
    FakeUpstream::start(at(host)).await.unwrap()
}

/// A query: `edns` is the buffer size that is offered.
pub(crate) fn query(name: &str, kind: RecordType, edns: Option<u16>) -> Message {
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    if let Some(size) = edns {
        let mut edns = Edns::new();
        edns.set_max_payload(size);
        message.set_edns(edns);
    }
    message
}

/// The reply to these bytes, over UDP from host 9.
pub(crate) async fn datagram(packet: &[u8]) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind(SocketAddr::new(at(9).ip(), 0)).await?;
    socket.connect(at(1)).await?;
    socket.send(packet).await?;
    let mut reply = vec![0; 65535];
    let length = timeout(BOUND, socket.recv(&mut reply)).await??;
    reply.truncate(length);
    Ok(reply)
}

pub(crate) async fn over_udp(query: &Message) -> Message {
    let reply = datagram(&query.to_vec().unwrap()).await.unwrap();
    let room = query.edns.as_ref().map_or(512, |edns| edns.max_payload().clamp(512, 1232));
    assert!(reply.len() <= room.into(), "{} bytes for {room}", reply.len());
    checked(query, &reply)
}

pub(crate) async fn connect() -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(at(9).ip(), 0))?;
    socket.connect(at(1)).await
}

pub(crate) fn framed(message: &Message) -> Vec<u8> {
    let bytes = message.to_vec().unwrap();
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat()
}

pub(crate) async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    timeout(BOUND, async {
        let mut reply = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut reply).await?;
        Ok(reply)
    })
    .await?
}

pub(crate) async fn over_tcp(query: &Message) -> Message {
    let mut stream = connect().await.unwrap();
    stream.write_all(&framed(query)).await.unwrap();
    let reply = read(&mut stream).await.unwrap();
    checked(query, &reply)
}

/// A reply belongs to its query and has EDNS if that had.
fn checked(query: &Message, reply: &[u8]) -> Message {
    let reply = Message::from_vec(reply).unwrap();
    assert_eq!(reply.metadata.id, query.metadata.id);
    assert_eq!(reply.metadata.message_type, MessageType::Response);
    assert_eq!(reply.queries, query.queries);
    assert_eq!(reply.queries[0].name().to_ascii(), query.queries[0].name().to_ascii());
    assert_eq!(reply.edns.is_some(), query.edns.is_some());
    assert!(reply.metadata.recursion_available && reply.metadata.recursion_desired);
    reply
}

pub(crate) async fn ask(name: &str, kind: RecordType) -> Message {
    over_udp(&query(name, kind, None)).await
}

pub(crate) fn addresses(reply: &Message) -> BTreeSet<String> {
    let all = reply.answers.iter().filter_map(|record| record.data.ip_addr());
    all.map(|address| address.to_string()).collect()
}

pub(crate) fn texts(reply: &Message) -> Vec<String> {
    let text = |data: &RData| data.to_string();
    reply.answers.iter().map(|record| text(&record.data)).collect()
}

/// The extended error of a reply.
pub(crate) fn explanation(reply: &Message) -> Option<u16> {
    use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
    match reply.edns.as_ref()?.option(EdnsCode::Unknown(15))? {
        EdnsOption::Unknown(15, data) => Some(u16::from_be_bytes([data[0], data[1]])),
        _ => None,
    }
}

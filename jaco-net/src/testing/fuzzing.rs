//! What must hold of the readers of packets, whatever the bytes. For the fuzz targets of the workspace.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, LazyLock},
};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query as Question},
    rr::{Name, RecordType},
};
use jaco_api::model::{NetworkName, Protocol, Slot};

use crate::{
    Scope,
    dns::{
        Bridge, Endpoint, Forwarders, NamedPort, NamedReplica, NamedService, Names, Resolver, Zone,
        sealed::{Key, Query, Reading, Step, Transport, nameservers, read},
    },
};

const GATEWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 244, 0, 1));
const HEADER: usize = 12;

static RESOLVER: LazyLock<Arc<Resolver>> = LazyLock::new(|| {
    let mut names = Names::of("node-a".parse().expect("a node's name"));
    names.pools = vec!["10.244.0.0/14".parse().expect("a prefix")];
    let deployment = "shop".parse().expect("a deployment's name");
    let scope = Scope { deployment, network: NetworkName::default_network() };
    let block = "10.244.0.0/24".parse().expect("a prefix");
    names.bridges.insert(GATEWAY, Bridge { block, scope: scope.clone() });
    let replica = |n: u8| NamedReplica {
        slot: Slot::Index(u32::from(n) + 1),
        addresses: vec![IpAddr::from([10, 244, 1, n])],
        node: names.node.clone(),
        healthy: true,
        hostname: None,
    };
    let web = NamedService {
        name: "web".parse().expect("a service's name"),
        endpoint: Endpoint::Dnsrr,
        aliases: vec!["www".to_owned()],
        ports: vec![NamedPort {
            name: Some("http".to_owned()),
            number: 80,
            protocol: Protocol::Tcp,
        }],
        replicas: (0..100).map(replica).collect(),
    };
    names.scopes.insert(scope, vec![web]);
    Resolver::new(Zone::new(&names), Forwarders::Given(Vec::new()))
});

/// Packets of clients, packets of upstreams, and resolver configurations. The first byte says which.
///
/// # Panics
/// A rule is broken.
pub fn dns(data: &[u8]) {
    match data.split_first() {
        Some((0, packet)) => question(packet),
        Some((1, records)) => said(records),
        Some((2, text)) => {
            if let Ok(text) = std::str::from_utf8(text) {
                let all = nameservers(text);
                assert!(all.iter().all(|server| !server.ip().is_unspecified()));
            }
        }
        _ => {}
    }
}

/// Whatever a client sends: a reply belongs to it, fits, and can be read.
fn question(packet: &[u8]) {
    let client = SocketAddr::from(([10, 244, 0, 9], 4711));
    let mut reply = Vec::new();
    for transport in [Transport::Udp, Transport::Tcp] {
        match RESOLVER.step(packet, (GATEWAY, client), transport, 7, &mut reply) {
            Step::Ignore => assert!(packet.len() < HEADER || packet[2] & 0x80 != 0),
            Step::Ask(_) => assert!(Query::read(packet).is_ok()),
            Step::Reply => {
                assert_eq!(reply[..2], packet[..2], "the id");
                assert_eq!(reply[2] & 0x80, 0x80, "a reply");
                let said = Message::from_vec(&reply).expect("what is written can be read");
                let Ok(query) = Query::read(packet) else {
                    assert_eq!(reply.len(), HEADER, "nothing but a header");
                    continue;
                };
                assert!(reply.len() <= query.room(transport).into(), "it fits");
                assert_eq!(said.queries, [query.question], "the question");
                assert_eq!(said.edns.is_some(), query.edns.is_some());
            }
        }
    }
}

/// Whatever an upstream says to a question: what is handed on fits, and is again such an answer.
fn said(data: &[u8]) {
    let packet = client(RecordType::A);
    let Ok(query) = Query::read(&packet) else { panic!("a query") };
    let key = Key::of(&query, &packet);
    let _anything = read(data.to_vec(), &key, 7);
    // What cannot be guessed is made to fit.
    let (header, records) = data.split_at(data.len().min(8));
    let mut answer = vec![0, 7, 0x80, 0, 0, 1];
    answer.extend(header.get(2..).unwrap_or_default());
    answer.resize(HEADER, 0);
    let [flags, codes] = [0, 1].map(|at| header.get(at).copied().unwrap_or_default());
    answer[2] |= flags & 0x07;
    answer[3] = codes;
    answer.extend(&packet[HEADER..query.end]);
    answer.extend(records);
    let Reading::Said(said) = read(answer, &key, 7) else { return };
    for room in [512, 1232, u16::MAX] {
        for age in [Some(0), Some(100), None] {
            let mut out = Vec::new();
            said.write(&query, &packet, age, None, room, &mut out);
            assert!(out.len() <= room.into(), "{} of {room}", out.len());
            let id = query.header.id;
            match read(out, &key, id) {
                Reading::Truncated => assert_ne!(room, u16::MAX),
                Reading::Said(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Packets of doctors of other nodes, and what whoever has port 53 says. The first byte says which.
///
/// # Panics
/// A rule is broken.
#[cfg(feature = "doctor")]
pub fn doctor(data: &[u8]) {
    match data.split_first() {
        Some((0, packet)) => crate::doctor::sealed::frame(packet),
        Some((1, answer)) => crate::doctor::sealed::answer(answer),
        _ => {}
    }
}

/// A client's query, for the seeds too.
///
/// # Panics
/// Never: it is a query.
#[must_use]
pub fn client(kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    let name = Name::from_ascii("www.example.com.").expect("a name");
    message.add_query(Question::query(name, kind));
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    message.set_edns(edns);
    message.to_vec().expect("a query can be written")
}

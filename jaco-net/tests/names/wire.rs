//! What is known here, as it looks on the wire.

use hickory_proto::{
    op::{Message, MessageType, OpCode, ResponseCode},
    rr::{DNSClass, RecordType},
};
use jaco_net::dns::{Forwarders, Zone};
use proptest::prelude::*;

use crate::world::{
    World, addresses, ask, at, datagram, names, over_tcp, over_udp, query, service, texts,
};

fn nobody() -> Forwarders {
    Forwarders::Given(Vec::new())
}

#[tokio::test]
async fn every_form_of_a_name_is_answered_over_udp_and_tcp() {
    let _world = World::of(vec![service("web", &["10.244.0.2", "10.244.0.3"])], nobody()).await;
    for (name, expected) in [
        ("web.", 2),
        ("WEB.shop.", 2),
        ("Web.Shop.Jaco.Internal.", 2),
        ("web-alias.", 2),
        ("1.web.", 1),
        ("2.web.shop.", 1),
        ("2.web.shop.jaco.internal.", 1),
    ] {
        for edns in [None, Some(1232)] {
            let query = query(name, RecordType::A, edns);
            for reply in [over_udp(&query).await, over_tcp(&query).await] {
                assert_eq!(reply.metadata.response_code, ResponseCode::NoError, "{name}");
                assert!(reply.metadata.authoritative, "{name}");
                assert_eq!(addresses(&reply).len(), expected, "{name}");
                assert!(reply.answers.iter().all(|record| record.ttl == 1));
            }
        }
    }
    let pointer = ask("2.0.244.10.in-addr.arpa.", RecordType::PTR).await;
    assert_eq!(texts(&pointer), ["1.web.shop.jaco.internal."]);
    let services = ask("_http._tcp.web.shop.", RecordType::SRV).await;
    assert_eq!(services.answers.len(), 2);
    assert_eq!(services.additionals.len(), 2);
}

#[tokio::test]
async fn absence_has_a_soa_of_a_zone_that_the_name_is_in() {
    let _world = World::of(vec![service("web", &["10.244.0.2"])], nobody()).await;
    for (name, kind, code, zone) in [
        ("web.", RecordType::AAAA, ResponseCode::NoError, "web."),
        ("web.shop.jaco.internal.", RecordType::AAAA, ResponseCode::NoError, "jaco.internal."),
        ("nope.shop.jaco.internal.", RecordType::A, ResponseCode::NXDomain, "jaco.internal."),
        ("nope.shop.", RecordType::A, ResponseCode::NXDomain, "shop."),
        ("nope.", RecordType::A, ResponseCode::NXDomain, "nope."),
        (
            "9.9.244.10.in-addr.arpa.",
            RecordType::PTR,
            ResponseCode::NXDomain,
            "244.10.in-addr.arpa.",
        ),
    ] {
        let reply = ask(name, kind).await;
        assert_eq!(reply.metadata.response_code, code, "{name}");
        assert!(reply.answers.is_empty());
        let [soa] = &reply.authorities[..] else { panic!("{name}: {reply}") };
        assert_eq!((soa.record_type(), soa.ttl), (RecordType::SOA, 1));
        assert_eq!(soa.name.to_ascii(), zone, "{name}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_cut_over_udp_and_whole_over_tcp() {
    let many: Vec<String> = (0..200).map(|n| format!("10.244.1.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let _world = World::of(vec![service("web", &many)], nobody()).await;
    for (edns, least) in [(None, 25), (Some(512), 25), (Some(800), 40), (Some(4096), 70)] {
        let query = query("web.shop.jaco.internal.", RecordType::A, edns);
        let cut = over_udp(&query).await;
        assert!(cut.metadata.truncation, "{edns:?}");
        assert!(cut.answers.len() >= least && cut.answers.len() < 200, "{}", cut.answers.len());
        let whole = over_tcp(&query).await;
        assert!(!whole.metadata.truncation);
        assert_eq!(addresses(&whole).len(), 200);
    }
}

#[tokio::test]
async fn a_new_zone_answers_from_the_next_question_on() {
    let world = World::of(vec![service("web", &["10.244.0.2"])], nobody()).await;
    for n in 3..30 {
        let address = format!("10.244.0.{n}");
        let services = vec![service("web", &[&address])];
        world.resolver.swap(Zone::new(&names(at(1).ip(), services)));
        assert_eq!(addresses(&ask("web.", RecordType::A).await), [address].into());
    }
    world.resolver.swap(Zone::new(&names(at(1).ip(), Vec::new())));
    let gone = ask("web.", RecordType::A).await;
    assert_eq!(gone.metadata.response_code, ResponseCode::NXDomain);
}

#[tokio::test]
async fn what_is_no_question_gets_no_more_than_a_header() {
    let _world = World::of(vec![service("web", &["10.244.0.2"])], nobody()).await;
    let good = query("web.", RecordType::A, Some(1232)).to_vec().unwrap();
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut packet = good.clone();
        change(&mut packet);
        packet
    };
    let code = |packet: Vec<u8>| async move {
        let reply = datagram(&packet).await.unwrap();
        assert_eq!(reply[..2], packet[..2]);
        assert_eq!(reply[2] & 0x80, 0x80);
        assert!(reply.len() <= packet.len().max(12), "no amplification");
        reply[3] & 0x0f
    };
    for (packet, expected, why) in [
        (changed(&|p| p[2] |= 0x20), 4, "another opcode"),
        (changed(&|p| p[5] = 0), 1, "no question"),
        (changed(&|p| p[5] = 2), 1, "two questions"),
        (changed(&|p| p[4] = 0xff), 1, "very many questions"),
        (changed(&|p| p[7] = 1), 1, "an answer in a query"),
        (changed(&|p| p[11] = 9), 1, "records that are not there"),
        (changed(&|p| p[12] = 0x80), 1, "a label of no kind"),
        (changed(&|p| p[12..14].copy_from_slice(&[0xc0, 12])), 1, "a name that points to itself"),
        (changed(&|p| p.truncate(20)), 1, "torn in the question"),
        (changed(&|p| p.truncate(30)), 1, "torn in the OPT record"),
        (changed(&|p| p.truncate(12)), 1, "a header alone"),
    ] {
        assert_eq!(code(packet).await, expected, "{why}");
    }
    // What could be answered for ever is not answered at all; what comes after it is.
    for packet in [changed(&|p| p[2] |= 0x80), changed(&|p| p.truncate(11)), Vec::new()] {
        let socket = tokio::net::UdpSocket::bind((at(9).ip(), 0)).await.unwrap();
        socket.connect(at(1)).await.unwrap();
        socket.send(&packet).await.unwrap();
        socket.send(&good).await.unwrap();
        let mut reply = [0; 512];
        let length = socket.recv(&mut reply).await.unwrap();
        assert_eq!(Message::from_vec(&reply[..length]).unwrap().answers.len(), 1);
    }
}

#[tokio::test]
async fn classes_versions_and_transfers_are_refused() {
    let _world = World::of(vec![service("web", &["10.244.0.2"])], nobody()).await;
    let mut chaos = query("version.bind.", RecordType::TXT, None);
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(over_udp(&chaos).await.metadata.response_code, ResponseCode::Refused);
    let transfer = query("jaco.internal.", RecordType::AXFR, None);
    assert_eq!(over_tcp(&transfer).await.metadata.response_code, ResponseCode::Refused);
    let mut newer = query("web.", RecordType::A, Some(1232));
    newer.edns.as_mut().unwrap().set_version(1);
    // 16 has two names.
    assert_eq!(u16::from(over_udp(&newer).await.metadata.response_code), 16);
    let mut notify = Message::new(1, MessageType::Query, OpCode::Notify);
    notify.add_queries(query("jaco.internal.", RecordType::SOA, None).queries);
    let reply = datagram(&notify.to_vec().unwrap()).await.unwrap();
    let reply = Message::from_vec(&reply).unwrap();
    assert_eq!(reply.metadata.response_code, ResponseCode::NotImp);
    assert_eq!(reply.metadata.op_code, OpCode::Notify);
}

/// A valid packet with a few bytes changed, and cut somewhere: what random bytes alone do not reach.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let seeds =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/dns")).unwrap();
    let seeds: Vec<Vec<u8>> =
        seeds.map(|seed| std::fs::read(seed.unwrap().path()).unwrap()).collect();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (prop::sample::select(seeds), changes, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(mut packet, changes, end, cut)| {
            for (at, byte) in changes {
                // The first byte says what it is.
                let at = 1 + at.index(packet.len() - 1);
                packet[at] = byte;
            }
            if cut {
                packet.truncate(1 + end.index(packet.len()));
            }
            packet
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn no_packet_breaks_a_rule(damaged in damaged(), noise in prop::collection::vec(any::<u8>(), 0..200)) {
        jaco_net::testing::fuzzing::dns(&damaged);
        jaco_net::testing::fuzzing::dns(&noise);
    }
}

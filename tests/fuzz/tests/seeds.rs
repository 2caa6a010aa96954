//! Seeds that nobody can write by hand: what a node writes must be what the targets read.
//!
//! `JACO_WRITE_DOCS=1` writes them into the corpus.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{fs, path::PathBuf};

use jaco_api::{error::ErrorCode, manifest::Severity, model, pb};
use jaco_engine::{
    command::{Outcome, decode, decode_outcome, encode, encode_outcome},
    state,
    testing::{
        builders::{Scenario, Stack, node, sealed, token},
        fuzzing,
    },
};
use prost::Message as _;

/// An input of the corpus: made anew, it is the one that lies there.
fn seed(target: &str, name: &str, data: &[u8]) {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target).join(name);
    if std::env::var_os("JACO_WRITE_DOCS").is_some() {
        fs::write(&path, data).unwrap();
    }
    let present = fs::read(&path).unwrap_or_default();
    assert!(present == data, "{} is out of date: write it with JACO_WRITE_DOCS=1", path.display());
}

fn scenario() -> Scenario {
    let mut scenario = Scenario::new().with_nodes(3);
    let stack = Stack::new("shop").service("web", "web:1", 2).stateful("db", "db:1");
    let options = model::RouteOptions {
        strip_path: true,
        basic_auth: [("ann".to_owned(), sealed(b"password"))].into(),
        ..model::RouteOptions::default()
    };
    scenario.deploy(stack.route("shop.example", "/", "web").options(options));
    scenario
}

#[test]
fn a_log_and_its_state() {
    let scenario = scenario();
    for (index, envelope) in &scenario.log {
        let bytes = encode(envelope);
        assert_eq!(&decode(&bytes).unwrap(), envelope);
        seed("command", &format!("entry-{index:02}"), &bytes);
    }
    let outcome = encode_outcome(&Outcome::Revision { number: 7, changed: true });
    assert!(decode_outcome(&outcome).is_ok());
    seed("command", "outcome", &outcome);
    let snapshot = state::snapshot::write(&scenario.state);
    assert!(state::snapshot::read(&snapshot).is_ok());
    seed("snapshot", "shop", &snapshot);
}

#[test]
fn files_of_a_disk() {
    let kinds = |kind: u8, rest: &[u8]| [&[kind], rest].concat();
    let mut checkpoint = [0_u64.to_le_bytes(), 1_u64.to_le_bytes()].concat();
    checkpoint.extend([[0xff; 4]; 3].concat());
    let mut file = fuzzing::header(1, 9);
    file.extend(fuzzing::record(9, 24, 5, &checkpoint));
    file.extend(fuzzing::record(9, 24, 1, &[&1_u64.to_le_bytes()[..], b"an entry"].concat()));
    file.extend(fuzzing::record(9, 24, 2, &[0, 3, 2, 1]));
    assert_eq!(fuzzing::segment(&file, true).as_deref(), Some(file.as_slice()));
    seed("disk_log", "segment", &kinds(0, &file));
    let length = u8::try_from(checkpoint.len()).unwrap();
    let records = [&[0, 9, 5, 24, length][..], &checkpoint, &[1, 24, 9], &[1; 9]].concat();
    seed("disk_log", "records", &kinds(1, &records));
    seed("disk_log", "snapshot", &kinds(2, &fuzzing::snapshot_of(b"meta", b"data")));
    for (name, kind, bytes, rewrite) in [
        ("entry", 4, "0302ac020103616263", fuzzing::entry as fn(&[u8]) -> Option<Vec<u8>>),
        ("vote", 5, "030201", fuzzing::vote),
        ("log-id", 6, "010302ac02", fuzzing::log_id),
        (
            "meta",
            7,
            "010302ac02010302ac020101010101046e6f6465007f00000100007f00000100",
            fuzzing::meta,
        ),
    ] {
        let bytes: Vec<u8> = (0..bytes.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&bytes[at..at + 2], 16).unwrap())
            .collect();
        assert_eq!(rewrite(&bytes).as_ref(), Some(&bytes), "{name}");
        seed("disk_log", name, &kinds(kind, &bytes));
    }
}

#[test]
fn messages_of_the_api() {
    let seed =
        |name, kind: u8, message: &[u8]| seed("messages", name, &[&[kind], message].concat());
    let diagnostic = jaco_api::manifest::Diagnostic {
        severity: Severity::Error,
        code: ErrorCode::UnknownService,
        file: "jaco.yaml".into(),
        line: 4,
        column: 14,
        length: 3,
        source: "    service: wbe".into(),
        path: "routes[0].service".into(),
        message: "the service `wbe` is not defined".into(),
        hint: Some("did you mean `web`?".into()),
    };
    let mut refused = jaco_api::error::ApiError::new(ErrorCode::UnknownService, "1 problem");
    refused.diagnostics.push(diagnostic.clone());
    let route = model::RouteSpec {
        domain: "shop.example".into(),
        path: "/api".into(),
        service: "web".parse().unwrap(),
        port: 8080,
        tls: model::TlsMode::Imported("own".into()),
        options: model::RouteOptions {
            strip_path: true,
            redirect_to: Some(model::RedirectSpec {
                url: "https://b.example".into(),
                permanent: true,
                keep_path: true,
            }),
            timeout: Some(model::Span::secs(30)),
            sticky: Some(model::Stickiness::Ip),
            basic_auth: [("ann".into(), model::Hidden)].into(),
            rate_limit: Some(model::RequestRate {
                requests: 10,
                per: model::Span::secs(1),
                burst: 20,
            }),
            allow: vec!["10.0.0.0/8".parse().unwrap()],
            protocol: model::RouteProtocol::H2c,
            ..model::RouteOptions::default()
        },
    };
    let apply = pb::ApplyRequest {
        jaco: "deployment: shop\n".into(),
        compose: "services: {web: {image: a}}\n".into(),
        jaco_name: "jaco.yaml".into(),
        compose_name: "compose.yaml".into(),
        ..pb::ApplyRequest::default()
    };
    seed("apply", 0, &apply.encode_to_vec());
    seed("status", 1, tonic::Status::from(refused).details());
    seed("node", 2, &pb::Node::from(node(1)).encode_to_vec());
    seed("route", 5, &pb::Route::from(route).encode_to_vec());
    seed("diagnostic", 14, &pb::Diagnostic::from(diagnostic).encode_to_vec());
    seed("token", 16, &pb::OperatorToken::from(token("ci", "secret")).encode_to_vec());
    let usage = model::NodeUsage::default();
    seed("usage", 19, &pb::NodeUsage::from(usage).encode_to_vec());
}

#[test]
fn packets_of_clients_and_upstreams() {
    use hickory_proto::{
        op::{Message, OpCode, Query, ResponseCode},
        rr::{Name, RData, Record, RecordType, rdata},
    };
    let seed = |name, kind: u8, bytes: &[u8]| seed("dns", name, &[&[kind], bytes].concat());
    let client = jaco_net::testing::fuzzing::client(RecordType::A);
    seed("query-forwarded", 0, &client);
    for (name, asked, kind) in [
        ("query-a", "WEB.shop.jaco.internal.", RecordType::A),
        ("query-srv", "_http._tcp.web.", RecordType::SRV),
        ("query-ptr", "3.1.244.10.in-addr.arpa.", RecordType::PTR),
        ("query-nope", "nope.", RecordType::AAAA),
    ] {
        let mut message = Message::new(7, hickory_proto::op::MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii(asked).unwrap(), kind));
        seed(name, 0, &message.to_vec().unwrap());
    }
    // As an upstream's: flags and codes, counts, and what comes after the question.
    let records = |message: &Message| {
        let bytes = message.to_vec().unwrap();
        let question = client.len() - 11;
        [&bytes[2..4], &bytes[6..12], &bytes[question..]].concat()
    };
    let mut said = Message::error_msg(7, OpCode::Query, ResponseCode::NoError);
    let owner = Name::from_ascii("www.example.com.").unwrap();
    said.add_query(Query::query(owner.clone(), RecordType::A));
    let address = RData::A(rdata::A::new(192, 0, 2, 1));
    said.add_answer(Record::from_rdata(owner.clone(), 60, address));
    said.set_edns(hickory_proto::op::Edns::new());
    seed("said-a", 1, &records(&said));
    let mut absent = Message::error_msg(7, OpCode::Query, ResponseCode::NXDomain);
    absent.add_queries(said.queries.clone());
    let soa = rdata::SOA::new(Name::root(), Name::root(), 1, 2, 3, 4, 5);
    absent.add_authority(Record::from_rdata(Name::root(), 60, RData::SOA(soa)));
    seed("said-nothing", 1, &records(&absent));
    seed("said-whole", 1, &said.to_vec().unwrap());
    seed("resolv-conf", 2, b"search a.example\nnameserver 192.0.2.1\noptions ndots:5\n");
}

use std::collections::{BTreeMap, BTreeSet};

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{
        AuditKind, Availability, CertificateSource, Digest, HeaderChanges, HeaderRules, JoinToken,
        NetworkName, NodeCondition, NodeId, Observation, Reason, RedirectSpec, ReplicaReport,
        Report, RequestRate, RouteOptions, RouteProtocol, Span, Stickiness, Subnet, SubnetKey,
        Timestamp,
    },
    pb,
};
use jaco_ingress::{
    Domain, TxtRecord,
    acme::{challenge::Challenge, phase},
};
use prost::Message as _;

use crate::{
    command::{
        Action, AdmitNode, AdvanceIssuance, Command, DecodeError, DeleteCertificate,
        DeleteDeployment, DeleteFile, Envelope, HoldDeployment, HurryIssuance, ImportCertificate,
        InitCluster, IssueJoinToken, IssueToken, KeepAccount, LabelNode, Outcome, PublishChallenge,
        Reconcile, RecordAudit, ReleaseSubnets, RemoveNode, ReserveKey, RestartDeployment,
        RevokeToken, RollbackDeployment, RolloutEnd, RotateKey, ScaleDeployment, SetAvailability,
        SetFile, SetSetting, Tick, UpdateNode, WithdrawChallenge, decode, decode_outcome, encode,
        encode_outcome,
    },
    state::{Issuance, Published},
    testing::builders::{Scenario, Stack, certificate, name, node, replica_id, sealed, token},
};

fn envelope(command: Command) -> Envelope {
    Envelope { command, request_id: Some("r".into()), ..Scenario::new().log.remove(0).1 }
}

fn actions() -> Vec<Action> {
    let reason = || "why".to_owned();
    let replica = || replica_id("shop", "web", 3);
    let service = || name("web");
    vec![
        Action::Create { service: service(), node: NodeId(2), slot: None },
        Action::Create { service: service(), node: NodeId(2), slot: Some(name("node-2")) },
        Action::Address { service: service() },
        Action::Accompany { service: name("vpn"), lead: replica() },
        Action::Prepare { replica: replica() },
        Action::Advance { replica: replica() },
        Action::Remove { replica: replica() },
        Action::Move { replica: replica(), to: NodeId(2), reason: reason() },
        Action::Unplaced { service: service(), reason: Some(reason()) },
        Action::Unplaced { service: service(), reason: None },
        Action::CountFailure { service: service(), reason: reason() },
        Action::EndRollout(RolloutEnd::Completed),
        Action::EndRollout(RolloutEnd::Paused { reason: reason() }),
        Action::EndRollout(RolloutEnd::RolledBack { reason: reason() }),
        Action::EndRollout(RolloutEnd::Failed { reason: reason() }),
        Action::StartRun { service: service(), tick: Timestamp(60_000), node: NodeId(2) },
        Action::CancelRun { service: service(), tick: Timestamp(60_000), reason: reason() },
        Action::DropRun { service: service(), tick: Timestamp(60_000) },
    ]
}

/// With every field set.
fn issuance() -> Issuance {
    let domain = || name::<Domain>("shop.example.com");
    let published = |challenge| Published { challenge, until: Timestamp(600_000) };
    Issuance {
        domain: domain(),
        row: phase::Row {
            phase: phase::Phase::Renewing,
            since: Timestamp(1),
            deadline: Timestamp(2),
            attempt: 3,
            failures: 4,
            retry: Some(phase::Attempt::Promoting),
            order: Some(phase::OrderRef {
                directory: "https://ca.example/directory".into(),
                url: "https://ca.example/order/1".into(),
                sealed_key: vec![1, 2, 3],
            }),
            window: Some(phase::Window { start: Timestamp(5), end: Timestamp(6) }),
            reason: Some("the CA said no".into()),
        },
        challenges: vec![
            published(Challenge::Http01 {
                domain: domain(),
                token: "token".into(),
                key_authorization: "token.thumb".into(),
            }),
            published(Challenge::TlsAlpn01 { domain: domain(), digest: [7; 32] }),
            published(Challenge::Dns01(TxtRecord { domain: domain(), value: "txt".into() })),
        ],
        version: 9,
    }
}

fn report() -> Report {
    let observation = Observation {
        generation: 2,
        state: jaco_api::model::ReplicaState::Failed,
        health: jaco_api::model::Health::Unhealthy,
        reason: Some(Reason { code: Some(ErrorCode::ContainerExited), message: "exit".into() }),
        container: Some("abc".into()),
        exit_code: Some(-1),
        oom_killed: true,
        restarts: 3,
        started_at: Some(Timestamp(9)),
        pull_failures: 2,
        addresses: [(NetworkName::default_network(), "10.244.0.2".parse().unwrap())].into(),
    };
    let part = |observation, prepared, log_tail| ReplicaReport {
        id: replica_id("shop", "web", 1),
        observation,
        prepared: Option::map(prepared, |result| (Digest::of(b"asked for"), result)),
        log_tail,
    };
    Report {
        node: NodeId(1),
        replicas: vec![
            part(Some(observation), Some(Ok(())), Some(sealed(b"tail"))),
            part(None, Some(Err(Reason { code: None, message: "no".into() })), None),
        ],
        removed_volumes: vec!["v".into()],
    }
}

/// Each of them asked for.
fn options() -> RouteOptions {
    let changes = HeaderChanges {
        set: BTreeMap::from([("x-a".into(), "1".into())]),
        remove: vec!["server".into()],
    };
    RouteOptions {
        strip_path: true,
        redirect_to: Some(RedirectSpec {
            url: "https://b.example".into(),
            permanent: true,
            keep_path: true,
        }),
        headers: HeaderRules { request: changes.clone(), response: changes },
        timeout: Some(Span::secs(5)),
        max_body: Some(u64::MAX),
        sticky: Some(Stickiness::Ip),
        basic_auth: BTreeMap::from([("ann".into(), sealed(b"password"))]),
        rate_limit: Some(RequestRate { requests: 6, per: Span::secs(60), burst: 2 }),
        allow: vec!["10.0.0.0/8".parse().unwrap()],
        deny: vec!["2001:db8::/32".parse().unwrap()],
        compress: true,
        protocol: RouteProtocol::H2c,
    }
}

/// One of each; the match makes the compiler ask for a new command here.
fn subnet(released: Option<u64>) -> Subnet {
    let key = SubnetKey { deployment: name("shop"), network: name("default"), node: NodeId(2) };
    Subnet { key, prefix: "10.244.7.0/24".parse().unwrap(), released }
}

fn commands() -> Vec<Command> {
    let deployment = || name("shop");
    let mut stack =
        Stack::new("shop").stateful("db", "db:1").route("a.example", "/", "db").command();
    stack.acme_email = Some("ops@shop.example".into());
    stack.routes[0].options = options();
    stack.privileged = BTreeMap::from([(name("db"), vec!["privileged".into()])]);
    let all = vec![
        Command::InitCluster(Box::new(InitCluster {
            address_pools: Some("10.128.0.0/12:26".parse().unwrap()),
            cluster: name("0190b5f4-6d1c-7c3a-9a52-4a86d3b1f0e2"),
            ca_pem: "pem".into(),
            ca_key: sealed(b"key"),
            node: node(1),
            token: token("admin", "s"),
        })),
        Command::UpdateNode(UpdateNode {
            node: NodeId(1),
            facts: Some(node(2).facts),
            condition: Some((NodeCondition::Degraded, Some("engine".into()))),
        }),
        Command::UpdateNode(UpdateNode { node: NodeId(1), facts: None, condition: None }),
        Command::IssueJoinToken(IssueJoinToken {
            token: JoinToken {
                hash: Digest::of(b"join"),
                issued_at: Timestamp(1),
                expires_at: Timestamp(2),
                consumed_by: None,
            },
        }),
        Command::AdmitNode(Box::new(AdmitNode {
            token: Digest::of(b"join"),
            name: name("node-2"),
            facts: node(2).facts,
        })),
        Command::SetAvailability(SetAvailability {
            node: NodeId(1),
            availability: Availability::Leaving,
            forced: true,
        }),
        Command::LabelNode(LabelNode {
            node: NodeId(1),
            set: BTreeMap::from([("disk".into(), "ssd".into())]),
            remove: BTreeSet::from(["zone".into()]),
        }),
        Command::RemoveNode(RemoveNode { node: NodeId(1) }),
        Command::ReserveKey(ReserveKey),
        Command::RotateKey(RotateKey { key_id: 2, ca_key: sealed(b"key") }),
        Command::IssueToken(IssueToken { token: token("ci", "t"), rotate: true }),
        Command::RevokeToken(RevokeToken { identity: name("ci") }),
        Command::SetSetting(SetSetting { key: "k".into(), value: "v".into() }),
        Command::SetFile(SetFile {
            id: name("secret/db"),
            content: sealed(b"content"),
            size: 7,
            deployments: vec!["shop".into()],
        }),
        Command::DeleteFile(DeleteFile { id: name("config/app.toml") }),
        Command::ApplyDeployment(Box::new(stack)),
        Command::RollbackDeployment(RollbackDeployment { deployment: deployment(), to: Some(3) }),
        Command::RollbackDeployment(RollbackDeployment { deployment: deployment(), to: None }),
        Command::DeleteDeployment(DeleteDeployment { deployment: deployment(), volumes: true }),
        Command::ScaleDeployment(ScaleDeployment {
            deployment: deployment(),
            replicas: BTreeMap::from([(name("web"), 0)]),
        }),
        Command::RestartDeployment(RestartDeployment {
            deployment: deployment(),
            services: BTreeSet::from([name("web")]),
        }),
        Command::HoldDeployment(HoldDeployment { deployment: deployment(), stopped: true }),
        Command::Reconcile(Reconcile { deployment: deployment(), version: 7, actions: actions() }),
        Command::Report(report()),
        Command::RecordAudit(RecordAudit {
            kind: AuditKind::Exec,
            payload: BTreeMap::from([("k".into(), "v".into())]),
        }),
        Command::ReleaseSubnets(ReleaseSubnets { subnets: vec![subnet(Some(9)), subnet(None)] }),
        Command::AdvanceIssuance(Box::new(AdvanceIssuance {
            issuance: issuance(),
            certificate: Some(certificate("shop.example.com", CertificateSource::Acme)),
        })),
        Command::PublishChallenge(PublishChallenge {
            domain: name("shop.example.com"),
            attempt: 2,
            challenge: issuance().challenges[1].clone(),
        }),
        Command::WithdrawChallenge(WithdrawChallenge {
            domain: name("shop.example.com"),
            challenge: issuance().challenges[2].clone(),
        }),
        Command::KeepAccount(KeepAccount {
            directory: "https://ca.example/directory".into(),
            email: "ops@example.com".into(),
            credentials: Some(sealed(b"account")),
        }),
        Command::ImportCertificate(Box::new(ImportCertificate {
            certificate: certificate("*.example.com", CertificateSource::Imported),
        })),
        Command::DeleteCertificate(DeleteCertificate { domain: name("*.example.com") }),
        Command::HurryIssuance(HurryIssuance { domain: name("shop.example.com") }),
        Command::Tick(Tick {
            deployment: deployment(),
            service: name("web"),
            revision: 4,
            tick: Timestamp(60_000),
        }),
    ];
    let kinds: BTreeSet<u8> = all
        .iter()
        .map(|command| match command {
            Command::InitCluster(_) => 0,
            Command::UpdateNode(_) => 1,
            Command::IssueToken(_) => 2,
            Command::RevokeToken(_) => 3,
            Command::SetSetting(_) => 4,
            Command::ApplyDeployment(_) => 5,
            Command::RollbackDeployment(_) => 6,
            Command::DeleteDeployment(_) => 7,
            Command::ScaleDeployment(_) => 8,
            Command::RestartDeployment(_) => 9,
            Command::HoldDeployment(_) => 10,
            Command::Reconcile(_) => 11,
            Command::Report(_) => 12,
            Command::RecordAudit(_) => 13,
            Command::IssueJoinToken(_) => 14,
            Command::AdmitNode(_) => 15,
            Command::SetAvailability(_) => 16,
            Command::LabelNode(_) => 17,
            Command::RemoveNode(_) => 18,
            Command::RotateKey(_) => 19,
            Command::ReserveKey(_) => 20,
            Command::SetFile(_) => 21,
            Command::DeleteFile(_) => 22,
            Command::ReleaseSubnets(_) => 23,
            Command::AdvanceIssuance(_) => 24,
            Command::PublishChallenge(_) => 25,
            Command::WithdrawChallenge(_) => 26,
            Command::KeepAccount(_) => 27,
            Command::ImportCertificate(_) => 28,
            Command::DeleteCertificate(_) => 29,
            Command::HurryIssuance(_) => 30,
            Command::Tick(_) => 60,
        })
        .collect();
    assert_eq!(kinds.len(), 32, "one of each command");
    all
}

#[test]
fn every_command_comes_back_as_it_went() {
    for command in commands() {
        let envelope = envelope(command);
        assert_eq!(decode(&encode(&envelope)).unwrap(), envelope);
    }
}

#[test]
fn every_outcome_comes_back_as_it_went() {
    for outcome in [
        Outcome::Done,
        Outcome::Revision { number: 4, changed: true },
        Outcome::RolledBack { restored: 1, number: 4 },
        Outcome::Deleted { volumes: vec!["a".into(), "b".into()] },
        Outcome::Admitted { node: NodeId(3) },
        Outcome::KeyReserved { key_id: 2 },
        Outcome::Rejected(ApiError::new(ErrorCode::Conflict, "no").with("owner", "blog")),
    ] {
        assert_eq!(decode_outcome(&encode_outcome(&outcome)).unwrap(), outcome);
    }
}

#[test]
fn a_command_of_a_newer_version_stops_the_reader() {
    let bare = pb::LogEntry {
        command: None,
        ..pb::LogEntry::decode(encode(&envelope(commands().remove(3))).as_slice()).unwrap()
    };
    let mut newer = bare.encode_to_vec();
    prost::encoding::message::encode(200, &pb::RevokeToken { identity: "x".into() }, &mut newer);
    let error = decode(&newer).unwrap_err();
    assert!(matches!(error, DecodeError::UnknownCommand { number: 200 }), "{error}");
    assert!(error.to_string().contains("upgrade this node"));
    assert!(matches!(
        decode(&bare.encode_to_vec()).unwrap_err(),
        DecodeError::UnknownCommand { number: 0 }
    ));
}

#[test]
fn a_field_of_a_newer_version_stops_the_reader() {
    let known = encode(&envelope(commands().remove(5)));
    let mut newer = known.clone();
    prost::encoding::uint32::encode(15, &7, &mut newer);
    assert!(matches!(decode(&newer).unwrap_err(), DecodeError::UnknownField));
    assert!(decode(&known[..known.len() - 1]).is_err(), "a torn entry");
    assert!(matches!(decode(&[0xff; 9]).unwrap_err(), DecodeError::Malformed(_)));
}

#[test]
fn values_are_checked_on_the_way_in() {
    let mut message =
        pb::LogEntry::decode(encode(&envelope(commands().remove(3))).as_slice()).unwrap();
    message.actor.as_mut().unwrap().identity = "no spaces allowed".into();
    let error = decode(&message.encode_to_vec()).unwrap_err();
    assert!(matches!(error, DecodeError::Invalid(_)), "{error}");
}

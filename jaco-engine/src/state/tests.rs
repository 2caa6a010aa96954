use std::{collections::BTreeMap, sync::Arc};

use jaco_api::{
    model::{AuditKind, CertificateSource, Digest, JoinToken, ReplicaState, Timestamp},
    pb,
};
use jaco_ingress::{Domain, acme::phase};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};

use super::{
    Issuance, State,
    snapshot::{self, SnapshotError},
};
use crate::{
    command::{
        AdvanceIssuance, Command, HoldDeployment, IssueToken, KeepAccount, RecordAudit, SetFile,
    },
    testing::builders::{Scenario, Stack, certificate, name, sealed, token},
};

/// A state with a row in every table.
fn full() -> State {
    let mut s = Scenario::new().with_nodes(2);
    for (secret, rotate) in [("one", false), ("two", true)] {
        s.run(Command::IssueToken(IssueToken { token: token("ci", secret), rotate }));
    }
    let stack = |image| {
        Stack::new("shop").service("web", image, 2).stateful("db", "db:1").route(
            "shop.example",
            "/",
            "web",
        )
    };
    let ids = s.deploy(stack("web:1"));
    s.observe(&ids[0], ReplicaState::Degraded);
    s.run(stack("web:2"));
    s.run_as(
        Some("r1"),
        Command::HoldDeployment(HoldDeployment { deployment: name("shop"), stopped: false }),
    );
    s.run(Command::SetFile(SetFile {
        id: name("secret/db"),
        content: sealed(b"content"),
        size: 7,
        deployments: vec!["shop".into()],
    }));
    s.run(Command::RecordAudit(RecordAudit {
        kind: AuditKind::Exec,
        payload: BTreeMap::from([("replica".into(), "shop.web.1".into())]),
    }));
    let domain = name::<Domain>("shop.example");
    let row = phase::Row::new(Timestamp(0));
    s.run(Command::AdvanceIssuance(Box::new(AdvanceIssuance {
        issuance: Issuance { domain, row, challenges: Vec::new(), version: 0 },
        certificate: Some(certificate("shop.example", CertificateSource::Acme)),
    })));
    s.run(Command::KeepAccount(KeepAccount {
        directory: "https://ca.example".into(),
        email: "ops@example.com".into(),
        credentials: Some(sealed(b"account")),
    }));
    let join = JoinToken {
        hash: Digest::of(b"join"),
        issued_at: Timestamp(1),
        expires_at: Timestamp(2),
        consumed_by: Some(name("node-2")),
    };
    s.state.join_tokens.put(join.hash, Arc::new(join));
    s.state
}

#[test]
fn a_snapshot_has_every_table() {
    let pool = DescriptorPool::decode(pb::DESCRIPTORS).unwrap();
    let descriptor = pool.get_message_by_name("jaco.v1.Snapshot").unwrap();
    let bytes = snapshot::write(&full());
    let message = DynamicMessage::decode(descriptor.clone(), bytes.as_slice()).unwrap();
    for table in descriptor.fields() {
        assert!(message.has_field(&table), "{} is empty in a full state", table.name());
    }
    let read = snapshot::read(&bytes).unwrap();
    let again = DynamicMessage::decode(descriptor, snapshot::write(&read).as_slice()).unwrap();
    assert_eq!(message, again, "every table comes back as it went");
}

#[test]
fn a_snapshot_replaces_what_was_there() {
    let empty = snapshot::read(&snapshot::write(&State::default())).unwrap();
    assert_eq!(empty.deployments().count(), 0);
    assert_eq!(snapshot::write(&empty), snapshot::write(&State::default()));
}

#[test]
fn damage_and_newer_versions_are_told_apart() {
    let bytes = snapshot::write(&full());
    for cut in 1..bytes.len() {
        if let Ok(state) = snapshot::read(&bytes[..cut]) {
            // A cut between two rows is a shorter snapshot: the storage's checksum is for that.
            assert_ne!(snapshot::write(&state), bytes);
        }
    }
    let mut newer = pb::Snapshot::decode(bytes.as_slice()).unwrap();
    newer.version += 1;
    let error = snapshot::read(&newer.encode_to_vec()).unwrap_err();
    assert!(matches!(error, SnapshotError::Newer { found: 2 }), "{error}");
    let mut unknown = bytes;
    prost::encoding::string::encode(99, &"a table to come".to_owned(), &mut unknown);
    assert!(matches!(snapshot::read(&unknown).unwrap_err(), SnapshotError::UnknownContent));
}

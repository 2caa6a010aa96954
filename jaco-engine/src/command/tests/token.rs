use jaco_api::{
    error::ErrorCode,
    model::{AuditKind, Digest, OperatorToken},
};

use super::{audited, refused};
use crate::{
    command::{Command, InitCluster, IssueToken, Outcome, RecordAudit, RevokeToken, SetSetting},
    state::{State, TokenMatch, snapshot},
    testing::builders::{Scenario, name, node, sealed, token},
};

fn issue(holder: &str, secret: &str, rotate: bool) -> Command {
    Command::IssueToken(IssueToken { token: token(holder, secret), rotate })
}

fn revoke(holder: &str) -> Command {
    Command::RevokeToken(RevokeToken { identity: name(holder) })
}

#[test]
fn a_cluster_begins_once_and_everything_else_waits_for_it() {
    let mut s = Scenario::new();
    let again = Command::InitCluster(Box::new(InitCluster {
        address_pools: None,
        cluster: name("0190b5f4-6d1c-7c3a-9a52-4a86d3b1f0e2"),
        ca_pem: String::new(),
        ca_key: sealed(b""),
        node: node(1),
        token: token("admin", "second"),
    }));
    assert_eq!(refused(&s.run(again)), ErrorCode::ClusterAlreadyInitialized);
    assert_eq!(audited(&s.state, AuditKind::ClusterInit), 1);

    let envelope = s.log.remove(0).1;
    let early = crate::command::Envelope { command: revoke("admin"), ..envelope };
    let (state, outcome) = State::default().apply(1, &early);
    assert_eq!(refused(&outcome), ErrorCode::ClusterUninitialized);
    assert_eq!(state.index(), 1);
}

#[test]
fn a_holder_has_one_token_and_a_replaced_one_is_remembered() {
    let mut s = Scenario::new();
    let hash = |secret: &str| Digest::of(secret.as_bytes());
    assert_eq!(s.run(issue("ci", "one", false)), Outcome::Done);
    assert_eq!(refused(&s.run(issue("ci", "two", false))), ErrorCode::Conflict);
    assert_eq!(refused(&s.run(issue("other", "one", false))), ErrorCode::Conflict);
    assert_eq!(s.run(issue("ci", "two", true)), Outcome::Done);
    assert!(matches!(s.state.token_of_hash(&hash("two")), TokenMatch::Known(_)));
    assert_eq!(s.state.token_of_hash(&hash("one")), TokenMatch::Retired(&name("ci")));
    assert_eq!(s.state.token_of_hash(&hash("three")), TokenMatch::Unknown);
    assert_eq!(s.state.token_holder(&hash("one")), Some(&name("ci")));

    assert_eq!(s.run(revoke("ci")), Outcome::Done);
    let TokenMatch::Known(token) = s.state.token_of_hash(&hash("two")) else { panic!("kept") };
    assert_eq!(token.revoked_at, Some(s.now));
    assert_eq!(s.run(issue("ci", "four", false)), Outcome::Done, "a revoked one is no obstacle");
    assert_eq!(s.state.token_of_hash(&hash("two")), TokenMatch::Retired(&name("ci")));
    let read = snapshot::read(&snapshot::write(&s.state)).unwrap();
    assert_eq!(read.token_of_hash(&hash("one")), TokenMatch::Retired(&name("ci")));
}

#[test]
fn tokens_that_cannot_be_are_refused() {
    let mut s = Scenario::new();
    assert_eq!(refused(&s.run(issue("local", "x", false))), ErrorCode::ValidationFailed);
    assert_eq!(refused(&s.run(issue("system", "x", false))), ErrorCode::ValidationFailed);
    let bare = OperatorToken { hash: None, ..token("ci", "x") };
    let bare = Command::IssueToken(IssueToken { token: bare, rotate: false });
    assert_eq!(refused(&s.run(bare)), ErrorCode::ValidationFailed);
    assert_eq!(refused(&s.run(revoke("nobody"))), ErrorCode::TokenInvalid);
    assert_eq!(s.run(revoke("admin")), Outcome::Done, "the local socket remains");
    assert_eq!(s.run(revoke("admin")), Outcome::Done);
    assert_eq!(audited(&s.state, AuditKind::TokenRevoke), 1);
}

#[test]
fn settings_are_checked_and_retention_takes_effect_at_once() {
    let mut s = Scenario::new();
    let set = |key: &str, value: &str| {
        Command::SetSetting(SetSetting { key: key.into(), value: value.into() })
    };
    assert_eq!(refused(&s.run(set("nope", "1"))), ErrorCode::ValidationFailed);
    assert_eq!(refused(&s.run(set("audit_retention", "1"))), ErrorCode::ValidationFailed);
    for _ in 0..300 {
        s.run(Command::RecordAudit(RecordAudit {
            kind: AuditKind::LeaderElected,
            payload: Default::default(),
        }));
    }
    assert_eq!(s.run(set("audit_retention", "100")), Outcome::Done);
    assert_eq!(s.state.audit_after(0).count(), 100);
    assert_eq!(s.state.audit_after(0).last().unwrap().kind, AuditKind::SettingsChanged);
    let events = s.state.audit_after(0).count();
    s.run(set("audit_retention", "100"));
    assert_eq!(s.state.audit_after(0).count(), events, "no change, no event");
}

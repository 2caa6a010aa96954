use jaco_api::{
    error::ErrorCode,
    model::{AuditKind, FileContent, RolloutPhase},
};

use super::{audited, changed, refused, rollout};
use crate::{
    command::{Action, Command, DeleteFile, Outcome, RollbackDeployment, RolloutEnd, SetFile},
    state::snapshot,
    testing::builders::{Scenario, Stack, name, sealed},
};

fn set(id: &str, content: &[u8]) -> Command {
    let (content, size) = (sealed(content), content.len() as u64);
    Command::SetFile(SetFile { id: name(id), content, size, deployments: Vec::new() })
}

fn delete(id: &str) -> Command {
    Command::DeleteFile(DeleteFile { id: name(id) })
}

/// `shop` with `web`, which uses `secret/db`, and `other`, which does not.
fn shop() -> Stack {
    Stack::new("shop").using("web", "web:1", &["secret/db"]).service("other", "other:1", 1)
}

#[test]
fn a_new_content_rolls_exactly_the_services_that_use_it() {
    let mut s = Scenario::new();
    s.run(set("secret/db", b"one"));
    s.run(set("config/db", b"of another kind"));
    s.deploy(shop());
    s.deploy(Stack::new("blog").using("web", "blog:1", &["config/db"]));
    let epoch = |s: &Scenario, deployment: &str, service: &str| {
        s.state.service(&name(deployment), &name(service)).unwrap().epoch
    };

    assert_eq!(s.run(set("secret/db", b"two")), Outcome::Done);
    assert_eq!(epoch(&s, "shop", "web"), 1);
    assert_eq!((epoch(&s, "shop", "other"), epoch(&s, "blog", "web")), (0, 0));
    assert_eq!(rollout(&s, "shop").phase, RolloutPhase::Rolling);
    let file = s.state.file(&name("secret/db")).unwrap();
    assert_eq!((file.version, file.size), (2, 3));
    let event =
        s.state.audit_after(0).filter(|e| e.kind == AuditKind::SecretUpsert).last().unwrap();
    assert_eq!(event.payload["rolled"], "shop/web");

    // The same ciphertext again: other globs roll nobody.
    s.run(set("secret/db", b"two"));
    assert_eq!(epoch(&s, "shop", "web"), 1);
    assert_eq!(s.state.file(&name("secret/db")).unwrap().version, 2);
}

#[test]
fn what_is_missing_is_not_deployed() {
    let mut s = Scenario::new();
    assert_eq!(refused(&s.run(shop())), ErrorCode::SecretNotFound);
    s.run(set("secret/db", b"one"));
    assert_eq!(s.run(shop()), changed(1));
    assert_eq!(s.run(Stack::new("shop").service("web", "web:2", 1)), changed(2));
    assert_eq!(s.run(delete("secret/db")), Outcome::Done);
    let back = RollbackDeployment { deployment: name("shop"), to: Some(1) };
    assert_eq!(refused(&s.run(Command::RollbackDeployment(back))), ErrorCode::SecretNotFound);
}

#[test]
fn what_is_in_use_is_not_deleted() {
    let mut s = Scenario::new();
    assert_eq!(refused(&s.run(delete("secret/db"))), ErrorCode::SecretNotFound);
    s.run(set("secret/db", b"one"));
    s.deploy(shop());
    let outcome = s.run(delete("secret/db"));
    assert_eq!(refused(&outcome), ErrorCode::Conflict);
    let Outcome::Rejected(error) = outcome else { panic!("it was refused") };
    assert_eq!(error.details["used_by"], "shop");

    // The rollout that takes it out may still go back to where it was in use.
    s.run(Stack::new("shop").service("web", "web:2", 1).service("other", "other:1", 1));
    assert!(rollout(&s, "shop").ended_at.is_none());
    assert_eq!(refused(&s.run(delete("secret/db"))), ErrorCode::Conflict);

    // One that failed leaves that to the next.
    let failed = RolloutEnd::Failed { reason: "it does not start".into() };
    assert_eq!(s.reconcile("shop", vec![Action::EndRollout(failed)]), Outcome::Done);
    assert!(rollout(&s, "shop").ended_at.is_some());
    assert_eq!(refused(&s.run(delete("secret/db"))), ErrorCode::Conflict);
}

#[test]
fn files_are_in_snapshots_as_ciphertext() {
    let mut s = Scenario::new();
    s.run(set("secret/db", b"one"));
    let bytes = snapshot::write(&s.state);
    let read = snapshot::read(&bytes).unwrap();
    assert_eq!(read.file(&name("secret/db")), s.state.file(&name("secret/db")));
    assert_eq!(audited(&read, AuditKind::SecretUpsert), 1);
    assert_eq!(format!("{:?}", FileContent::from("one")), "FileContent(3 bytes)");
}

use std::collections::{BTreeMap, BTreeSet};

use jaco_api::{
    error::ErrorCode,
    model::{
        AuditKind, Deployment, DeploymentPhase, Intent, Placement, Protocol, PublishedPort,
        ReplicaState, TlsMode,
    },
};

use super::{audited, changed, deployment, refused, unchanged};
use crate::{
    command::{
        Command, DeleteDeployment, HoldDeployment, Outcome, RestartDeployment, RollbackDeployment,
        ScaleDeployment,
    },
    state::snapshot,
    testing::builders::{Scenario, Stack, name, replica_id, schedule},
};

fn shop(image: &str) -> Stack {
    Stack::new("shop").service("web", image, 2)
}

fn rollback(to: Option<u64>) -> Command {
    Command::RollbackDeployment(RollbackDeployment { deployment: name("shop"), to })
}

fn delete(volumes: bool) -> Command {
    Command::DeleteDeployment(DeleteDeployment { deployment: name("shop"), volumes })
}

fn hold(stopped: bool) -> Command {
    Command::HoldDeployment(HoldDeployment { deployment: name("shop"), stopped })
}

fn scale(service: &str, count: u32) -> Command {
    let replicas = BTreeMap::from([(name(service), count)]);
    Command::ScaleDeployment(ScaleDeployment { deployment: name("shop"), replicas })
}

#[test]
fn equal_content_makes_no_revision() {
    let mut s = Scenario::new();
    assert_eq!(s.run(shop("web:1")), changed(1));
    let before = s.state.clone();
    assert_eq!(s.run(shop("web:1")), unchanged(1));
    assert_eq!(before.at_index(s.state.index()).index(), s.state.index());
    assert_eq!(
        snapshot::write(&before.at_index(s.state.index())),
        snapshot::write(&s.state),
        "nothing else changed, not even the audit log"
    );
    assert_eq!(s.run(shop("web:1").route("shop.example", "/", "web")), changed(2));
}

#[test]
fn an_apply_renews_failed_replicas_even_without_a_change() {
    let mut s = Scenario::new();
    let ids = s.deploy(shop("web:1"));
    s.observe(&ids[0], ReplicaState::Failed);
    assert_eq!(s.run(shop("web:1")), unchanged(1));
    assert_eq!(s.replica(&ids[0]).generation, 2);
    assert_eq!(s.replica(&ids[0]).observed.state, ReplicaState::Pending);
    assert_eq!(s.replica(&ids[1]).generation, 1, "one that runs is left alone");
}

#[test]
fn revision_numbers_rise_past_retention_and_start_again_with_a_new_life() {
    let mut s = Scenario::new();
    for n in 1..=15 {
        assert_eq!(s.run(shop(&format!("web:{n}"))), changed(n));
    }
    let kept: Vec<_> = s.state.revisions(&name("shop")).map(|r| r.number).collect();
    assert_eq!(kept, (6..=15).collect::<Vec<_>>());
    assert_eq!(s.state.documents.len(), 10, "a document goes with its last revision");

    let version = deployment(&s, "shop").version;
    assert_eq!(s.run(delete(false)), Outcome::Deleted { volumes: vec![] });
    assert!(s.state.deployment(&name("shop")).is_none());
    assert!(s.state.documents.is_empty());
    assert_eq!(s.run(shop("web:1")), changed(1));
    assert!(deployment(&s, "shop").version > version, "a plan of the former life never fits");
}

#[test]
fn a_rollback_restores_the_whole_content() {
    let mut s = Scenario::new();
    s.run(shop("web:1").route("shop.example", "/", "web"));
    s.run(shop("web:2").service("api", "api:1", 1));
    assert_eq!(s.run(rollback(None)), Outcome::RolledBack { restored: 1, number: 3 });
    let (one, three) =
        (s.state.revision(&name("shop"), 1).unwrap(), s.state.revision(&name("shop"), 3).unwrap());
    assert_eq!((&one.services, &one.routes), (&three.services, &three.routes));
    assert_eq!(s.state.route_owner("shop.example", "/"), Some(&name("shop")));

    assert_eq!(s.run(rollback(Some(3))), Outcome::RolledBack { restored: 3, number: 3 });
    assert_eq!(refused(&s.run(rollback(Some(9)))), ErrorCode::NoPreviousRevision);
    let mut fresh = Scenario::new();
    assert_eq!(refused(&fresh.run(rollback(None))), ErrorCode::DeploymentNotFound);
    fresh.run(shop("web:1"));
    assert_eq!(refused(&fresh.run(rollback(None))), ErrorCode::NoPreviousRevision);
}

#[test]
fn routes_and_ports_have_one_owner() {
    let mut s = Scenario::new();
    let port = PublishedPort {
        published: Some(5432),
        target: 5432,
        protocol: Protocol::Tcp,
        proxy_protocol: None,
    };
    let with_port =
        || jaco_api::model::ServiceSchedule { ports: vec![port.clone()], ..schedule("db:1", 1) };
    s.run(shop("web:1").route("shop.example", "/", "web").scheduled("db", with_port()));

    let blog = || Stack::new("blog").service("web", "blog:1", 1);
    let taken = s.run(blog().route("shop.example", "/", "web"));
    assert_eq!(refused(&taken), ErrorCode::RouteConflict);
    let Outcome::Rejected(error) = taken else { unreachable!() };
    assert!(error.message.contains("shop"), "names the owner: {}", error.message);
    assert_eq!(refused(&s.run(blog().scheduled("db", with_port()))), ErrorCode::PortConflict);
    let mut plain = blog().route("shop.example", "/blog", "web").command();
    plain.routes[0].tls = TlsMode::Off;
    assert_eq!(
        refused(&s.run(Command::ApplyDeployment(Box::new(plain)))),
        ErrorCode::RouteTlsMixed
    );
    assert_eq!(s.run(blog().route("shop.example", "/blog", "web")), changed(1));

    s.run(shop("web:1"));
    assert_eq!(s.run(blog().route("shop.example", "/", "web")), changed(2), "given up, then taken");
    s.run(delete(false));
    assert_eq!(s.state.port_owner(5432, Protocol::Tcp), None);
}

#[test]
fn documents_that_are_gone_must_come_again() {
    let mut s = Scenario::new();
    let mut command = shop("web:1").command();
    command.documents.clear();
    let outcome = s.run(Command::ApplyDeployment(Box::new(command)));
    assert_eq!(refused(&outcome), ErrorCode::Conflict);
}

#[test]
fn scale_makes_a_revision_and_restarts_nothing() {
    let mut s = Scenario::new();
    s.deploy(shop("web:1"));
    assert_eq!(s.run(scale("web", 5)), changed(2));
    assert_eq!(deployment(&s, "shop").rollout, None);
    assert_eq!(s.run(scale("web", 5)), unchanged(2));
    assert_eq!(refused(&s.run(scale("nope", 1))), ErrorCode::ServiceNotFound);

    let placed = |placement| jaco_api::model::ServiceSchedule {
        placement: Some(placement),
        ..schedule("web:1", 1)
    };
    s.run(Stack::new("shop").scheduled("web", placed(Placement::Global)));
    assert_eq!(refused(&s.run(scale("web", 2))), ErrorCode::ValidationFailed);
    s.run(Stack::new("shop").scheduled("web", placed(Placement::Hosts(vec![name("node-1")]))));
    assert_eq!(refused(&s.run(scale("web", 2))), ErrorCode::ReplicasExceedPinnedHosts);
}

#[test]
fn a_restart_raises_epochs_and_makes_no_revision() {
    let mut s = Scenario::new();
    let restart = |services: &[&str]| {
        Command::RestartDeployment(RestartDeployment {
            deployment: name("shop"),
            services: services.iter().map(|s| name(s)).collect::<BTreeSet<_>>(),
        })
    };
    s.deploy(shop("web:1").service("api", "api:1", 1));
    assert_eq!(s.run(restart(&["web"])), changed(1));
    let epoch =
        |s: &Scenario, service| s.state.service(&name("shop"), &name(service)).unwrap().epoch;
    assert_eq!((epoch(&s, "web"), epoch(&s, "api")), (1, 0));
    assert_eq!(super::rollout(&s, "shop").to, 1);
    assert_eq!(refused(&s.run(restart(&["nope"]))), ErrorCode::ServiceNotFound);
    s.run(hold(true));
    assert_eq!(refused(&s.run(restart(&[]))), ErrorCode::Conflict);
}

#[test]
fn stop_keeps_everything_and_an_apply_starts_again() {
    let mut s = Scenario::new();
    s.run(shop("web:1").route("shop.example", "/", "web"));
    assert_eq!(s.run(hold(true)), changed(1));
    assert_eq!(s.run(hold(true)), unchanged(1));
    assert_eq!(deployment(&s, "shop").phase, DeploymentPhase::Stopped);
    assert_eq!(s.state.route_owner("shop.example", "/"), Some(&name("shop")));
    assert_eq!(s.run(shop("web:1").route("shop.example", "/", "web")), unchanged(1));
    assert_eq!(deployment(&s, "shop").phase, DeploymentPhase::Running);
    assert_eq!((audited(&s.state, AuditKind::Stop), audited(&s.state, AuditKind::Start)), (1, 1));
}

#[test]
fn a_deletion_ends_with_the_last_replica_and_then_the_volumes() {
    let mut s = Scenario::new();
    s.deploy(Stack::new("shop").stateful("db", "db:1"));
    let volumes = vec!["jaco_shop_db".to_owned()];
    assert_eq!(s.run(delete(true)), Outcome::Deleted { volumes: volumes.clone() });
    assert_eq!(refused(&s.run(shop("web:1"))), ErrorCode::Conflict);
    assert_eq!(s.run(delete(false)), Outcome::Deleted { volumes: volumes.clone() });
    assert_eq!(deployment(&s, "shop").phase, DeploymentPhase::Deleting { volumes: true });

    let id = replica_id("shop", "db", 1);
    s.reconcile("shop", vec![crate::command::Action::Remove { replica: id.clone() }]);
    assert_eq!(s.replica(&id).intent, Intent::Remove);
    assert!(!s.state.volume("jaco_shop_db").unwrap().removing, "it is still in use");
    s.report(&id, None);
    assert!(s.state.volume("jaco_shop_db").unwrap().removing);
    let node = s.state.volume("jaco_shop_db").unwrap().node;
    s.run(Command::Report(jaco_api::model::Report {
        node,
        replicas: vec![],
        removed_volumes: volumes,
    }));
    assert!(s.state.deployment(&name("shop")).is_none());
    assert_eq!((s.state.events.len(), s.state.revisions.len(), s.state.volumes.len()), (0, 0, 0));
}

#[test]
fn a_deletion_without_volumes_keeps_where_they_are() {
    let mut s = Scenario::new();
    let ids = s.deploy(Stack::new("shop").stateful("db", "db:1"));
    s.run(delete(false));
    s.reconcile("shop", vec![crate::command::Action::Remove { replica: ids[0].clone() }]);
    s.report(&ids[0], None);
    assert!(s.state.deployment(&name("shop")).is_none());
    assert!(s.state.volume("jaco_shop_db").is_some());
}

#[test]
fn a_repeated_request_is_answered_with_the_first_outcome() {
    let mut s = Scenario::new();
    assert_eq!(s.run_as(Some("r1"), shop("web:1")), changed(1));
    assert_eq!(s.run_as(Some("r2"), shop("web:2")), changed(2));
    assert_eq!(s.run_as(Some("r1"), shop("web:1")), changed(1), "not applied again");
    assert_eq!(deployment(&s, "shop").revision, 2);
    assert_eq!(refused(&s.run_as(Some("r3"), scale("nope", 1))), ErrorCode::ServiceNotFound);
    assert_eq!(s.state.requests.len(), 2, "a refusal is not remembered");
    for n in 0..1100 {
        s.run_as(Some(&format!("more-{n}")), hold(n % 2 == 0));
    }
    assert_eq!(s.state.requests.len(), 1024);
    assert_eq!(s.state.remembered("r1"), None, "the oldest went first");
}

#[test]
fn every_change_gives_a_new_version_and_nothing_else_does() {
    let mut s = Scenario::new();
    let ids = s.deploy(shop("web:1"));
    let version = |s: &Scenario| deployment(s, "shop").version;
    let before = version(&s);
    s.observe(&ids[0], ReplicaState::Running);
    assert_eq!(version(&s), before, "the same observation again");
    s.observe(&ids[0], ReplicaState::Degraded);
    assert!(version(&s) > before);
    let before = Deployment::clone(&deployment(&s, "shop"));
    s.run(Stack::new("blog").service("web", "blog:1", 1));
    assert_eq!(before, deployment(&s, "shop"));
}

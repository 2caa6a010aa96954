use jaco_api::model::{AuditKind, RevisionOrigin, RolloutPhase, ServiceName, Span};

use super::{audited, changed, deployment, rollout};
use crate::{
    command::{Action, Command, RestartDeployment, RolloutEnd, SetSetting},
    testing::builders::{Scenario, Stack, name},
};

fn shop(image: &str) -> Stack {
    Stack::new("shop").service("web", image, 2)
}

fn end(s: &mut Scenario, end: RolloutEnd) {
    let outcome = s.reconcile("shop", vec![Action::EndRollout(end)]);
    assert_eq!(outcome, crate::command::Outcome::Done);
}

fn failed(reason: &str) -> RolloutEnd {
    RolloutEnd::RolledBack { reason: reason.into() }
}

#[test]
fn the_first_deployment_is_no_rollout_and_the_second_is() {
    let mut s = Scenario::new();
    s.deploy(shop("web:1"));
    assert_eq!(deployment(&s, "shop").rollout, None);
    s.run(shop("web:2"));
    let started = rollout(&s, "shop");
    assert_eq!((started.from, started.to, started.phase), (1, 2, RolloutPhase::Rolling));
    end(&mut s, RolloutEnd::Completed);
    let ended = rollout(&s, "shop");
    assert_eq!((ended.phase, ended.ended_at), (RolloutPhase::Completed, Some(s.now)));
    assert_eq!(audited(&s.state, AuditKind::RolloutCompleted), 1);
}

#[test]
fn without_replicas_nothing_rolls() {
    let mut s = Scenario::new();
    s.run(shop("web:1"));
    s.run(shop("web:2"));
    assert_eq!(deployment(&s, "shop").rollout, None);
}

#[test]
fn a_change_of_the_schedule_alone_rolls_nothing_and_moves_the_end_of_a_rollout() {
    let mut s = Scenario::new();
    s.deploy(shop("web:1"));
    s.run(Stack::new("shop").service("web", "web:1", 3));
    assert_eq!(deployment(&s, "shop").rollout, None);
    s.run(Stack::new("shop").service("web", "web:2", 3));
    s.reconcile(
        "shop",
        vec![Action::CountFailure { service: name("web"), reason: "exited".into() }],
    );
    s.run(Stack::new("shop").service("web", "web:2", 4));
    let moved = rollout(&s, "shop");
    assert_eq!((moved.from, moved.to, moved.failures.len()), (2, 4, 1));
}

#[test]
fn an_apply_supersedes_a_rollout_and_keeps_the_last_good_revision() {
    let mut s = Scenario::new();
    s.deploy(shop("web:1"));
    s.run(shop("web:2"));
    s.run(shop("web:3"));
    let superseded = rollout(&s, "shop");
    assert_eq!((superseded.from, superseded.to), (1, 3));
    for n in 4..=20 {
        s.run(shop(&format!("web:{n}")));
    }
    assert!(s.state.revision(&name("shop"), 1).is_some(), "a rollout under way needs it");
    assert_eq!(rollout(&s, "shop").from, 1);
    end(&mut s, RolloutEnd::Completed);
    s.run(shop("web:21"));
    assert_eq!(rollout(&s, "shop").from, 20);
    assert!(s.state.revision(&name("shop"), 1).is_none(), "nothing needs it any more");
}

#[test]
fn a_failed_rollout_restores_the_former_content_as_a_new_revision() {
    let mut s = Scenario::new();
    let ids = s.deploy(shop("web:1"));
    s.run(shop("web:2").service("api", "api:1", 1));
    end(&mut s, failed("no such image"));

    let restored = s.state.revision_in_force(&name("shop")).unwrap();
    assert_eq!((restored.number, restored.origin), (3, RevisionOrigin::AutoRollback(1)));
    assert_eq!(restored.services, s.state.revision(&name("shop"), 1).unwrap().services);
    let web = &restored.services[&name::<ServiceName>("web")];
    for id in &ids {
        let replica = s.replica(id);
        assert_eq!((replica.container, replica.epoch), (web.container, web.epoch), "current again");
    }
    let back = rollout(&s, "shop");
    assert_eq!((back.from, back.to, back.phase), (2, 3, RolloutPhase::RollingBack));
    assert_eq!(audited(&s.state, AuditKind::RolloutFailed), 1);

    end(&mut s, RolloutEnd::Completed);
    let ended = rollout(&s, "shop");
    assert_eq!(ended.phase, RolloutPhase::Failed);
    assert_eq!(ended.reason.as_deref(), Some("no such image"));
    assert_eq!(audited(&s.state, AuditKind::RolloutCompleted), 0);
    s.run(shop("web:4"));
    assert_eq!(rollout(&s, "shop").from, 3, "what was restored is good");
}

#[test]
fn a_restart_amid_a_failing_rollout_is_not_undone_where_the_content_is_the_same() {
    let mut s = Scenario::new();
    s.deploy(shop("web:1").service("api", "api:1", 1));
    s.run(shop("web:2").service("api", "api:1", 1));
    s.run(Command::RestartDeployment(RestartDeployment {
        deployment: name("shop"),
        services: Default::default(),
    }));
    end(&mut s, failed("never healthy"));
    let epoch = |service| s.state.service(&name("shop"), &name(service)).unwrap().epoch;
    assert_eq!((epoch("web"), epoch("api")), (0, 1));
}

#[test]
fn what_was_good_last_is_kept_however_many_rollouts_fail_after_it() {
    let mut s = Scenario::new();
    s.run(Command::SetSetting(SetSetting { key: "revision_retention".into(), value: "2".into() }));
    s.deploy(shop("web:1"));
    for image in ["web:2", "web:3", "web:4"] {
        s.run(shop(image));
        assert_eq!(rollout(&s, "shop").from, 1);
        assert!(s.state.revision(&name("shop"), 1).is_some());
        end(&mut s, RolloutEnd::Failed { reason: "given up".into() });
    }
}

#[test]
fn with_nothing_to_go_back_to_a_rollout_is_given_up() {
    let mut s = Scenario::new();
    s.deploy(shop("web:1"));
    s.run(Command::RestartDeployment(RestartDeployment {
        deployment: name("shop"),
        services: Default::default(),
    }));
    end(&mut s, failed("exited"));
    let ended = rollout(&s, "shop");
    assert_eq!((ended.phase, ended.reason.as_deref()), (RolloutPhase::Failed, Some("exited")));
    assert_eq!(deployment(&s, "shop").revision, 1);
}

#[test]
fn a_route_that_was_taken_meanwhile_stops_the_way_back() {
    let mut s = Scenario::new();
    s.deploy(shop("web:1").route("shop.example", "/", "web"));
    s.run(shop("web:2"));
    let blog = Stack::new("blog").service("web", "blog:1", 1).route("shop.example", "/", "web");
    assert_eq!(s.run(blog), changed(1));
    end(&mut s, failed("exited"));
    let ended = rollout(&s, "shop");
    assert_eq!(ended.phase, RolloutPhase::Failed);
    assert!(ended.reason.unwrap().contains("belongs to deployment blog"));
    assert_eq!(deployment(&s, "shop").revision, 2);
}

#[test]
fn a_paused_rollout_goes_on_with_an_equal_apply() {
    let mut s = Scenario::new();
    s.deploy(shop("web:1"));
    s.run(shop("web:2"));
    end(&mut s, RolloutEnd::Paused { reason: "exited".into() });
    assert_eq!(rollout(&s, "shop").phase, RolloutPhase::Paused);
    s.pass(Span::secs(60));
    assert_eq!(s.run(shop("web:2")), super::unchanged(2));
    let resumed = rollout(&s, "shop");
    assert_eq!(
        (resumed.phase, resumed.reason, resumed.started_at),
        (RolloutPhase::Rolling, None, s.now)
    );
}

use jaco_api::model::{
    Availability, Intent, NodeCondition, Placement, ReplicaState, RolloutPhase, ServiceSchedule,
    Slot,
};

use crate::{
    command::{Command, Outcome, RestartDeployment, ScaleDeployment},
    testing::world::{World, companion, name, service, stateful},
};

/// A lead `vpn` and `app`, whose containers live beside its own.
fn pair(
    vpn: &ServiceSchedule,
    version: (u32, u32),
) -> [(&'static str, ServiceSchedule, String); 2] {
    let app = ServiceSchedule { replicas: vpn.replicas, ..companion("vpn") };
    [("app", app, format!("app:{}", version.0)), ("vpn", vpn.clone(), format!("vpn:{}", version.1))]
}

fn deploy(world: &mut World, services: &[(&str, ServiceSchedule, String)]) {
    let services: Vec<_> = services.iter().map(|(n, s, c)| (*n, s.clone(), c.as_str())).collect();
    world.deploy("shop", &services);
}

fn running(nodes: &[&str], vpn: &ServiceSchedule) -> World {
    let mut world = World::new(nodes);
    deploy(&mut world, &pair(vpn, (1, 1)));
    world.settle(&[]);
    assert_paired(&world);
    world.say("--- running");
    world
}

/// Every replica of the lead that is to run has one companion, made beside its present container and
/// where that is, and there is no other.
fn assert_paired(world: &World) {
    let state = world.state();
    let of = |service: &str| {
        let all = state.replicas().filter(move |r| r.id.service.as_str() == service);
        all.filter(|r| r.intent == Intent::Run).cloned().collect::<Vec<_>>()
    };
    let (leads, companions) = (of("vpn"), of("app"));
    assert_eq!(leads.len(), companions.len(), "{}", world.transcript());
    for (lead, companion) in leads.iter().zip(&companions) {
        let beside = companion.beside.as_ref().expect("a companion is beside something");
        assert_eq!((&beside.replica, beside.generation), (&lead.id, lead.generation));
        assert_eq!((companion.node, &companion.id.slot), (lead.node, &lead.id.slot));
    }
}

/// How many replicas of the service run.
fn serving(world: &World, service: &str) -> usize {
    let all = world.state().replicas().filter(|r| r.id.service.as_str() == service);
    all.filter(|r| r.is_running()).count()
}

fn phase(world: &World) -> RolloutPhase {
    let row = world.state().deployment(&name("shop")).unwrap();
    row.rollout.as_ref().unwrap().phase.clone()
}

/// Steps and agents until nothing is left, holding that so many of both serve.
fn roll(world: &mut World, least: usize) {
    for _ in 0..60 {
        world.step();
        let (vpn, app) = (serving(world, "vpn"), serving(world, "app"));
        assert!(vpn >= least && app >= least, "{vpn} {app}\n{}", world.transcript());
        world.agents(&[]);
    }
    assert!(!world.step(), "{}", world.transcript());
    world.show();
    assert_paired(world);
}

#[test]
fn each_replica_of_the_lead_gets_a_companion_where_it_is() {
    let mut world = World::new(&["a", "b"]);
    deploy(&mut world, &pair(&service(3), (1, 1)));
    world.step();
    assert_paired(&world);
    assert!(!world.step(), "a second look plans nothing: {}", world.transcript());
    // It waits for its own lead, not for any.
    world.enter("shop.vpn.2", ReplicaState::Running, "");
    let waits = |id: &str| {
        let row = world.state().replica(&name(id)).unwrap().clone();
        crate::assignment::waiting_on(world.state(), &row)
    };
    assert_eq!(waits("shop.app.1"), ["shop.vpn.1 to start"]);
    assert_eq!(waits("shop.app.2"), [""; 0]);
    world.settle(&[]);
    world.show();
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn scaling_the_lead_scales_both_and_a_companion_is_not_scaled() {
    let mut world = running(&["a", "b"], &service(1));
    let scale = |service: &str, n| {
        let replicas = [(name(service), n)].into();
        Command::ScaleDeployment(ScaleDeployment { deployment: name("shop"), replicas })
    };
    let refused = world.command(scale("app", 2));
    let Outcome::Rejected(error) = refused else { panic!("{refused:?}") };
    assert_eq!(error.message, "service app has one replica beside each of vpn");
    assert_eq!(error.hint(), Some("scale vpn: app follows"));
    for n in [3, 1, 0, 2] {
        assert!(matches!(world.command(scale("vpn", n)), Outcome::Revision { .. }));
        world.settle(&[]);
        assert_paired(&world);
        assert_eq!(serving(&world, "app"), n as usize);
        assert_eq!(world.planned("shop", "app").unwrap().schedule.replicas, n);
    }
}

#[test]
fn a_new_lead_start_first_comes_with_a_companion_while_the_old_pair_serves() {
    let mut world = running(&["a", "b"], &service(2));
    deploy(&mut world, &pair(&service(2), (1, 2)));
    roll(&mut world, 2);
    assert_eq!(phase(&world), RolloutPhase::Completed);
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_lead_replaced_in_place_takes_its_companion_along() {
    let mut world = running(&["a"], &stateful(2, "data"));
    deploy(&mut world, &pair(&stateful(2, "data"), (1, 2)));
    roll(&mut world, 1);
    assert_eq!(phase(&world), RolloutPhase::Completed);
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn both_contents_change_in_one_step_with_both_images_first() {
    let mut world = running(&["a"], &stateful(2, "data"));
    deploy(&mut world, &pair(&stateful(2, "data"), (2, 2)));
    roll(&mut world, 1);
    assert_eq!(phase(&world), RolloutPhase::Completed);
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_companion_alone_is_replaced_in_place_one_at_a_time() {
    let mut world = running(&["a", "b"], &service(3));
    deploy(&mut world, &pair(&service(3), (2, 1)));
    for _ in 0..40 {
        world.step();
        assert_eq!(serving(&world, "vpn"), 3);
        assert!(serving(&world, "app") >= 2, "{}", world.transcript());
        world.agents(&[]);
    }
    world.show();
    assert_paired(&world);
    assert_eq!(phase(&world), RolloutPhase::Completed);
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_companion_that_fails_turns_the_rollout_of_its_lead_back() {
    let mut world = running(&["a", "b"], &service(2));
    deploy(&mut world, &pair(&service(2), (2, 2)));
    for _ in 0..10 {
        world.step();
        world.agents(&["app:2"]);
    }
    let new = world.state().replicas().filter(|r| r.id.service.as_str() == "app");
    let new: Vec<_> =
        new.filter(|r| r.id.slot > Slot::Index(2)).map(|r| r.id.to_string()).collect();
    world.enter(&new[0], ReplicaState::Failed, "exited with code 1");
    for _ in 0..40 {
        world.step();
        assert!(serving(&world, "vpn") >= 2 && serving(&world, "app") >= 2);
        world.agents(&["app:2"]);
    }
    assert_eq!(phase(&world), RolloutPhase::Failed);
    assert_paired(&world);
}

#[test]
fn a_restart_of_the_lead_makes_the_companion_anew_and_one_of_the_companion_leaves_the_lead() {
    let mut world = running(&["a"], &stateful(1, "data"));
    let restart = |service: &str| {
        let services = [name(service)].into();
        Command::RestartDeployment(RestartDeployment { deployment: name("shop"), services })
    };
    let generations = |world: &World| {
        let of = |id: &str| world.state().replica(&name(id)).unwrap().generation;
        (of("shop.vpn.1"), of("shop.app.1"))
    };
    world.command(restart("vpn"));
    world.settle(&[]);
    assert_paired(&world);
    assert_eq!(generations(&world), (2, 2));
    world.command(restart("app"));
    world.settle(&[]);
    assert_paired(&world);
    assert_eq!(generations(&world), (2, 3));
}

#[test]
fn companions_of_a_global_service_follow_the_nodes() {
    let global = ServiceSchedule { placement: Some(Placement::Global), ..service(1) };
    let mut world = running(&["a", "b"], &global);
    assert_eq!(serving(&world, "app"), 2);
    world.add_node("c");
    world.settle(&[]);
    assert_paired(&world);
    assert_eq!(serving(&world, "app"), 3);
    world.node_availability("b", Availability::Draining, false);
    world.settle(&[]);
    assert_paired(&world);
    assert_eq!(serving(&world, "app"), 2);
    deploy(&mut world, &pair(&global, (2, 2)));
    roll(&mut world, 1);
    assert_eq!(phase(&world), RolloutPhase::Completed);
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_pair_leaves_a_node_that_is_emptied_together() {
    let mut world = running(&["a", "b", "c"], &service(3));
    world.node_availability("a", Availability::Draining, false);
    roll(&mut world, 3);
    let a = world.node_id("a");
    assert!(world.state().replicas_on(a).next().is_none());
    assert!(crate::scheduler::drain::left(world.state(), a, world.now()).is_empty());
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_pair_on_a_lost_node_is_replaced_together() {
    let mut world = running(&["a", "b"], &service(2));
    world.node_condition("a", NodeCondition::Down);
    world.pass_time(jaco_api::model::Span::secs(60));
    world.settle(&[]);
    assert_paired(&world);
    assert_eq!(serving(&world, "app"), 2);
    world.node_condition("a", NodeCondition::Ready);
    world.settle(&[]);
    assert_paired(&world);
    world.show();
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_pair_goes_with_a_node_that_is_no_member_any_more() {
    let mut world = running(&["a", "b"], &stateful(1, "data"));
    let node = world.state().replicas().next().unwrap().node;
    let named = world.state().node(node).unwrap().name.to_string();
    world.node_condition(&named, NodeCondition::Down);
    world.node_availability(&named, Availability::Leaving, true);
    world.settle(&[]);
    world.remove_node(&named);
    world.settle(&[]);
    assert!(world.state().replicas().all(|r| r.node != node), "{:?}", world.replicas());
    assert_paired(&world);
}

#[test]
fn a_service_becomes_a_companion_and_stops_being_one() {
    let mut world = World::new(&["a", "b"]);
    let alone = [("app", service(3), "app:1".to_owned()), ("vpn", service(3), "vpn:1".to_owned())];
    deploy(&mut world, &alone);
    world.settle(&[]);
    deploy(&mut world, &pair(&service(3), (2, 1)));
    for _ in 0..60 {
        world.step();
        assert!(serving(&world, "app") >= 2, "{}", world.transcript());
        world.agents(&[]);
    }
    world.show();
    assert_paired(&world);
    assert_eq!(phase(&world), RolloutPhase::Completed);
    deploy(&mut world, &alone);
    for _ in 0..60 {
        world.step();
        assert!(serving(&world, "app") >= 3, "{}", world.transcript());
        world.agents(&[]);
    }
    assert_eq!((serving(&world, "app"), serving(&world, "vpn")), (3, 3));
    assert!(world.state().replicas().all(|r| r.beside.is_none()));
    assert_eq!(phase(&world), RolloutPhase::Completed);
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_companion_comes_and_goes_beside_a_lead_that_stays() {
    let mut world = World::new(&["a"]);
    let lead = [("vpn", service(2), "vpn:1".to_owned())];
    deploy(&mut world, &lead);
    world.settle(&[]);
    deploy(&mut world, &pair(&service(2), (1, 1)));
    world.settle(&[]);
    assert_paired(&world);
    deploy(&mut world, &lead);
    world.settle(&[]);
    let left: Vec<_> = world.state().replicas().map(|r| r.id.to_string()).collect();
    assert_eq!(left, ["shop.vpn.1", "shop.vpn.2"]);
    assert!(world.state().replicas().all(|r| r.generation == 1));
}

#[test]
fn nothing_of_a_pair_is_left_when_its_deployment_goes() {
    let mut world = running(&["a", "b"], &service(2));
    world.node_condition("b", NodeCondition::Down);
    let delete = crate::command::DeleteDeployment { deployment: name("shop"), volumes: false };
    world.command(Command::DeleteDeployment(delete));
    world.settle(&[]);
    world.node_condition("b", NodeCondition::Ready);
    world.settle(&[]);
    assert!(world.state().replicas().next().is_none());
    assert!(world.state().deployment(&name("shop")).is_none());
}

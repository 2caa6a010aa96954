use jaco_api::model::{
    Availability, FailureAction, Intent, Mode, NodeCondition, Placement, ReplicaState,
    ServiceSchedule, Span, UpdateConfig, UpdateOrder,
};

use crate::{
    scheduler::drain::{left, obstacles},
    testing::world::{World, name, service, stateful},
};

fn running(nodes: &[&str], services: &[(&str, ServiceSchedule)]) -> World {
    let mut world = World::new(nodes);
    let services: Vec<_> = services.iter().map(|(n, s)| (*n, s.clone(), "x:1")).collect();
    world.deploy("shop", &services);
    world.settle(&[]);
    world.show();
    world.say("--- running");
    world
}

fn drain(world: &mut World, node: &str, forced: bool) {
    world.node_availability(node, Availability::Draining, forced);
}

fn serving(world: &World, service: &str) -> usize {
    let (deployment, service) = (name("shop"), name(service));
    world.state().replicas_of_service(&deployment, &service).filter(|r| r.is_running()).count()
}

/// What is in the way of emptying a node, a line each.
fn told(world: &World, node: &str) -> Vec<String> {
    let found = obstacles(world.state(), world.node_id(node));
    found.into_iter().map(|(replica, why)| format!("{replica}: {why}")).collect()
}

fn left_on(world: &World, node: &str) -> usize {
    left(world.state(), world.node_id(node), world.now()).len()
}

#[test]
fn replacements_are_healthy_before_the_old_ones_stop() {
    let two = UpdateConfig { parallelism: 2, ..UpdateConfig::default_for(false) };
    let web = ServiceSchedule { update: two, ..service(6) };
    let mut world = running(&["a", "b", "c"], &[("web", web), ("api", service(2))]);
    assert_eq!(told(&world, "b"), [""; 0]);
    drain(&mut world, "b", false);
    for _ in 0..10 {
        world.step();
        assert!(serving(&world, "web") >= 6 && serving(&world, "api") >= 2);
        world.agents(&[]);
    }
    world.show();
    assert_eq!(left_on(&world, "b"), 0);
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_drain_that_is_cancelled_keeps_what_serves() {
    let mut world = running(&["a", "b"], &[("web", service(4))]);
    drain(&mut world, "b", false);
    world.step();
    world.say("the replacement is not healthy yet");
    world.node_availability("b", Availability::Active, false);
    world.settle(&[]);
    world.show();
    assert!(world.state().replicas().all(|r| r.generation == 1 && r.is_running()));
    assert_eq!(world.state().replicas_on(world.node_id("b")).count(), 2);
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn what_cannot_move_stays_and_says_why() {
    let tight = ServiceSchedule { max_replicas_per_node: 1, ..service(2) };
    let pinned =
        ServiceSchedule { placement: Some(Placement::Hosts(vec![name("a")])), ..service(1) };
    let bound = ServiceSchedule { stateful: true, constraints: on_a(), ..service(1) };
    let job = ServiceSchedule { mode: Mode::Job, constraints: on_a(), ..service(1) };
    let data = ServiceSchedule { constraints: on_a(), ..stateful(1, "shop_data") };
    let mut world = running(
        &["a", "b"],
        &[
            ("tight", tight),
            ("pinned", pinned),
            ("bound", bound),
            ("data", data),
            ("job", job),
            ("free", ServiceSchedule { max_replicas_per_node: 2, ..service(2) }),
        ],
    );
    let before = told(&world, "a");
    drain(&mut world, "a", false);
    world.settle(&[]);
    assert_eq!(told(&world, "a"), before, "said beforehand and meanwhile alike");
    assert_eq!(left_on(&world, "a"), 5);
    before.iter().for_each(|line| world.say(line));
    world.show();
    insta::assert_snapshot!(world.transcript());
}

fn on_a() -> Vec<String> {
    vec!["node.hostname == a".to_owned()]
}

#[test]
fn by_force_what_cannot_move_is_given_up() {
    let tight = ServiceSchedule { max_replicas_per_node: 1, ..service(2) };
    let in_place = ServiceSchedule {
        max_replicas_per_node: 1,
        update: UpdateConfig { order: UpdateOrder::StopFirst, ..UpdateConfig::default_for(false) },
        ..service(2)
    };
    let data = ServiceSchedule { constraints: on_a(), ..stateful(1, "shop_data") };
    let job = ServiceSchedule { mode: Mode::Job, ..service(2) };
    let global = ServiceSchedule { placement: Some(Placement::Global), ..service(0) };
    let mut world = running(
        &["a", "b"],
        &[
            ("tight", tight),
            ("in-place", in_place),
            ("data", data),
            ("job", job),
            ("agent", global),
            ("free", service(2)),
        ],
    );
    world.node_availability("a", Availability::Leaving, true);
    world.settle(&[]);
    world.show();
    assert_eq!(left_on(&world, "a"), 0);
    world.remove_node("a");
    world.settle(&[]);
    world.say("--- without a");
    world.show();
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn force_beats_the_floor_of_a_rollout() {
    let mut world = running(&["a", "b"], &[("data", stateful(1, "shop_data"))]);
    let home = world.state().replicas().next().unwrap().node;
    let home = world.state().node(home).unwrap().name.to_string();
    let slow = UpdateConfig { parallelism: 1, ..UpdateConfig::default_for(true) };
    let many = ServiceSchedule { update: slow, ..stateful(2, "shop_data") };
    world.deploy("shop", &[("data", many.clone(), "x:1")]);
    world.settle(&[]);
    world.deploy("shop", &[("data", many, "x:2")]);
    world.step();
    drain(&mut world, &home, true);
    world.step();
    assert_eq!(serving(&world, "data"), 0, "{}", world.transcript());
}

#[test]
fn a_replacement_that_fails_keeps_the_old_one_and_is_told() {
    let mut world = running(&["a", "b"], &[("web", service(2))]);
    drain(&mut world, "a", false);
    world.step();
    world.enter("shop.web.3", ReplicaState::Failed, "exited with code 1");
    world.settle(&["x:1"]);
    assert_eq!(serving(&world, "web"), 2);
    assert_eq!(
        told(&world, "a"),
        ["shop.web.2: its replacement failed: shop.web.3: exited with code 1"]
    );
    drain(&mut world, "a", true);
    world.settle(&["x:1"]);
    assert_eq!((serving(&world, "web"), left_on(&world, "a")), (1, 0));
}

#[test]
fn what_a_given_up_rollout_left_keeps_a_node_from_being_emptied() {
    let mut world = running(&["a", "b"], &[("web", service(2))]);
    let update =
        UpdateConfig { failure_action: FailureAction::Pause, ..UpdateConfig::default_for(false) };
    world.deploy("shop", &[("web", ServiceSchedule { update, ..service(2) }, "x:2")]);
    world.step();
    world.enter("shop.web.3", ReplicaState::Failed, "exited with code 1");
    world.settle(&["x:2"]);
    drain(&mut world, "a", false);
    world.settle(&["x:2"]);
    assert_eq!(serving(&world, "web"), 2);
    let why = "it is of revision 1, and the rollout that replaces it was given up";
    assert_eq!(told(&world, "a"), [format!("shop.web.2: {why}")]);
}

#[test]
fn a_node_that_is_lost_while_it_is_emptied_is_left_without_it() {
    let one =
        ServiceSchedule { singleton: true, update: UpdateConfig::default_for(true), ..service(1) };
    let mut world = running(&["a"], &[("one", one), ("web", service(1))]);
    world.add_node("b");
    world.node_availability("a", Availability::Leaving, false);
    world.step();
    world.node_condition("a", NodeCondition::Down);
    world.step();
    world.pass_time(Span::secs(2));
    world.settle(&[]);
    assert_eq!(left_on(&world, "a"), 1, "the singleton may still run there");
    world.pass_time(Span::secs(5));
    world.settle(&[]);
    assert_eq!(left_on(&world, "a"), 0);
    world.remove_node("a");
    world.settle(&[]);
    world.show();
    assert!(world.state().replicas().all(|r| r.intent == Intent::Run && r.is_running()));
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn what_is_lost_stays_when_force_takes_away_what_was_to_replace_it() {
    let mut world = running(&["a", "b"], &[("web", service(2))]);
    world.node_condition("b", NodeCondition::Down);
    drain(&mut world, "a", true);
    world.step();
    world.pass_time(Span::secs(2));
    world.settle(&[]);
    let left: Vec<_> = world.state().replicas().filter(|r| r.intent == Intent::Run).collect();
    assert_eq!(left.len(), 1, "{}", world.transcript());
    assert_eq!(left[0].node, world.node_id("b"), "it may be found when b is back");
}

#[test]
fn what_force_takes_away_is_missing_to_a_service_that_stops_first() {
    let in_place =
        UpdateConfig { order: UpdateOrder::StopFirst, ..UpdateConfig::default_for(false) };
    let two = UpdateConfig { parallelism: 2, ..in_place };
    let web = ServiceSchedule { update: two, ..service(3) };
    let mut world = running(&["a", "b", "c", "d"], &[("web", web)]);
    for node in ["a", "b", "c", "d"] {
        let held = world.state().replicas_on(world.node_id(node)).count() > 0;
        if held {
            drain(&mut world, node, node == "b");
        }
    }
    let before = serving(&world, "web");
    world.step();
    assert!(serving(&world, "web") + 2 >= before, "{}", world.transcript());
    world.settle(&[]);
    assert_eq!(serving(&world, "web"), 3, "{}", world.transcript());
}

#[test]
fn old_content_that_is_given_up_after_a_paused_rollout_is_made_anew_by_the_same_plan() {
    let mut world = running(&["a", "b", "c"], &[("web", service(3))]);
    let failure_action = FailureAction::Pause;
    let update = UpdateConfig { failure_action, ..UpdateConfig::default_for(false) };
    world.deploy("shop", &[("web", ServiceSchedule { update, ..service(3) }, "x:2")]);
    world.step();
    world.enter("shop.web.4", ReplicaState::Failed, "exited with code 1");
    world.settle(&["x:2"]);
    let old: Vec<_> = world.state().replicas().filter(|r| r.is_running()).cloned().collect();
    let node = world.state().node(old[0].node).unwrap().name.to_string();
    drain(&mut world, &node, true);
    let before = world.state().replicas().filter(|r| r.intent == Intent::Run).count();
    world.step();
    let after = world.state().replicas().filter(|r| r.intent == Intent::Run).count();
    assert_eq!(after, before, "{}", world.transcript());
    assert!(world.plan().batches.is_empty(), "{:?}", world.plan());
}

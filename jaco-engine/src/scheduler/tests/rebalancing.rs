use std::time::Duration;

use jaco_api::model::{
    Availability, Intent, Mode, NodeCondition, Placement, ReplicaState, ServiceSchedule,
    UpdateConfig, UpdateOrder,
};

use crate::{
    command::{Action, Command, Outcome, Reconcile},
    scheduler::rebalance::{CYCLE, Cycle, Load, Rebalancer, Relocation, Samples},
    testing::world::{World, name, service, stateful},
};

fn cpu(cpu: u32) -> Load {
    Load { cpu, memory: 100 }
}

/// Nodes `hot` and `cold`; what is deployed comes to `hot` first.
fn world(services: &[(&str, ServiceSchedule)]) -> World {
    let mut world = World::new(&["hot", "cold"]);
    world.set_node("cold", |n| n.availability = Availability::Cordoned);
    let services: Vec<_> = services.iter().map(|(n, s)| (*n, s.clone(), "x:1")).collect();
    world.deploy("shop", &services);
    world.settle(&[]);
    world.set_node("cold", |_| {});
    world.say("--- running");
    world
}

fn samples(world: &World, hot: u32, cold: u32, replica: u32) -> Samples {
    let nodes = [(world.node_id("hot"), cpu(hot)), (world.node_id("cold"), cpu(cold))].into();
    let replicas = world.state().replicas().map(|r| (r.id.clone(), cpu(replica))).collect();
    Samples { nodes, replicas }
}

fn cycles(rebalancer: &mut Rebalancer, world: &World, samples: &Samples, n: u32) -> Cycle {
    let mut last = Cycle::default();
    for _ in 0..n {
        last = rebalancer.cycle(world.state(), samples, CYCLE);
    }
    last
}

/// What two hot cycles come to.
fn decided(world: &World, samples: &Samples) -> Cycle {
    cycles(&mut Rebalancer::default(), world, samples, 2)
}

/// Why nothing is moved from the hot node.
fn skipped(world: &World, samples: &Samples) -> String {
    let cycle = decided(world, samples);
    assert_eq!(cycle.relocation, None);
    cycle.skipped.into_iter().map(|(_, why)| why).collect()
}

fn carry_out(world: &mut World, relocation: &Relocation) -> Outcome {
    let Relocation { replica, version, to, reason, .. } = relocation.clone();
    let actions = vec![Action::Move { replica, to, reason }];
    let deployment = name("shop");
    world.command(Command::Reconcile(Reconcile { deployment, version, actions }))
}

#[test]
fn a_replica_leaves_a_hot_node_once_its_successor_is_healthy() {
    let mut world = world(&[("web", service(2))]);
    let samples = samples(&world, 950, 200, 300);
    let mut rebalancer = Rebalancer::default();
    let first = cycles(&mut rebalancer, &world, &samples, 1);
    assert_eq!(first.relocation, None, "once is not enough");
    let second = cycles(&mut rebalancer, &world, &samples, 1).relocation.unwrap();
    assert_eq!(second.reason, "hot is at 0.95, cold at 0.20; it uses 0.30");
    assert_eq!(carry_out(&mut world, &second), Outcome::Done);
    rebalancer.note(&second);
    assert!(!world.step(), "the old one runs until the new one does");
    assert_eq!(world.state().replicas().count(), 3);
    world.settle(&[]);
    world.show();
    let moved = world.state().audit_after(0).find(|e| e.kind.as_str() == "rebalance_moved");
    world.say(&format!("{:?}", moved.unwrap().payload));
    insta::assert_snapshot!(world.transcript());
    assert!(matches!(carry_out(&mut world, &second), Outcome::Rejected(_)), "only once");
}

#[test]
fn a_successor_that_fails_goes_itself() {
    for end in [ReplicaState::Failed, ReplicaState::Lost] {
        let mut world = world(&[("web", service(2))]);
        let samples = samples(&world, 950, 200, 300);
        let relocation = decided(&world, &samples).relocation.unwrap();
        carry_out(&mut world, &relocation);
        if end == ReplicaState::Failed {
            world.enter("shop.web.3", ReplicaState::Failed, "exited with code 1");
        } else {
            world.node_condition("cold", NodeCondition::Down);
        }
        world.settle(&["x:1"]);
        let left: Vec<_> = world.state().replicas().filter(|r| r.intent == Intent::Run).collect();
        assert_eq!(left.len(), 2, "{}", world.transcript());
        assert!(left.iter().all(|r| r.is_running() && r.node == world.node_id("hot")));
    }
}

#[test]
fn a_move_that_is_under_way_does_not_outlive_a_rollout() {
    let mut world = world(&[("web", service(2))]);
    let relocation = decided(&world, &samples(&world, 950, 200, 300)).relocation.unwrap();
    carry_out(&mut world, &relocation);
    world.deploy("shop", &[("web", service(2), "x:2")]);
    world.settle(&[]);
    assert_eq!(world.state().replicas().count(), 2);
    assert!(world.state().replicas().all(|r| world.state().is_current(r)));
}

#[test]
fn thresholds_are_those_of_the_page() {
    let world = world(&[("web", service(2))]);
    let moves = |hot, cold, replica| {
        decided(&world, &samples(&world, hot, cold, replica)).relocation.is_some()
    };
    assert!(moves(850, 400, 100) && !moves(849, 400, 100), "hot from 0.85");
    assert!(moves(900, 640, 100) && !moves(900, 660, 100), "a gap of 0.25, and below 0.75 then");
    assert!(!moves(950, 400, 99), "relief of 0.10");
    assert!(moves(950, 400, 349) && !moves(950, 400, 350), "the destination stays below 0.75");
}

#[test]
fn only_what_may_start_elsewhere_first_is_moved() {
    let in_place =
        UpdateConfig { order: UpdateOrder::StopFirst, ..UpdateConfig::default_for(false) };
    let hosts = Placement::Hosts(vec![name("hot"), name("cold")]);
    for (what, schedule) in [
        ("data", stateful(1, "data")),
        ("pinned", ServiceSchedule { placement: Some(hosts), ..service(2) }),
        ("global", ServiceSchedule { placement: Some(Placement::Global), ..service(0) }),
        ("job", ServiceSchedule { mode: Mode::Job, ..service(2) }),
        ("singleton", ServiceSchedule { singleton: true, ..service(1) }),
        ("in place", ServiceSchedule { update: in_place, ..service(2) }),
    ] {
        let mut world = world(&[("x", schedule)]);
        world.settle(&[]);
        let why = skipped(&world, &samples(&world, 950, 100, 300));
        assert_eq!(why, "what would relieve it cannot be moved now", "{what}");
    }
}

#[test]
fn a_rollout_or_a_replica_that_does_not_run_is_left_alone() {
    let mut world = world(&[("web", service(1))]);
    let samples = samples(&world, 950, 100, 300);
    world.enter("shop.web.1", ReplicaState::Degraded, "exited");
    assert_eq!(skipped(&world, &samples), "what would relieve it cannot be moved now");
    world.enter("shop.web.1", ReplicaState::Running, "");
    world.deploy("shop", &[("web", service(1), "x:2")]);
    assert_eq!(skipped(&world, &samples), "what would relieve it cannot be moved now");
}

#[test]
fn a_move_keeps_to_the_filters_and_makes_nothing_less_even() {
    let refused = "no colder node may take what would relieve it";
    let tied = vec!["node.hostname == hot".to_owned()];
    let tied = world(&[("web", ServiceSchedule { constraints: tied, ..service(2) })]);
    assert_eq!(skipped(&tied, &samples(&tied, 950, 100, 300)), refused, "constraints");

    let large = ServiceSchedule { reserved_memory_bytes: 3 << 30, ..service(2) };
    let mut full = world(&[("web", large)]);
    let there = |world: &World| decided(world, &samples(world, 950, 100, 300)).relocation;
    assert!(there(&full).is_some());
    let other = ServiceSchedule {
        placement: Some(Placement::Hosts(vec![name("cold")])),
        reserved_memory_bytes: 6 << 30,
        ..service(1)
    };
    full.deploy("other", &[("x", other, "y:1")]);
    full.settle(&[]);
    assert_eq!(skipped(&full, &samples(&full, 950, 100, 300)), refused, "reserved memory");

    let mut even = World::new(&["hot", "cold"]);
    even.deploy("shop", &[("web", service(2), "x:1")]);
    even.settle(&[]);
    assert_eq!(skipped(&even, &samples(&even, 950, 100, 300)), refused, "one on each is even");
}

#[test]
fn a_move_keeps_to_the_labels_that_replicas_are_spread_over() {
    let zoned = ServiceSchedule { spread_over: vec!["zone".to_owned()], ..service(3) };
    let mut world = World::new(&["hot", "other", "cold"]);
    let zone = |world: &mut World, node: &str, zone: &str, availability| {
        world.set_node(node, |n| {
            n.labels.insert("zone".to_owned(), zone.to_owned());
            n.availability = availability;
        });
    };
    zone(&mut world, "hot", "east", Availability::Active);
    zone(&mut world, "other", "west", Availability::Active);
    zone(&mut world, "cold", "west", Availability::Cordoned);
    world.deploy("shop", &[("web", ServiceSchedule { replicas: 2, ..zoned.clone() }, "x:1")]);
    world.settle(&[]);
    zone(&mut world, "cold", "west", Availability::Active);
    let refused = "no colder node may take what would relieve it";
    assert_eq!(skipped(&world, &samples(&world, 950, 100, 300)), refused, "west would have both");
    zone(&mut world, "cold", "east", Availability::Active);
    assert!(decided(&world, &samples(&world, 950, 100, 300)).relocation.is_some());
}

#[test]
fn what_was_moved_rests_and_so_does_where_it_went() {
    let mut world = world(&[("web", service(6))]);
    let samples = samples(&world, 1000, 0, 100);
    let mut rebalancer = Rebalancer::default();
    let first = cycles(&mut rebalancer, &world, &samples, 2).relocation.unwrap();
    carry_out(&mut world, &first);
    rebalancer.note(&first);
    world.settle(&[]);
    let next = cycles(&mut rebalancer, &world, &samples, 3);
    assert_eq!(next.relocation, None);
    assert_eq!(next.skipped[0].1, "no ready node is colder by 0.25 and has rested");
    let second = cycles(&mut rebalancer, &world, &samples, 1).relocation.unwrap();
    assert_ne!(second.replica, first.replica, "after two minutes another one");
}

#[test]
fn a_successor_rests_as_the_one_it_came_from() {
    let mut world = world(&[("web", service(1))]);
    let mut rebalancer = Rebalancer::default();
    let there = samples(&world, 950, 100, 300);
    let first = cycles(&mut rebalancer, &world, &there, 2).relocation.unwrap();
    carry_out(&mut world, &first);
    rebalancer.note(&first);
    world.settle(&[]);
    // Now the other one is hot.
    let back = samples(&world, 0, 1000, 300);
    let moves = |rebalancer: &mut Rebalancer, n| {
        (0..n).any(|_| cycles(rebalancer, &world, &back, 1).relocation.is_some())
    };
    assert!(!moves(&mut rebalancer, 19), "not within ten minutes");
    assert!(moves(&mut rebalancer, 1));
}

#[test]
fn one_move_is_not_followed_by_others_for_the_same_heat() {
    let mut world = world(&[("web", service(4))]);
    let mut rebalancer = Rebalancer::default();
    let before = samples(&world, 950, 100, 200);
    let first = cycles(&mut rebalancer, &world, &before, 2).relocation.unwrap();
    carry_out(&mut world, &first);
    rebalancer.note(&first);
    world.settle(&[]);
    let after = samples(&world, 750, 300, 200);
    for _ in 0..40 {
        let cycle = cycles(&mut rebalancer, &world, &after, 1);
        assert_eq!(cycle, Cycle::default(), "the average knows of the move");
    }
}

#[test]
fn averages_follow_slowly_and_forget_who_is_silent() {
    let world = world(&[("web", service(1))]);
    let mut rebalancer = Rebalancer::default();
    let (calm, busy) = (samples(&world, 100, 0, 300), samples(&world, 1000, 0, 300));
    rebalancer.cycle(world.state(), &calm, Duration::ZERO);
    let mut hot_after = 0;
    while rebalancer.cycle(world.state(), &busy, CYCLE).skipped.is_empty() {
        hot_after += 1;
        assert!(hot_after < 40, "it is hot some time");
    }
    assert_eq!(hot_after, 17, "a burst of minutes is no reason");
    rebalancer.cycle(world.state(), &Samples::default(), CYCLE);
    let fresh = rebalancer.cycle(world.state(), &calm, CYCLE);
    assert_eq!(fresh, Cycle::default(), "what was known before the silence is not known any more");
}

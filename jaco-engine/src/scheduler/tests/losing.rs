use jaco_api::model::{
    Availability, Intent, Mode, NodeCondition, Placement, ReplicaState, RolloutPhase,
    ServiceSchedule, Span, UpdateConfig, UpdateOrder,
};

use crate::{
    command::{Action, Command, Outcome, Reconcile},
    testing::world::{World, name, service, stateful},
};

fn singleton() -> ServiceSchedule {
    ServiceSchedule { singleton: true, update: UpdateConfig::default_for(true), ..service(1) }
}

/// Nodes `a`, `b` and `c` on which `services` run.
fn running(services: &[(&str, ServiceSchedule, &str)]) -> World {
    let mut world = World::new(&["a", "b", "c"]);
    world.deploy("shop", services);
    world.settle(&[]);
    world.show();
    world.say("--- running");
    world
}

/// The name of the node of a replica.
fn home(world: &World, replica: &str) -> String {
    let row = world.state().replica(&name(replica)).unwrap();
    world.state().node(row.node).unwrap().name.to_string()
}

fn wait_out(world: &mut World, seconds: u64) {
    world.pass_time(Span::secs(seconds));
    world.settle(&[]);
}

#[test]
fn a_node_that_is_back_in_time_finds_everything_as_it_was() {
    let mut world = running(&[("web", service(6), "web:1")]);
    world.node_condition("b", NodeCondition::Down);
    assert!(!world.step(), "nothing moves at once");
    world.pass_time(Span(1_900));
    assert!(!world.step());
    world.node_condition("b", NodeCondition::Ready);
    wait_out(&mut world, 60);
    world.show();
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn what_a_lost_node_had_is_placed_elsewhere_at_once() {
    let mut world = running(&[("web", service(6), "web:1"), ("api", service(3), "api:1")]);
    world.node_condition("b", NodeCondition::Down);
    world.pass_time(Span::secs(2));
    world.step();
    assert!(!world.step(), "one plan is enough");
    let on = |world: &World, node: &str| {
        let rows = world.state().replicas_on(world.node_id(node));
        rows.filter(|r| r.intent == Intent::Run).count()
    };
    assert_eq!((on(&world, "a"), on(&world, "b"), on(&world, "c")), (4, 0, 5));
    world.agents(&[]);
    world.say("b is back");
    world.node_condition("b", NodeCondition::Ready);
    world.settle(&[]);
    world.show();
    assert_eq!(world.state().replicas().count(), 9, "no duplicate is left");
    assert!(world.state().replicas().all(|r| r.generation == 1), "nothing was restarted");
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn where_no_node_can_take_it_a_lost_replica_stays_and_is_found_again() {
    let mut world = World::new(&["a"]);
    world.deploy("shop", &[("web", service(2), "web:1"), ("db", stateful(1, "data"), "db:1")]);
    world.settle(&[]);
    world.node_condition("a", NodeCondition::Degraded);
    wait_out(&mut world, 600);
    assert!(!world.step(), "the reason is written once");
    world.node_condition("a", NodeCondition::Ready);
    world.settle(&[]);
    world.show();
    assert!(world.state().replicas().all(|r| r.generation == 1 && r.is_running()));
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn data_hosts_and_global_services_wait_for_their_node() {
    let hosts = Some(Placement::Hosts(vec![name("b"), name("c")]));
    let mut world = World::new(&["a", "b", "c"]);
    world.set_node("a", |n| n.availability = Availability::Cordoned);
    world.set_node("c", |n| n.availability = Availability::Cordoned);
    world.deploy(
        "shop",
        &[
            ("db", stateful(1, "data"), "db:1"),
            ("bound", ServiceSchedule { stateful: true, ..service(1) }, "bound:1"),
            ("pinned", ServiceSchedule { placement: hosts, ..service(1) }, "pinned:1"),
            ("agent", ServiceSchedule { placement: Some(Placement::Global), ..service(0) }, "x:1"),
            ("web", service(1), "web:1"),
        ],
    );
    world.settle(&[]);
    world.set_node("a", |_| {});
    world.set_node("c", |_| {});
    world.settle(&[]);
    world.say("--- running");
    world.node_condition("b", NodeCondition::Down);
    wait_out(&mut world, 600);
    world.show();
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_service_says_how_long_it_bears_a_lost_node() {
    let patient = ServiceSchedule { reschedule_after: Some(Span::secs(60)), ..service(3) };
    let eager = ServiceSchedule { reschedule_after: Some(Span(0)), ..service(3) };
    let mut world = running(&[("patient", patient, "p:1"), ("eager", eager, "e:1")]);
    world.node_condition("b", NodeCondition::Down);
    world.settle(&[]);
    wait_out(&mut world, 59);
    wait_out(&mut world, 1);
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_singleton_is_started_elsewhere_when_the_lost_one_has_certainly_ended() {
    let mut world = running(&[("one", singleton(), "one:1")]);
    let node = home(&world, "shop.one.1");
    world.node_condition(&node, NodeCondition::Down);
    world.pass_time(Span(6_999));
    assert!(!world.step(), "its node may still run it");
    world.pass_time(Span(1));
    world.settle(&[]);
    world.node_condition(&node, NodeCondition::Ready);
    world.settle(&[]);
    world.show();
    assert_eq!(world.state().replicas().count(), 1);
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_singleton_waits_for_an_engine_that_does_not_answer() {
    let mut world = running(&[("one", singleton(), "one:1")]);
    let node = home(&world, "shop.one.1");
    world.node_condition(&node, NodeCondition::Degraded);
    wait_out(&mut world, 600);
    assert_eq!(world.state().replicas().count(), 1, "its container may run without the engine");
    world.node_condition(&node, NodeCondition::Down);
    world.pass_time(Span(6_999));
    assert!(!world.step(), "the wait begins when the node is down");
    wait_out(&mut world, 1);
    assert_eq!(world.state().replicas().filter(|r| r.is_running()).count(), 1);
}

#[test]
fn a_singleton_that_is_going_is_waited_for() {
    let mut world = running(&[("one", singleton(), "one:1")]);
    let node = home(&world, "shop.one.1");
    world.node_availability(&node, Availability::Draining, false);
    world.step();
    assert_eq!(world.state().replicas().count(), 1, "the next one is not there yet");
    world.say("it is lost before it has said that it stopped");
    world.node_condition(&node, NodeCondition::Down);
    world.pass_time(Span(6_999));
    assert!(!world.step());
    wait_out(&mut world, 1);
    world.show();
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn the_state_machine_refuses_a_second_singleton() {
    let mut world = running(&[("one", singleton(), "one:1")]);
    let node = home(&world, "shop.one.1");
    let other = if node == "a" { "b" } else { "a" };
    let create = |world: &mut World| {
        let version = world.state().deployment(&name("shop")).unwrap().version;
        let node = world.node_id(other);
        let actions = vec![Action::Create { service: name("one"), node, slot: None }];
        let batch = Reconcile { deployment: name("shop"), version, actions };
        matches!(world.command(Command::Reconcile(batch)), Outcome::Done)
    };
    assert!(!create(&mut world));
    world.node_condition(&node, NodeCondition::Degraded);
    assert!(!create(&mut world));
    world.node_condition(&node, NodeCondition::Down);
    assert!(create(&mut world));
}

#[test]
fn a_plan_that_takes_replicas_for_lost_comes_too_late_when_their_node_is_back() {
    let mut world = running(&[("web", service(3), "web:1")]);
    world.node_condition("b", NodeCondition::Down);
    world.pass_time(Span::secs(2));
    let plan = world.plan();
    world.node_condition("b", NodeCondition::Ready);
    let outcome = world.command(Command::Reconcile(plan.batches[0].clone()));
    assert!(matches!(outcome, Outcome::Rejected(_)), "{outcome:?}");
}

#[test]
fn the_clocks_of_two_leaders_do_not_shorten_the_wait_of_a_singleton() {
    let mut world = running(&[("one", singleton(), "one:1"), ("web", service(3), "web:1")]);
    let node = home(&world, "shop.one.1");
    world.node_condition(&node, NodeCondition::Down);
    world.say("another leader, whose clock is half a minute ahead");
    world.pass_time(Span::secs(30));
    let (id, now) = (world.node_id(&node), world.now());
    world.readings().lost_since.insert(id, now);
    world.settle(&[]);
    let copies =
        |world: &World| world.state().replicas_of_service(&name("shop"), &name("one")).count();
    assert_eq!(copies(&world), 1, "it has seen the node down for no time at all");
    wait_out(&mut world, 6);
    assert_eq!(copies(&world), 1);
    wait_out(&mut world, 1);
    assert_eq!(copies(&world), 2, "the lost one is to go, its successor is there");
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_job_that_has_completed_is_not_run_again_and_one_that_ran_is() {
    let job = |content| (content, ServiceSchedule { mode: Mode::Job, ..service(1) });
    let mut world = World::new(&["a", "b"]);
    world.set_node("b", |n| n.availability = Availability::Cordoned);
    let jobs = [job("done"), job("busy")];
    world.deploy("shop", &jobs.map(|(n, s)| (n, s, n)));
    world.step();
    world.enter("shop.done.1", ReplicaState::Completed, "");
    world.enter("shop.busy.1", ReplicaState::Running, "");
    world.set_node("b", |_| {});
    world.node_condition("a", NodeCondition::Down);
    world.pass_time(Span::secs(2));
    world.step();
    world.say("a is removed for good");
    world.node_availability("a", Availability::Leaving, true);
    world.step();
    world.remove_node("a");
    world.agents(&[]);
    assert!(!world.step(), "the job that was done is done");
    world.enter("shop.busy.2", ReplicaState::Completed, "");
    assert!(!world.step());
    world.show();
    insta::assert_snapshot!(world.transcript());
    world.deploy("shop", &[("done", service(0), "done")]);
    world.settle(&[]);
    assert_eq!(world.state().replicas().count(), 0, "nobody has to say that it is gone");
}

#[test]
fn a_lost_node_is_no_failure_of_a_rollout() {
    for order in [UpdateOrder::StartFirst, UpdateOrder::StopFirst] {
        let update = UpdateConfig { order, ..UpdateConfig::default_for(false) };
        let web = ServiceSchedule { update, ..service(4) };
        let mut world = running(&[("web", web.clone(), "web:1")]);
        world.deploy("shop", &[("web", web, "web:2")]);
        for _ in 0..3 {
            world.step();
            world.agents(&[]);
        }
        world.node_condition("b", NodeCondition::Down);
        world.pass_time(Span::secs(90));
        world.settle(&[]);
        world.node_condition("b", NodeCondition::Ready);
        world.settle(&[]);
        world.show();
        let deployment = world.state().deployment(&name("shop")).unwrap();
        let rollout = deployment.rollout.clone().unwrap();
        assert_eq!(rollout.phase, RolloutPhase::Completed, "{}", world.transcript());
        assert!(rollout.failures.is_empty());
        assert_eq!(world.state().replicas().count(), 4);
        insta::assert_snapshot!(format!("{order:?}"), world.transcript());
    }
}

#[test]
fn a_rollout_of_data_waits_for_the_node_that_has_it() {
    let mut world = running(&[("db", stateful(1, "data"), "db:1")]);
    let node = home(&world, "shop.db.1");
    world.node_condition(&node, NodeCondition::Down);
    world.deploy("shop", &[("db", stateful(1, "data"), "db:2")]);
    wait_out(&mut world, 600);
    let generation = |world: &World| world.state().replica(&name("shop.db.1")).unwrap().generation;
    assert_eq!(generation(&world), 1, "what may still serve is not replaced unseen");
    world.node_condition(&node, NodeCondition::Ready);
    // Its container ran all the time.
    world.enter("shop.db.1", ReplicaState::Running, "");
    world.settle(&[]);
    assert_eq!(generation(&world), 2);
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_global_service_is_rolled_out_without_the_nodes_that_are_lost() {
    let agent = ServiceSchedule { placement: Some(Placement::Global), ..service(0) };
    let mut world = running(&[("agent", agent.clone(), "agent:1")]);
    world.node_condition("b", NodeCondition::Down);
    world.deploy("shop", &[("agent", agent, "agent:2")]);
    wait_out(&mut world, 1);
    let rollout = world.state().deployment(&name("shop")).unwrap().rollout.clone().unwrap();
    assert_eq!(rollout.phase, RolloutPhase::Completed, "{}", world.transcript());
    world.node_condition("b", NodeCondition::Ready);
    world.enter("shop.agent.b", ReplicaState::Running, "");
    world.settle(&[]);
    world.show();
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn after_a_rollout_that_was_given_up_a_lost_replica_of_old_content_waits() {
    let mut world = running(&[("web", service(3), "web:1")]);
    let pause = UpdateConfig {
        failure_action: jaco_api::model::FailureAction::Pause,
        ..UpdateConfig::default_for(false)
    };
    world.deploy("shop", &[("web", ServiceSchedule { update: pause, ..service(3) }, "web:2")]);
    world.step();
    world.enter("shop.web.4", ReplicaState::Failed, "exited with code 1");
    world.settle(&["web:2"]);
    let node = home(&world, "shop.web.1");
    world.node_condition(&node, NodeCondition::Down);
    world.pass_time(Span::secs(60));
    world.settle(&["web:2"]);
    world.show();
    insta::assert_snapshot!(world.transcript());
    let row = world.state().replica(&name("shop.web.1")).unwrap();
    assert_eq!(row.intent, Intent::Run, "the old content is the good one");
}

#[test]
fn a_job_whose_node_is_lost_is_replaced_by_one_plan() {
    let update = UpdateConfig { order: UpdateOrder::StopFirst, ..UpdateConfig::default_for(false) };
    let job = |placement, replicas| ServiceSchedule {
        mode: Mode::Job,
        update: update.clone(),
        placement,
        ..service(replicas)
    };
    let mut world = running(&[("job", job(Some(Placement::Global), 0), "job:1")]);
    world.node_condition("b", NodeCondition::Down);
    world.deploy("shop", &[("job", job(None, 3), "job:1")]);
    for _ in 0..20 {
        if !world.step() {
            break;
        }
        assert!(!world.step(), "{}", world.transcript());
        world.agents(&[]);
        world.pass_time(Span::secs(3));
    }
    let shop = name("shop");
    let there = world.state().replicas_of(&shop).filter(|r| r.intent == Intent::Run);
    assert_eq!(there.filter(|r| r.is_running()).count(), 3, "{}", world.transcript());
}

#[test]
fn a_service_that_was_global_keeps_its_floor_while_a_node_is_lost() {
    let update = UpdateConfig {
        order: UpdateOrder::StopFirst,
        parallelism: 1,
        ..UpdateConfig::default_for(false)
    };
    let global = ServiceSchedule { placement: Some(Placement::Global), ..service(0) };
    let mut world = running(&[("web", global, "web:1")]);
    world.node_condition("b", NodeCondition::Down);
    world.deploy("shop", &[("web", ServiceSchedule { update, ..service(3) }, "web:1")]);
    for _ in 0..20 {
        let running = world.state().replicas().filter(|r| r.is_running()).count();
        assert!(running >= 2, "{}", world.transcript());
        world.step();
        world.agents(&[]);
        world.pass_time(Span::secs(1));
    }
    assert_eq!(world.state().replicas().filter(|r| r.is_running()).count(), 3);
}

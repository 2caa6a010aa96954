use jaco_api::model::{Availability, Placement, ServiceSchedule};

use crate::testing::world::{World, name, service, stateful};

fn hosts(replicas: u32, hosts: &[&str]) -> ServiceSchedule {
    let hosts = hosts.iter().map(|h| name(h)).collect();
    ServiceSchedule { placement: Some(Placement::Hosts(hosts)), ..service(replicas) }
}
fn global() -> ServiceSchedule {
    ServiceSchedule { placement: Some(Placement::Global), ..service(0) }
}
fn constrained(replicas: u32, constraint: &str) -> ServiceSchedule {
    ServiceSchedule { constraints: vec![constraint.to_owned()], ..service(replicas) }
}

/// How many replicas run on each of these nodes.
fn spread(world: &World, nodes: &[&str]) -> Vec<usize> {
    let on = |n: &&str| {
        world.state().replicas_on(world.state().node_named(&name(n)).unwrap().id).count()
    };
    nodes.iter().map(on).collect()
}

#[test]
fn a_first_deploy_spreads_and_runs() {
    let mut world = World::new(&["a", "b", "c"]);
    world.deploy("shop", &[("web", service(4), "web:1"), ("db", stateful(1, "shop_data"), "db:1")]);
    world.settle(&[]);
    world.show();
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn spread_never_puts_two_on_a_node_while_another_has_none() {
    let nodes = ["a", "b", "c", "d", "e"];
    for replicas in 0..23 {
        let mut world = World::new(&nodes);
        world.deploy("busy", &[("x", hosts(3, &["a", "b"]), "x")]);
        world.settle(&[]);
        world.deploy("shop", &[("web", service(replicas), "web:1")]);
        let before = spread(&world, &nodes);
        world.settle(&[]);
        let counts: Vec<_> =
            spread(&world, &nodes).iter().zip(before).map(|(now, then)| now - then).collect();
        let (low, high) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(high - low <= 1, "{replicas}: {counts:?}");
    }
}

#[test]
fn scaling_up_and_down_restarts_nothing() {
    let mut world = World::new(&["a", "b", "c"]);
    world.deploy("shop", &[("web", service(2), "web:1")]);
    world.settle(&[]);
    world.say("scale to 5");
    world.deploy("shop", &[("web", service(5), "web:1")]);
    world.settle(&[]);
    world.say("scale to 2, the first one does not run");
    world.enter("shop.web.1", jaco_api::model::ReplicaState::Degraded, "exited");
    world.deploy("shop", &[("web", service(2), "web:1")]);
    world.step();
    world.agents(&["web:1"]);
    world.show();
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn pack_fills_a_node_until_requests_no_longer_fit() {
    let mut world = World::new(&["a", "b", "c"]);
    let pack = ServiceSchedule {
        placement: Some(Placement::Pack),
        reserved_memory_bytes: 3 << 30,
        ..service(5)
    };
    world.deploy("shop", &[("web", pack, "web:1")]);
    world.settle(&[]);
    world.show();
    insta::assert_snapshot!(world.transcript());
    let mut counts = spread(&world, &["a", "b", "c"]);
    counts.sort_unstable();
    assert_eq!(counts, [1, 2, 2], "8 GiB hold two of 3 GiB");
}

#[test]
fn requests_that_fit_nowhere_say_so() {
    let mut world = World::new(&["a", "b"]);
    let greedy = ServiceSchedule { reserved_memory_bytes: 5 << 30, ..service(3) };
    let thirsty = ServiceSchedule { reserved_cpu_millis: 5_000, ..service(1) };
    world.deploy("shop", &[("greedy", greedy, "g:1"), ("thirsty", thirsty, "t:1")]);
    world.settle(&[]);
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn hosts_keeps_to_its_list() {
    let mut world = World::new(&["a", "b", "c"]);
    world.deploy("shop", &[("web", hosts(3, &["c", "b"]), "web:1")]);
    world.settle(&[]);
    assert_eq!(spread(&world, &["a"]), [0]);
    world.say("only on a from now on");
    world.deploy("shop", &[("web", hosts(3, &["a"]), "web:1")]);
    world.settle(&[]);
    world.show();
    insta::assert_snapshot!(world.transcript());
    assert_eq!(spread(&world, &["a", "b", "c"]), [3, 0, 0]);
}

#[test]
fn global_follows_nodes_and_never_renumbers() {
    let mut world = World::new(&["a", "b"]);
    world.deploy("mon", &[("agent", global(), "agent:1")]);
    world.settle(&[]);
    world.say("c joins, b is cordoned");
    world.add_node("c");
    world.set_node("b", |n| n.availability = Availability::Cordoned);
    world.settle(&[]);
    world.say("b is drained");
    world.set_node("b", |n| n.availability = Availability::Draining);
    world.settle(&[]);
    world.say("b is back");
    world.set_node("b", |_| {});
    world.settle(&[]);
    world.show();
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn what_cannot_be_placed_says_why_once_and_recovers_by_itself() {
    let mut world = World::new(&["a", "b", "c"]);
    world.set_node("a", |n| n.availability = Availability::Cordoned);
    world.deploy("shop", &[("web", constrained(2, "node.labels.disk == ssd"), "web:1")]);
    world.settle(&[]);
    assert!(!world.step(), "the reason is written once");
    world.say("b gets a label");
    world.set_node("b", |n| {
        n.labels.insert("disk".into(), "ssd".into());
    });
    world.settle(&[]);
    world.show();
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn max_replicas_per_node_holds() {
    let mut world = World::new(&["a", "b"]);
    let schedule = ServiceSchedule { max_replicas_per_node: 1, ..service(3) };
    world.deploy("shop", &[("web", schedule.clone(), "web:1")]);
    world.settle(&[]);
    world.say("a new image");
    world.deploy("shop", &[("web", ServiceSchedule { replicas: 2, ..schedule }, "web:2")]);
    world.settle(&[]);
    world.show();
    insta::assert_snapshot!(world.transcript());
    assert_eq!(spread(&world, &["a", "b"]), [1, 1]);
}

#[test]
fn data_stays_where_it_is() {
    let mut world = World::new(&["a", "b", "c"]);
    world.deploy("shop", &[("db", stateful(1, "shop_data"), "db:1")]);
    world.settle(&[]);
    let home = world.state().replicas().next().unwrap().node;
    let on = world.state().node(home).unwrap().name.clone();
    world.say("stopped, then started while its node is cordoned");
    world.deploy(
        "shop",
        &[("db", ServiceSchedule { replicas: 0, ..stateful(1, "shop_data") }, "db:1")],
    );
    world.settle(&[]);
    world.set_node(on.as_str(), |n| n.availability = Availability::Cordoned);
    world.deploy("shop", &[("db", stateful(1, "shop_data"), "db:1")]);
    world.settle(&[]);
    assert_eq!(world.state().replicas().count(), 0);
    world.set_node(on.as_str(), |_| {});
    world.settle(&[]);
    world.show();
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.state().replicas().next().unwrap().node, home);
}

#[test]
fn a_drained_node_is_left_by_what_can_move() {
    let mut world = World::new(&["a", "b"]);
    world.deploy("shop", &[("web", service(2), "web:1"), ("db", stateful(1, "shop_data"), "db:1")]);
    world.settle(&[]);
    for node in ["a", "b"] {
        world.set_node(node, |n| n.availability = Availability::Draining);
    }
    world.settle(&[]);
    world.add_node("c");
    world.settle(&[]);
    world.show();
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_stopped_or_deleted_deployment_removes_everything() {
    use crate::command::{Command, DeleteDeployment, HoldDeployment};
    let mut world = World::new(&["a"]);
    world.deploy("shop", &[("web", service(2), "web:1"), ("db", stateful(1, "shop_data"), "db:1")]);
    world.settle(&[]);
    for stopped in [true, false] {
        world.say(if stopped { "stop" } else { "start" });
        world
            .command(Command::HoldDeployment(HoldDeployment { deployment: name("shop"), stopped }));
        world.settle(&[]);
    }
    world.say("delete");
    let delete = DeleteDeployment { deployment: name("shop"), volumes: false };
    world.command(Command::DeleteDeployment(delete));
    world.settle(&[]);
    world.show();
    insta::assert_snapshot!(world.transcript());
    assert!(world.state().deployments().next().is_none());
}

use jaco_api::model::{Placement, ServiceSchedule, Subnet, UpdateConfig};

use crate::{
    command::{Command, Outcome, ReleaseSubnets, SetSetting},
    testing::world::{World, name, service},
};

fn on(networks: &[&str], replicas: u32) -> ServiceSchedule {
    ServiceSchedule { networks: networks.iter().map(|n| name(n)).collect(), ..service(replicas) }
}

fn pools(world: &mut World, value: &str) {
    let (key, value) = ("address_pools".to_owned(), value.to_owned());
    assert_eq!(world.command(Command::SetSetting(SetSetting { key, value })), Outcome::Done);
}

fn unplaced(world: &World, deployment: &str) -> Option<String> {
    let row = world.state().deployment(&name(deployment)).unwrap().clone();
    row.unplaced.values().next().cloned()
}

fn nodes_of(world: &World, deployment: &str) -> Vec<u64> {
    let mut nodes: Vec<_> =
        world.state().replicas_of(&name(deployment)).map(|r| r.node.0).collect();
    nodes.sort_unstable();
    nodes
}

#[test]
fn a_replica_without_a_block_waits_until_there_is_another_pool() {
    let mut world = World::new(&["a", "b", "c"]);
    pools(&mut world, "10.8.0.0/28:29");
    world.deploy("shop", &[("web", on(&["default"], 2), "web:1")]);
    world.settle(&[]);
    world.deploy("blog", &[("web", on(&["default", "back"], 2), "web:1")]);
    world.settle(&[]);
    let why = "3 nodes: 3 without a free address block: 2 of 2 in use, 0 in quarantine";
    assert_eq!(unplaced(&world, "blog").as_deref(), Some(why));
    let index = world.state().index();
    world.settle(&[]);
    assert_eq!(world.state().index(), index, "it waits without a word");

    let before = world.state().clone();
    pools(&mut world, "10.8.0.0/28:29, 10.9.0.0/24:29");
    assert!(crate::scheduler::touched(&before, world.state()).contains("blog"));
    world.settle(&[]);
    assert_eq!((unplaced(&world, "blog"), nodes_of(&world, "blog").len()), (None, 2));
}

#[test]
fn a_node_that_has_the_block_already_takes_more() {
    let mut world = World::new(&["a", "b", "c"]);
    pools(&mut world, "10.8.0.0/28:29");
    world.deploy("shop", &[("web", on(&["default"], 5), "web:1")]);
    world.settle(&[]);
    let mut nodes = nodes_of(&world, "shop");
    assert_eq!(nodes.len(), 5);
    nodes.dedup();
    assert_eq!(nodes.len(), 2, "two nodes have a block: {nodes:?}");
}

#[test]
fn a_block_that_comes_free_is_used_by_itself() {
    let mut world = World::new(&["a"]);
    pools(&mut world, "10.8.0.0/28:29");
    for deployment in ["one", "two", "late"] {
        world.deploy(deployment, &[("web", on(&["default"], 1), "web:1")]);
        world.settle(&[]);
    }
    assert!(unplaced(&world, "late").is_some());
    world.deploy("one", &[("web", on(&["default"], 0), "web:1")]);
    world.settle(&[]);
    let quarantined: Vec<_> =
        world.state().quarantined_until(u64::MAX).map(|s| Subnet::clone(s)).collect();
    assert_eq!(quarantined.len(), 1);
    assert_eq!(nodes_of(&world, "late").len(), 0, "not before it is confirmed");
    let before = world.state().clone();
    world.command(Command::ReleaseSubnets(ReleaseSubnets { subnets: quarantined }));
    assert!(crate::scheduler::touched(&before, world.state()).contains("late"));
    world.settle(&[]);
    assert_eq!((unplaced(&world, "late"), nodes_of(&world, "late").len()), (None, 1));
}

#[test]
fn a_global_service_says_which_nodes_it_misses() {
    let mut world = World::new(&["a", "b", "c"]);
    pools(&mut world, "10.8.0.0/28:29");
    let global = ServiceSchedule { placement: Some(Placement::Global), ..on(&["default"], 0) };
    world.deploy("agent", &[("agent", global, "agent:1")]);
    world.settle(&[]);
    assert_eq!(nodes_of(&world, "agent").len(), 2);
    let why = "1 node: 1 without a free address block: 2 of 2 in use, 0 in quarantine";
    assert_eq!(unplaced(&world, "agent").as_deref(), Some(why));
    pools(&mut world, "10.8.0.0/28:29, 10.9.0.0/24:29");
    world.settle(&[]);
    assert_eq!((nodes_of(&world, "agent").len(), unplaced(&world, "agent")), (3, None));
}

#[test]
fn a_replacement_in_place_waits_for_the_block_of_a_new_network() {
    let mut world = World::new(&["a"]);
    pools(&mut world, "10.8.0.0/28:29");
    let in_place = |networks: &[&str]| ServiceSchedule {
        update: UpdateConfig::default_for(true),
        ..on(networks, 1)
    };
    world.deploy("shop", &[("web", in_place(&["default"]), "web:1")]);
    world.deploy("blog", &[("web", on(&["default"], 1), "web:1")]);
    world.settle(&[]);
    world.deploy("shop", &[("web", in_place(&["default", "back"]), "web:2")]);
    world.settle(&[]);
    let replica = world.state().replica(&name("shop.web.1")).unwrap().clone();
    assert!(replica.is_running() && replica.generation == 1, "what runs runs on");
    assert!(unplaced(&world, "shop").unwrap().contains("without a free address block"));
    pools(&mut world, "10.8.0.0/28:29, 10.9.0.0/24:29");
    world.settle(&[]);
    assert_eq!(world.state().replica(&name("shop.web.1")).unwrap().generation, 2);
    assert_eq!(unplaced(&world, "shop"), None);
}

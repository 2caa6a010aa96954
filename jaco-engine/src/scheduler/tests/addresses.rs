use jaco_api::model::{EndpointMode, Placement, ServiceSchedule, Subnet, UpdateConfig};

use crate::{
    command::{Command, Outcome, ReleaseSubnets, SetSetting},
    testing::world::{World, companion, name, service},
};

fn on(networks: &[&str], replicas: u32) -> ServiceSchedule {
    ServiceSchedule { networks: networks.iter().map(|n| name(n)).collect(), ..service(replicas) }
}

fn set(world: &mut World, key: &str, value: &str) {
    let (key, value) = (key.to_owned(), value.to_owned());
    assert_eq!(world.command(Command::SetSetting(SetSetting { key, value })), Outcome::Done);
}

fn pools(world: &mut World, value: &str) {
    set(world, "address_pools", value);
}

fn addresses_of(world: &World, deployment: &str) -> Vec<String> {
    let deployment = name(deployment);
    let rows = world.state().virtual_addresses_of(&deployment);
    rows.map(|r| format!("{} {} {}", r.key.network, r.key.service, r.address)).collect()
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

#[test]
fn a_service_without_its_addresses_waits_until_the_pool_is_larger() {
    let mut world = World::new(&["a", "b"]);
    set(&mut world, "service_pool", "10.7.0.0/29");
    world.deploy("shop", &[("web", on(&["a", "b", "c", "d", "e"], 2), "web:1")]);
    world.settle(&[]);
    assert_eq!(addresses_of(&world, "shop").len(), 5);
    let global = ServiceSchedule { placement: Some(Placement::Global), ..on(&["a", "b"], 0) };
    let in_place =
        ServiceSchedule { update: UpdateConfig::default_for(true), ..on(&["a", "b"], 1) };
    world.deploy("blog", &[("web", on(&["default", "back"], 2), "web:1")]);
    world.deploy("wiki", &[("web", global, "web:1")]);
    world.deploy("mail", &[("web", in_place, "web:1")]);
    world.settle(&[]);
    let why = "too few addresses for services are free in service_pool 10.7.0.0/29: 5 of 6 in use";
    for deployment in ["blog", "wiki", "mail"] {
        assert_eq!(unplaced(&world, deployment).as_deref(), Some(why), "{deployment}");
        assert_eq!(nodes_of(&world, deployment).len(), 0, "{deployment}");
    }
    let index = world.state().index();
    world.settle(&[]);
    assert_eq!(world.state().index(), index, "it waits without a word");

    let before = world.state().clone();
    set(&mut world, "service_pool", "10.7.0.0/24");
    assert!(crate::scheduler::touched(&before, world.state()).contains("blog"));
    world.settle(&[]);
    for (deployment, replicas) in [("blog", 2), ("wiki", 2), ("mail", 1)] {
        assert_eq!(unplaced(&world, deployment), None, "{deployment}");
        assert_eq!(nodes_of(&world, deployment).len(), replicas, "{deployment}");
        assert_eq!(addresses_of(&world, deployment).len(), 2, "{deployment}");
    }
}

#[test]
fn an_address_that_comes_free_is_used_by_itself() {
    let mut world = World::new(&["a"]);
    set(&mut world, "service_pool", "10.7.0.0/29");
    let many = ["a", "b", "c", "d", "e", "f"];
    world.deploy("shop", &[("web", on(&many, 1), "web:1")]);
    world.settle(&[]);
    world.deploy("late", &[("web", on(&["default"], 1), "web:1")]);
    world.settle(&[]);
    assert!(unplaced(&world, "late").is_some());
    let before = world.state().clone();
    let plain = ServiceSchedule { endpoint: EndpointMode::Dnsrr, ..on(&many, 1) };
    world.deploy("shop", &[("web", plain, "web:1")]);
    assert!(crate::scheduler::touched(&before, world.state()).contains("late"));
    world.settle(&[]);
    assert_eq!(unplaced(&world, "late"), None);
    assert_eq!(addresses_of(&world, "late"), ["default web 10.7.0.1"]);
}

#[test]
fn what_runs_goes_on_without_an_address_and_is_given_it_when_there_is_one() {
    let mut world = World::new(&["a", "b"]);
    set(&mut world, "service_pool", "10.7.0.0/29");
    let plain = ServiceSchedule { endpoint: EndpointMode::Dnsrr, ..on(&["default"], 2) };
    world.deploy("blog", &[("web", plain, "web:1")]);
    world.settle(&[]);
    assert!(addresses_of(&world, "blog").is_empty());
    world.deploy("shop", &[("web", on(&["a", "b", "c", "d", "e", "f"], 1), "web:1")]);
    world.settle(&[]);
    // It rolls, scales and is told why all the same.
    world.deploy("blog", &[("web", on(&["default"], 3), "web:2")]);
    world.settle(&[]);
    let rows: Vec<_> = world.state().replicas_of(&name("blog")).cloned().collect();
    assert!(rows.len() == 3 && rows.iter().all(|r| r.is_running() && world.state().is_current(r)));
    assert!(unplaced(&world, "blog").unwrap().contains("10.7.0.0/29: 6 of 6 in use"));
    let index = world.state().index();
    world.settle(&[]);
    assert_eq!(world.state().index(), index, "it waits without a word");

    set(&mut world, "service_pool", "10.7.0.0/28");
    world.settle(&[]);
    assert_eq!(addresses_of(&world, "blog"), ["default web 10.7.0.7"]);
    assert_eq!(unplaced(&world, "blog"), None);
    let now: Vec<_> = world.state().replicas_of(&name("blog")).cloned().collect();
    assert_eq!(now, rows, "nothing is restarted");
}

#[test]
fn a_service_waits_with_those_that_live_beside_it() {
    let mut world = World::new(&["a", "b"]);
    set(&mut world, "service_pool", "10.7.0.0/29");
    world.deploy("shop", &[("web", on(&["a", "b", "c", "d", "e"], 1), "web:1")]);
    world.settle(&[]);
    let lead = |networks: &[&str]| ServiceSchedule {
        networks_beside: [name("back")].into(),
        ..on(networks, 2)
    };
    let beside = ServiceSchedule { networks: [name("back")].into(), ..companion("lead") };
    let both = [("lead", lead(&["back", "front"]), "lead:1"), ("logs", beside.clone(), "logs:1")];
    world.deploy("pair", &both);
    world.settle(&[]);
    assert_eq!(nodes_of(&world, "pair").len(), 0);
    assert!(addresses_of(&world, "pair").is_empty(), "all or none");
    // One that is added to what runs already comes without.
    world.deploy("late", &[("lead", lead(&["front"]), "lead:1")]);
    world.settle(&[]);
    assert_eq!(nodes_of(&world, "late").len(), 2);
    let added = [("lead", lead(&["back", "front"]), "lead:1"), ("logs", beside, "logs:1")];
    world.deploy("late", &added);
    world.settle(&[]);
    assert_eq!(nodes_of(&world, "late").len(), 4);
    assert_eq!(addresses_of(&world, "late"), ["front lead 10.7.0.6"]);
    assert!(unplaced(&world, "late").is_some());

    set(&mut world, "service_pool", "10.7.0.0/24");
    world.settle(&[]);
    let all = ["back logs 10.7.0.7", "front lead 10.7.0.6"];
    assert_eq!(
        (addresses_of(&world, "late"), unplaced(&world, "late")),
        (all.map(Into::into).into(), None)
    );
    assert_eq!(addresses_of(&world, "pair"), ["back logs 10.7.0.9", "front lead 10.7.0.8"]);
    assert_eq!(nodes_of(&world, "pair").len(), 4);
}

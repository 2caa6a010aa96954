use jaco_api::model::{Availability, Node, NodeStatus, Placement, ServiceSchedule};

use crate::{
    scheduler::{
        constraint::{Constraint, runs_on},
        filter::{Ask, Refusal, expels, explain, refuses},
    },
    testing::world::{World, name, service},
};

fn node(change: impl FnOnce(&mut Node)) -> Node {
    let mut world = World::new(&["a"]);
    world.set_node("a", change);
    Node::clone(world.state().node_named(&name("a")).unwrap())
}

#[test]
fn constraints_are_read_as_compose_and_swarm_write_them() {
    let node = node(|n| {
        n.labels.insert("disk".into(), "ssd".into());
        n.labels.insert("site.zone".into(), "eu-1".into());
    });
    for (text, holds) in [
        ("node.labels.disk==ssd", true),
        ("node.labels.disk == hdd", false),
        ("node.labels.disk != hdd", true),
        ("node.labels.site.zone == eu-1", true),
        ("node.labels.none == x", false),
        ("node.labels.none != x", true),
        ("node.hostname == a", true),
        ("node.hostname != a", false),
        ("node.platform.os == linux", true),
        ("node.platform.arch == x86_64", true),
        ("node.platform.arch == amd64", true),
        ("node.platform.arch == arm64", false),
        ("node.id == 1", true),
    ] {
        let constraint = Constraint::parse(text).unwrap_or_else(|| panic!("{text} is readable"));
        assert_eq!(constraint.holds(&node), holds, "{text}");
    }
    for text in ["", "node.labels.disk", "node.labels. == x", "disk == ssd", "node.hostname =="] {
        assert_eq!(Constraint::parse(text), None, "{text}");
    }
}

#[test]
fn platforms_compare_by_what_both_sides_say() {
    assert!(runs_on("linux/amd64", "linux/x86_64"));
    assert!(runs_on("linux/arm64/v8", "linux/aarch64"));
    assert!(runs_on("linux", "linux/amd64"));
    assert!(!runs_on("linux/arm64", "linux/amd64"));
    assert!(runs_on("linux/arm64", ""), "a node that does not say may try");
}

#[test]
fn every_refusal_explains_itself() {
    let refusals = [
        (Refusal::Status(NodeStatus::Cordoned), 1),
        (Refusal::LacksLabel("disk=ssd".into()), 2),
        (Refusal::NotAHost, 1),
        (Refusal::Memory, 3),
        (Refusal::Full(1), 1),
        (Refusal::Platform("linux/arm64".into()), 1),
        (Refusal::Volume { volume: "shop_data".into(), on: Some(name("b")) }, 2),
    ];
    insta::assert_snapshot!(explain(&refusals.into_iter().collect()), @"11 nodes: 1 at max_replicas_per_node 1, 1 cordoned, 2 lack label disk=ssd, 2 lack volume shop_data, which is on b, 1 not among the hosts of the placement, 1 not of platform linux/arm64, 3 short of unreserved memory");
    assert_eq!(explain(&Default::default()), "the cluster has no nodes");
}

#[test]
fn a_cordoned_node_keeps_its_work_and_takes_no_more() {
    let schedule = ServiceSchedule { constraints: vec!["node.labels.x == y".into()], ..service(1) };
    let plain = service(1);
    let placement = Placement::Spread;
    let ask = |schedule| Ask { schedule, placement: &placement, pins: &[] };
    let cordoned = node(|n| n.availability = Availability::Cordoned);
    assert!(refuses(&ask(&plain), &cordoned).is_some());
    assert_eq!(expels(&ask(&plain), &cordoned), None);
    assert!(expels(&ask(&schedule), &cordoned).is_some(), "a constraint moves what is placed");
    let draining = node(|n| n.availability = Availability::Draining);
    assert!(expels(&ask(&plain), &draining).is_some());
}

#[test]
fn a_constraint_that_cannot_be_read_is_satisfied_by_no_node() {
    let schedule = ServiceSchedule { constraints: vec!["engine ~ fast".into()], ..service(1) };
    let placement = Placement::Spread;
    let ask = Ask { schedule: &schedule, placement: &placement, pins: &[] };
    assert!(matches!(refuses(&ask, &node(|_| {})), Some(Refusal::Constraint(_))));
}

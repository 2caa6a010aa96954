use std::collections::BTreeMap;

use jaco_api::model::{
    Availability, Intent, Node, NodeCondition, NodeStatus, Placement, ReplicaId, ServiceSchedule,
    Span,
};
use proptest::prelude::*;

use crate::testing::world::{World, service};

/// Nodes with their zones and racks.
const NODES: [(&str, &str, &str); 6] = [
    ("a", "east", "1"),
    ("b", "east", "2"),
    ("c", "east", "2"),
    ("d", "west", "1"),
    ("e", "west", "1"),
    ("f", "", ""),
];

fn labelled(row: &mut Node, zone: &str, rack: &str) {
    for (label, value) in [("zone", zone), ("rack", rack)] {
        if !value.is_empty() {
            row.labels.insert(label.to_owned(), value.to_owned());
        }
    }
}

fn zoned(nodes: &[(&str, &str, &str)]) -> World {
    let mut world = World::new(&nodes.iter().map(|n| n.0).collect::<Vec<_>>());
    for (node, zone, rack) in nodes {
        world.set_node(node, |row| labelled(row, zone, rack));
    }
    world
}

fn over(labels: &[&str], replicas: u32) -> ServiceSchedule {
    let spread_over = labels.iter().map(|l| (*l).to_owned()).collect();
    ServiceSchedule { spread_over, ..service(replicas) }
}

/// Replicas by the values of these labels.
fn by(world: &World, labels: &[&str]) -> BTreeMap<Vec<String>, usize> {
    let mut counts = BTreeMap::new();
    for replica in world.state().replicas() {
        let node = world.state().node(replica.node).unwrap();
        let values = labels.iter().map(|l| node.labels.get(*l).cloned().unwrap_or_default());
        *counts.entry(values.collect()).or_default() += 1;
    }
    counts
}

fn on(world: &World, node: &str) -> usize {
    world.state().replicas_on(world.node_id(node)).count()
}

#[test]
fn replicas_are_spread_over_labels_before_nodes() {
    let mut world = zoned(&NODES);
    world.deploy("shop", &[("web", over(&["zone", "rack"], 12), "x:1")]);
    world.settle(&[]);
    let zones: Vec<_> = by(&world, &["zone"]).into_values().collect();
    assert_eq!(zones, [4, 4, 4], "nodes without the label are one zone");
    let racks = by(&world, &["zone", "rack"]);
    assert_eq!(racks[&vec!["east".to_owned(), "1".to_owned()]], 2);
    assert_eq!(["a", "b", "c", "d", "e", "f"].map(|n| on(&world, n)), [2, 1, 1, 2, 2, 4]);
    world.say("scaled down");
    world.deploy("shop", &[("web", over(&["zone", "rack"], 6), "x:1")]);
    world.settle(&[]);
    let zones: Vec<_> = by(&world, &["zone"]).into_values().collect();
    assert_eq!(zones, [2, 2, 2], "taken away as they were placed");
    world.show();
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_preference_is_none_where_there_is_no_choice() {
    let mut world = zoned(&[("a", "east", "1"), ("b", "west", "1")]);
    world.set_node("b", |row| {
        labelled(row, "west", "1");
        row.availability = Availability::Cordoned;
    });
    world.deploy("shop", &[("web", over(&["zone"], 3), "x:1")]);
    world.settle(&[]);
    assert_eq!(on(&world, "a"), 3);
}

#[test]
fn of_equal_nodes_the_one_under_least_pressure_is_taken() {
    let nodes = ["a", "b", "c", "d"];
    for least in nodes {
        let mut world = World::new(&nodes);
        for node in nodes {
            let id = world.node_id(node);
            let pressure = if node == least { 100 } else { 700 };
            world.readings().pressure.insert(id, pressure);
        }
        world.deploy("shop", &[("web", service(1), "x:1")]);
        world.settle(&[]);
        assert_eq!(on(&world, least), 1, "{least}");
        world.deploy("shop", &[("web", service(4), "x:1")]);
        world.settle(&[]);
        assert!(nodes.iter().all(|n| on(&world, n) == 1), "counts come before pressure");
    }
}

#[test]
fn nodes_that_come_back_attract_nothing_that_runs() {
    let mut world = World::new(&["a", "b", "c"]);
    world.deploy("shop", &[("web", service(6), "x:1")]);
    world.settle(&[]);
    world.node_condition("c", NodeCondition::Down);
    world.pass_time(Span::secs(2));
    world.settle(&[]);
    world.node_condition("c", NodeCondition::Ready);
    world.settle(&[]);
    world.add_node("d");
    world.settle(&[]);
    assert_eq!(["a", "b", "c", "d"].map(|n| on(&world, n)), [3, 3, 0, 0]);
    world.deploy("shop", &[("web", service(8), "x:1")]);
    world.settle(&[]);
    assert_eq!(["a", "b", "c", "d"].map(|n| on(&world, n)), [3, 3, 1, 1], "the next ones go there");
    world.deploy("shop", &[("web", service(4), "x:1")]);
    world.settle(&[]);
    assert_eq!(["a", "b", "c", "d"].map(|n| on(&world, n)), [1, 1, 1, 1], "the crowd goes first");
}

#[test]
fn pack_fills_the_fullest_node_of_a_zone() {
    let mut world = zoned(&NODES[..5]);
    let packed = ServiceSchedule { placement: Some(Placement::Pack), ..over(&["zone"], 6) };
    world.deploy("shop", &[("web", packed, "x:1")]);
    world.settle(&[]);
    let mut counts: Vec<_> = NODES[..5].iter().map(|(n, ..)| on(&world, n)).collect();
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, 0, 3, 3]);
}

/// What happens to nodes between two counts.
#[derive(Debug, Clone)]
enum Event {
    Lose(usize),
    Return(usize),
    Cordon(usize),
    Scale(u32),
    Renew,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (0usize..6).prop_map(Event::Lose),
        2 => (0usize..6).prop_map(Event::Return),
        1 => (0usize..6).prop_map(Event::Cordon),
        3 => (0u32..20).prop_map(Event::Scale),
        1 => Just(Event::Renew),
    ]
}

fn happen(world: &mut World, event: &Event, replicas: &mut u32, content: &mut u32) {
    let nodes = ["a", "b", "c", "d", "e", "f"];
    world.say(&format!("# {event:?}"));
    match event {
        Event::Lose(n) => world.node_condition(nodes[*n], NodeCondition::Down),
        Event::Return(n) => {
            world.node_condition(nodes[*n], NodeCondition::Ready);
            world.node_availability(nodes[*n], Availability::Active, false);
        }
        Event::Cordon(n) => world.node_availability(nodes[*n], Availability::Cordoned, false),
        Event::Scale(n) => *replicas = *n,
        Event::Renew => *content += 1,
    }
    world.deploy("shop", &[("web", service(*replicas), &format!("x:{content}"))]);
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    /// However nodes come and go: what is newly placed goes where the fewest are, so that no
    /// eligible node is left without one while another gets a second; and what is placed anew
    /// altogether is even.
    #[test]
    fn placement_evens_out(events in prop::collection::vec(event(), 1..20)) {
        let mut world = World::new(&["a", "b", "c", "d", "e", "f"]);
        let (mut replicas, mut content) = (5, 1);
        for event in &events {
            happen(&mut world, event, &mut replicas, &mut content);
            for _ in 0..100 {
                let known: Vec<_> = world.state().replicas().map(|r| r.id.clone()).collect();
                let moved = world.step();
                let counts = counts(&world);
                let least = eligible(&world).iter().map(|n| counts[n]).min().unwrap_or(0);
                for node in gained(&world, &known) {
                    let even = counts[&node] <= least + 1;
                    prop_assert!(even, "{node}: {counts:?}\n{}", world.transcript());
                }
                world.agents(&[]);
                world.pass_time(Span::secs(3));
                if !moved {
                    break;
                }
            }
        }
        // Everything anew, on nodes that are all there.
        for n in 0..6 {
            happen(&mut world, &Event::Return(n), &mut replicas, &mut content);
        }
        happen(&mut world, &Event::Scale(0), &mut replicas, &mut content);
        world.settle(&[]);
        happen(&mut world, &Event::Scale(13), &mut replicas, &mut content);
        world.settle(&[]);
        let counts: Vec<_> = counts(&world).into_values().collect();
        prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
    }
}

/// Nodes that take work.
fn eligible(world: &World) -> Vec<String> {
    let ready = world.state().nodes().filter(|n| n.status == NodeStatus::Ready);
    ready.map(|n| n.name.to_string()).collect()
}

/// Replicas of the present content that are to run, by node.
fn counts(world: &World) -> BTreeMap<String, usize> {
    let state = world.state();
    let count = |n: &Node| {
        let rows = state.replicas_on(n.id);
        rows.filter(|r| r.intent == Intent::Run && state.is_current(r)).count()
    };
    state.nodes().map(|n| (n.name.to_string(), count(n))).collect()
}

/// The nodes that have replicas which were not known.
fn gained(world: &World, known: &[ReplicaId]) -> Vec<String> {
    let fresh = world.state().replicas().filter(|r| !known.contains(&r.id));
    fresh.map(|r| world.state().node(r.node).unwrap().name.to_string()).collect()
}

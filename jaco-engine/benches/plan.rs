//! Planning one changed deployment among many: 1,000 nodes, 100,000 replicas. The bar is 10 ms.
//!
//! `cargo bench -p jaco-engine --features testing --bench plan`

use std::{collections::BTreeSet, sync::OnceLock};

use jaco_api::model::{DeploymentName, NodeCondition, Placement, ServiceSchedule, Span};
use jaco_engine::{
    scheduler::{drain, plan, touched},
    summary,
    testing::world::{World, name, service},
};

const NODES: usize = 1_000;
const DEPLOYMENTS: usize = 1_000;
const REPLICAS_EACH: u32 = 100;

fn main() {
    divan::main();
}

/// A fleet on which everything runs.
fn fleet() -> &'static World {
    static FLEET: OnceLock<World> = OnceLock::new();
    FLEET.get_or_init(|| {
        let nodes: Vec<_> = (0..NODES).map(|n| format!("n-{n}")).collect();
        let mut world = World::new(&nodes.iter().map(String::as_str).collect::<Vec<_>>());
        for n in 0..DEPLOYMENTS {
            world.deploy(&format!("d-{n}"), &[("web", service(REPLICAS_EACH), "web:1")]);
            world.step_of(&format!("d-{n}"));
        }
        world.agents(&[]);
        assert_eq!(world.state().replicas().count(), 100_000);
        world
    })
}

/// The fleet with another schedule or content of one deployment.
fn changed(schedule: ServiceSchedule, content: &str) -> World {
    let mut world = fleet().clone();
    world.deploy("d-500", &[("web", schedule, content)]);
    world
}

fn bench_plan(bencher: divan::Bencher<'_, '_>, world: &World) {
    let one: BTreeSet<DeploymentName> = BTreeSet::from([name("d-500")]);
    bencher.bench(|| plan(world.state(), &one, world.now()));
}

#[divan::bench]
fn nothing_to_do(bencher: divan::Bencher<'_, '_>) {
    bench_plan(bencher, fleet());
}

#[divan::bench]
fn a_rolling_step(bencher: divan::Bencher<'_, '_>) {
    bench_plan(bencher, &changed(service(REPLICAS_EACH), "web:2"));
}

#[divan::bench]
fn a_hundred_more_replicas(bencher: divan::Bencher<'_, '_>) {
    bench_plan(bencher, &changed(service(2 * REPLICAS_EACH), "web:1"));
}

#[divan::bench]
fn a_hundred_more_packed_by_memory(bencher: divan::Bencher<'_, '_>) {
    let schedule = ServiceSchedule {
        placement: Some(Placement::Pack),
        reserved_memory_bytes: 1 << 30,
        ..service(2 * REPLICAS_EACH)
    };
    bench_plan(bencher, &changed(schedule, "web:1"));
}

#[divan::bench]
fn everywhere_by_a_global_service(bencher: divan::Bencher<'_, '_>) {
    let schedule = ServiceSchedule { placement: Some(Placement::Global), ..service(0) };
    bench_plan(bencher, &changed(schedule, "web:1"));
}

#[divan::bench]
fn what_a_change_touches(bencher: divan::Bencher<'_, '_>) {
    let world = changed(service(REPLICAS_EACH), "web:2");
    bencher.bench(|| touched(fleet().state(), world.state()));
}

/// 100 nodes with 5,000 replicas of 100 deployments, one node just down for longer than the grace.
fn with_a_lost_node() -> World {
    let nodes: Vec<_> = (0..100).map(|n| format!("n-{n}")).collect();
    let mut world = World::new(&nodes.iter().map(String::as_str).collect::<Vec<_>>());
    for n in 0..100 {
        world.deploy(&format!("d-{n}"), &[("web", service(50), "web:1")]);
        world.step_of(&format!("d-{n}"));
    }
    world.agents(&[]);
    world.node_condition("n-42", NodeCondition::Down);
    world.pass_time(Span::secs(2));
    world
}

#[divan::bench]
fn a_lost_node_of_100_with_5000_replicas_planned(bencher: divan::Bencher<'_, '_>) {
    let world = with_a_lost_node();
    let lost = world.state().replicas_on(world.node_id("n-42")).count();
    assert_eq!(world.plan().batches.len(), lost, "a replica of each concerned deployment");
    bencher.bench(|| world.plan());
}

#[divan::bench]
fn a_lost_node_of_100_with_5000_replicas_planned_and_applied(bencher: divan::Bencher<'_, '_>) {
    let world = with_a_lost_node();
    bencher.with_inputs(|| world.clone()).bench_values(|mut world| {
        world.step();
        world
    });
}

#[divan::bench]
fn a_lost_node_of_1000_with_100_replicas_planned(bencher: divan::Bencher<'_, '_>) {
    let mut world = fleet().clone();
    let before = world.state().clone();
    world.node_condition("n-500", NodeCondition::Down);
    world.pass_time(Span::secs(2));
    let concerned = touched(&before, world.state());
    bencher.bench(|| plan(world.state(), &concerned, world.now()));
}

#[divan::bench]
fn a_hundred_more_spread_over_ten_zones(bencher: divan::Bencher<'_, '_>) {
    let schedule =
        ServiceSchedule { spread_over: vec!["zone".to_owned()], ..service(2 * REPLICAS_EACH) };
    let mut world = changed(schedule, "web:1");
    for n in 0..NODES {
        world.set_node(&format!("n-{n}"), |row| {
            row.labels.insert("zone".to_owned(), format!("z-{}", n % 10));
        });
    }
    bench_plan(bencher, &world);
}

#[divan::bench]
fn what_is_in_the_way_of_a_drain(bencher: divan::Bencher<'_, '_>) {
    let world = with_a_lost_node();
    let node = world.node_id("n-7");
    bencher.bench(|| drain::obstacles(world.state(), node));
}

#[divan::bench]
fn status_of_100_deployments_with_1000_replicas(bencher: divan::Bencher<'_, '_>) {
    let mut world = World::new(&["a", "b", "c"]);
    for n in 0..100 {
        world.deploy(&format!("d-{n}"), &[("x", service(5), "x"), ("y", service(5), "y")]);
    }
    world.settle(&[]);
    bencher.bench(|| {
        (summary::deployments(world.state()).len(), summary::replicas(world.state(), None).len())
    });
}

//! Whatever happens to node and engine, once it stops the engine has what is assigned, state knows
//! it, and then there is silence.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared with the other tests")]
mod node;

use std::{collections::BTreeMap, time::Duration};

use jaco_api::model::*;
use jaco_runtime::{
    RuntimeError,
    container::{ContainerStatus, label},
    testing::{FakeRuntime, Op, sample},
};
use node::Node;
use proptest::prelude::*;

const REPLICAS: usize = 4;

/// Something that happens.
#[derive(Debug, Clone)]
enum Event {
    /// A replica gets the next generation.
    Advance(usize),
    /// A replica is to go, or is wanted again.
    Toggle(usize),
    /// A container ends.
    Crash(usize, i64),
    /// A container is removed behind everybody's back.
    Vanish(usize),
    /// A health check fails.
    Sicken(usize),
    /// The engine is away for so many milliseconds; true when its containers end with it.
    Outage(u64, bool),
    /// The next such request fails.
    Refuse(Op),
    /// Such requests take so many milliseconds from now on.
    Slow(Op, u64),
    /// The daemon is replaced.
    Restart,
    /// Time passes.
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop::sample::select(vec![
        Op::Pull,
        Op::CreateNetwork,
        Op::List,
        Op::Inspect,
        Op::Create,
        Op::Start,
        Op::Stop,
        Op::Remove,
        Op::Events,
        Op::RemoveNetwork,
    ])
}

fn event() -> impl Strategy<Value = Event> {
    let replica = || 0..REPLICAS;
    prop_oneof![
        3 => replica().prop_map(Event::Advance),
        3 => replica().prop_map(Event::Toggle),
        2 => (replica(), 0_i64..3).prop_map(|(r, code)| Event::Crash(r, code)),
        1 => replica().prop_map(Event::Vanish),
        1 => replica().prop_map(Event::Sicken),
        1 => (0_u64..20_000, any::<bool>()).prop_map(|(t, ends)| Event::Outage(t, ends)),
        2 => op().prop_map(Event::Refuse),
        1 => (op(), 0_u64..3_000).prop_map(|(op, t)| Event::Slow(op, t)),
        1 => Just(Event::Restart),
        4 => (0_u64..5_000).prop_map(Event::Pass),
    ]
}

fn id(replica: usize) -> String {
    format!("shop.web.{}", replica + 1)
}

fn wanted(replica: usize, generation: u64) -> AssignedReplica {
    let mut wanted = sample::replica_of(&id(replica), generation, image(generation));
    // Nothing is ever given up, so that everything has to come right in the end.
    wanted.restart.max_attempts = 0;
    wanted
}

fn image(generation: u64) -> ContainerSpec {
    sample::spec(&format!("app:{generation}"))
}

async fn happen(node: &mut Node<FakeRuntime>, generations: &mut [u64], event: Event) {
    let engine = node.engine.clone();
    let name = |replica: usize| format!("jaco.{}", id(replica));
    match event {
        Event::Advance(r) => {
            generations[r] += 1;
            if node.seen(&id(r)).is_some() {
                node.change(|a| {
                    let row = a.replicas.get_mut(&id(r).parse().unwrap()).unwrap();
                    if row.intent == Intent::Run {
                        *row = wanted(r, generations[r]);
                    }
                });
            }
        }
        Event::Toggle(r) => {
            generations[r] += 1;
            node.change(|a| {
                let id: ReplicaId = id(r).parse().unwrap();
                match a.replicas.get_mut(&id) {
                    Some(row) => row.intent = Intent::Remove,
                    None => drop(a.replicas.insert(id, wanted(r, generations[r]))),
                }
            });
        }
        Event::Crash(r, code) => drop(engine.exit(&name(r), code)),
        Event::Vanish(r) => drop(engine.remove_behind(&name(r))),
        Event::Sicken(r) => drop(engine.set_health(&name(r), Health::Unhealthy)),
        Event::Outage(time, ends) => {
            if ends {
                engine.stop_engine()
            } else {
                engine.disconnect()
            };
            node.pass(Duration::from_millis(time)).await;
            engine.reconnect();
        }
        Event::Refuse(op) => {
            let message = "the engine has a bad day".to_owned();
            engine.fail_next(op, RuntimeError::Refused { status: 500, message });
        }
        Event::Slow(op, time) => drop(engine.delay(op, Duration::from_millis(time))),
        Event::Restart => node.restart().await,
        Event::Pass(time) => node.pass(Duration::from_millis(time)).await,
    }
}

async fn live(events: Vec<Event>) {
    let engine = FakeRuntime::new();
    // Every request takes its time, so that things happen in the middle of it.
    for (op, time) in [(Op::Pull, 900), (Op::Create, 300), (Op::Start, 400), (Op::Stop, 700)] {
        engine.delay(op, Duration::from_millis(time));
    }
    let mut generations = vec![1; REPLICAS];
    let first = (0..REPLICAS).map(|r| wanted(r, 1));
    let mut node = Node::start(&engine, sample::assignment(first));
    for event in events {
        happen(&mut node, &mut generations, event).await;
    }
    node.until("everything is as assigned", settled).await;
    node.pass(Duration::from_secs(60)).await;
    assert!(settled(&node), "{:#?}\n{:#?}", node.assignment().replicas, engine.containers());
    let said = node.log.len();
    node.pass(Duration::from_secs(120)).await;
    assert_eq!(node.log.len(), said, "silence: {:#?}", &node.log[said..]);
}

/// The engine has what is assigned, and state knows it.
fn settled(node: &Node<FakeRuntime>) -> bool {
    let assignment = node.assignment();
    let expected: BTreeMap<String, String> = assignment
        .replicas
        .values()
        .map(|r| (format!("jaco.{}", r.id), r.generation.to_string()))
        .collect();
    let containers = node.engine.containers();
    let found: BTreeMap<String, String> = containers
        .iter()
        .filter(|c| c.status == ContainerStatus::Running)
        .map(|c| (c.name.clone(), c.labels[label::GENERATION].clone()))
        .collect();
    let known = |r: &AssignedReplica| {
        let id = r.observed.container.as_ref();
        let state = (r.observed.generation, r.observed.state);
        r.intent == Intent::Run
            && state == (r.generation, ReplicaState::Running)
            && containers.iter().any(|c| Some(&c.id) == id)
    };
    containers.len() == expected.len()
        && found == expected
        && assignment.replicas.values().all(known)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn everything_comes_right_in_the_end(events in prop::collection::vec(event(), 0..25)) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(live(events));
    }
}

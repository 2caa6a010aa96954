//! A service that runs every quarter of a minute, while leaders die within the second of its ticks.
//!
//! The witnesses are the engines: their own events say how often a container of each tick was started.

use std::{collections::BTreeMap, time::SystemTime};

use jaco_api::model::Timestamp;
use jaco_e2e::{Fleet, Outcome, times};
use jaco_harness::{Container, Happening, Moment, Patience, Timeline, until};

use crate::stacks::shell;

/// Milliseconds between two ticks.
const PERIOD: u64 = 15_000;
/// How far apart the deaths of two rounds are within the second, in milliseconds.
const LATER: u64 = 45;

/// Says its tick and ends. It is never started again, so each tick is one start.
const SCRIPT: &str = "echo \"this is $$JACO_TICK\"";
const ONCE: &str = "    deploy:\n      restart_policy:\n        condition: none\n";
/// A run on the host that died waits for it, and holds nobody up.
const SCHEDULE: &str = "deployment: timed\nservices:\n  - name: app\n    schedule:\n      \
                        cron: \"*/15 * * * * *\"\n      concurrency: allow\n      history: 100\n";

pub(crate) fn a_tick_runs_once_though_the_leader_dies_within_its_second(
    fleet: &mut Fleet,
) -> Outcome {
    fleet.form()?;
    let timeline = Timeline::start(&fleet.engines(), "jaco.tick", &fleet.scratch()?)?;
    let stack = fleet.stack(SCHEDULE, &shell(SCRIPT, ONCE))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=60s"])?;
    let first = next_tick();
    let mut last = first;
    for round in 0..times(3, 20) as u64 {
        let leader = fleet.cluster().leader(&[0, 1, 2])?;
        last = next_tick();
        reached(Timestamp(last.0 + round * LATER))?;
        fleet.cluster_mut().node_mut(leader).kill()?;
        fleet.cluster_mut().node_mut(leader).start()?;
        fleet.cluster().ready(Patience::NORMAL)?;
    }
    all_completed(fleet, first, last)?;
    let containers = fleet.containers("app")?.concat();
    engines_agree(&containers, &timeline.so_far()?, first, last)
}

fn now() -> Timestamp {
    Timestamp::from_system_time(SystemTime::now())
}

fn next_tick() -> Timestamp {
    Timestamp((now().0 / PERIOD + 1) * PERIOD)
}

fn ticks(first: Timestamp, last: Timestamp) -> impl Iterator<Item = Timestamp> {
    (first.0 / PERIOD..=last.0 / PERIOD).map(|n| Timestamp(n * PERIOD))
}

fn reached(time: Timestamp) -> Outcome {
    Ok(until(Patience::NORMAL, "the tick to come", || match now() {
        now if now >= time => Ok(()),
        now => Err(format!("it is {now}")),
    })?)
}

/// What the cluster says: every tick has one run, and it has ended well.
fn all_completed(fleet: &Fleet, first: Timestamp, last: Timestamp) -> Outcome {
    fleet.cluster().until(Patience::LONG, "every run to have ended", || {
        let runs = fleet.cli(0).json(&["get", "runs", "timed/app"]).map_err(|e| e.to_string())?;
        let states: BTreeMap<&str, &str> = runs
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|run| Some((run["tick"].as_str()?, run["state"].as_str()?)))
            .collect();
        let done = |tick: Timestamp| states.get(&*tick.to_string()) == Some(&"completed");
        if ticks(first, last).all(done) { Ok(()) } else { Err(format!("{states:#?}")) }
    })?;
    Ok(())
}

/// What the engines say: one start for each tick, of a container that was told the tick.
fn engines_agree(
    containers: &[Container],
    happened: &[Happening],
    first: Timestamp,
    last: Timestamp,
) -> Outcome {
    let mut starts: BTreeMap<&str, Vec<&Happening>> = BTreeMap::new();
    for start in happened.iter().filter(|h| h.moment == Moment::Started) {
        let container = containers.iter().find(|c| c.id == start.container);
        // None of those that are looked at is gone: their runs are kept.
        let tick = container.and_then(|c| c.labels.get("jaco.tick")).map_or("", String::as_str);
        starts.entry(tick).or_default().push(start);
    }
    for tick in ticks(first, last).map(|tick| tick.to_string()) {
        let of_tick = starts.get(&*tick).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(of_tick.len(), 1, "{tick} was started: {of_tick:#?} of {starts:#?}");
        let told = format!("JACO_TICK={tick}");
        let container = containers.iter().find(|c| c.id == of_tick[0].container);
        assert!(container.is_some_and(|c| c.environment.contains(&told)), "{container:?}");
    }
    assert_eq!(starts.get("").map(Vec::len), None, "a container is gone: {starts:#?}");
    Ok(())
}

//! Ticks while leaders die.

use std::{collections::BTreeMap, time::Duration};

use jaco_api::model::{RunFate, Timestamp};
use jaco_runtime::container::label;
use jaco_sim::{
    scenario::{Deployment, Recipe},
    world::manifest::{PERIOD, manifest},
};

use crate::support::Sim;

const ROUNDS: u64 = 20;

/// The containers of each tick, of all hosts, that have been started.
fn started(sim: &Sim) -> BTreeMap<String, u32> {
    let mut of_tick = BTreeMap::new();
    for container in sim.hosts().iter().flat_map(|h| h.engine().containers()) {
        if let (Some(tick), Some(_)) = (container.labels.get(label::TICK), container.started_at) {
            *of_tick.entry(tick.clone()).or_default() += 1;
        }
    }
    of_tick
}

/// Each tick runs once, though the leader dies within its second, every time.
#[tokio::test(start_paused = true)]
async fn a_tick_runs_once_though_the_leader_dies_within_its_second() {
    let mut sim = Sim::of(3).await;
    // Two may run at once: a run on the host that died waits for it.
    let recipe = Recipe { on_failure: 2, ..Recipe::good(1, 1) };
    sim.client(0).apply(manifest(Deployment::Timed, &recipe, 3)).await.unwrap();
    let name = Deployment::Timed.name().parse().unwrap();
    let period = u64::try_from(PERIOD.as_millis()).unwrap();
    let now = |sim: &Sim| sim.host(0).clock().true_time().0;
    let first = now(&sim) / period + 1;
    for round in 0..ROUNDS {
        // Before the tick, at it, and at every stage of what follows from it.
        let offset = round * 45;
        let tick = (first + round) * period;
        let wait = (tick + offset).saturating_sub(100).saturating_sub(now(&sim));
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let leader = sim.leader().expect("somebody leads");
        sim.crash(leader).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        sim.start(leader).await.unwrap();
        sim.until("it to be back", |s| s.host(leader).status()?.caught_up.then_some(())).await;
        sim.until("a leader", |s| s.leader()).await;
    }
    let last = Timestamp((first + ROUNDS - 1) * period);
    let ended = |s: &Sim| {
        let state = s.state(s.leader()?);
        let ticks = &state.deployment(&name)?.ticks["app"];
        let open = ticks.runs.iter().filter(|r| r.tick <= last && state.is_open(r)).count();
        (ticks.last >= last && open == 0).then(|| (state.clone(), ticks.clone()))
    };
    let (state, ticks) = sim.until("every run to end", ended).await;
    let started = started(&sim);
    for tick in (first..first + ROUNDS).map(|n| Timestamp(n * period)) {
        let run = ticks.run(tick).unwrap_or_else(|| panic!("{tick} is lost: {ticks:#?}"));
        assert_eq!(run.fate, RunFate::Wanted, "{tick}");
        let replica = state.replica_of_run(run).expect("it is kept");
        assert!(replica.is_completed(), "{tick}: {:?}", replica.observed);
        assert_eq!(started.get(&tick.to_string()), Some(&1), "{tick}: {started:#?}");
    }
}

//! Every daemon and every engine stops, and starts again.

use jaco_e2e::{Fleet, Outcome, Replica};
use jaco_harness::{Moment, Patience, Timeline};
use serde_json::Value;

use super::lives::lives;
use crate::stacks::{named, pages};

const REPLICAS: usize = 6;
const LIVE: &str = "--live-restore";

pub(crate) fn a_full_stop_keeps_containers_and_state(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    full_stop(fleet, "")
}

/// With engines that leave containers running, nothing is even restarted.
pub(crate) fn a_full_stop_of_live_restoring_engines_touches_nothing(fleet: &mut Fleet) -> Outcome {
    restart_engines(fleet, LIVE)?;
    fleet.form()?;
    full_stop(fleet, LIVE)?;
    // The next scenario finds plain engines.
    fleet.cli(0).run(&["delete", "site", "--wait=60s"])?;
    restart_engines(fleet, "")
}

fn restart_engines(fleet: &mut Fleet, flags: &str) -> Outcome {
    for n in 0..3 {
        let host = fleet.cluster_mut().rig_mut().host_mut(n);
        host.stop_engine()?;
        host.start_engine_with(flags)?;
    }
    Ok(fleet.cluster().rig().hosts().iter().try_for_each(jaco_harness::Host::wait_for_engine)?)
}

/// What must survive: replicas with their generations and containers, the revision, the tokens.
#[derive(Debug, PartialEq)]
struct Kept {
    replicas: Vec<Replica>,
    revision: Value,
    tokens: Value,
}

impl Kept {
    fn by(fleet: &Fleet, n: usize) -> Outcome<Self> {
        let revision = fleet.active(n, "site")?["revision"].clone();
        let tokens = fleet.cli(n).json(&["token", "list"])?;
        Ok(Self { replicas: fleet.replicas(n)?, revision, tokens })
    }
}

fn full_stop(fleet: &mut Fleet, flags: &str) -> Outcome {
    let stack = fleet.stack(&named("site"), &pages("one", REPLICAS, ""))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    let before = Kept::by(fleet, 0)?;
    let alive = lives(fleet, "app")?;
    stop_everything(fleet)?;
    let (starts, restarts) = start_everything(fleet, flags)?;
    for n in 0..3 {
        assert_eq!(Kept::by(fleet, n)?, before, "node{} knows what it knew", n + 1);
    }
    let needed = if flags == LIVE { 0 } else { REPLICAS };
    assert_eq!(
        lives(fleet, "app")? == alive,
        flags == LIVE,
        "they live on if the engine lets them"
    );
    assert_eq!(starts, needed, "each container is started once, if its engine has stopped it");
    assert_eq!(restarts, 0, "and is not stopped again");
    Ok(())
}

fn stop_everything(fleet: &mut Fleet) -> Outcome {
    for node in fleet.cluster_mut().nodes_mut() {
        node.stop()?;
    }
    for n in 0..3 {
        fleet.cluster_mut().rig_mut().host_mut(n).stop_engine()?;
    }
    Ok(())
}

/// Starts everything again; returns how many containers were started and stopped on the way.
fn start_everything(fleet: &mut Fleet, flags: &str) -> Outcome<(usize, usize)> {
    for n in 0..3 {
        fleet.cluster_mut().rig_mut().host_mut(n).start_engine_with(flags)?;
    }
    fleet.cluster().rig().hosts().iter().try_for_each(jaco_harness::Host::wait_for_engine)?;
    let timeline = Timeline::start(&fleet.engines(), "jaco.service=app", &fleet.scratch()?)?;
    fleet.cluster_mut().start()?;
    fleet.cluster().ready(Patience::LONG)?;
    // What the cluster remembers of before is no proof: the engines are asked first.
    fleet.cluster().until(Patience::LONG, "every container to run", || {
        let counts = fleet.running("app").map_err(|error| error.to_string())?;
        if counts.iter().sum::<usize>() == REPLICAS { Ok(()) } else { Err(format!("{counts:?}")) }
    })?;
    fleet.until_replicas(0, Patience::LONG, "every replica to run", |rows| {
        rows.len() == REPLICAS && rows.iter().all(|r| r.state == "running" && r.health == "healthy")
    })?;
    let happened = timeline.so_far()?;
    let count = |moment| happened.iter().filter(|h| h.moment == moment).count();
    Ok((count(Moment::Started), count(Moment::Ended)))
}

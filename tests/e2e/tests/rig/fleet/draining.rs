//! Emptying a host: work runs elsewhere before it stops there.

use std::time::Instant;

use jaco_e2e::{Fleet, Outcome};
use jaco_harness::{Patience, Timeline, lowest};
use serde_json::Value;

use super::{serving::serving, updates::under_load};
use crate::stacks::{QUIET, named, pages, shell};

const REPLICAS: usize = 6;

/// The row of a node in `jaco node list`, as node `n` tells it.
pub(crate) fn row(fleet: &Fleet, n: usize, name: &str) -> Outcome<Value> {
    let list = fleet.cli(n).json(&["node", "list"])?;
    let row = list.as_array().into_iter().flatten().find(|row| row["name"] == name).cloned();
    Ok(row.ok_or_else(|| format!("{name} is not in {list}"))?)
}

pub(crate) fn a_drain_loses_nothing(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let stack = fleet.stack(&named("site"), &pages("one", REPLICAS, ""))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    let leader = fleet.cluster().leader(&[0, 1, 2])?;
    for (role, n) in [("follower", (leader + 1) % 3), ("leader", leader)] {
        let name = fleet.cluster().node(n).name().to_owned();
        let before = serving(fleet, 0)?;
        let timeline = Timeline::start(&fleet.engines(), "jaco.service=app", &fleet.scratch()?)?;
        let started = Instant::now();
        let requests = under_load(fleet, || {
            fleet.cli((n + 1) % 3).run(&["node", "drain", &name, "--wait=90s"])?;
            Ok(())
        })?;
        fleet.measured(&format!("{role} drained"), format!("{:.1?}", started.elapsed()));
        let failed = &requests.failed;
        assert!(failed.is_empty(), "{role}: {} failed: {failed:#?}", failed.len());
        assert!(requests.answered > 100, "{role}: {} were answered", requests.answered);
        let lowest = lowest(&before, &timeline.so_far()?, true);
        assert!(lowest >= REPLICAS, "{role}: went down to {lowest} of {REPLICAS}");
        let counts = fleet.running("app")?;
        assert_eq!((counts[n], counts.iter().sum()), (0, REPLICAS), "{role}: {counts:?}");
        for witness in 0..3 {
            let row = row(fleet, witness, &name)?;
            assert_eq!(row["replicas"], 0, "{role}: {row}");
            assert_ne!(row["status"], "ready", "{role}: still kept free: {row}");
        }
        fleet.cli(n).run(&["node", "uncordon", &name])?;
        fleet.cluster().ready(Patience::SHORT)?;
    }
    let audit = fleet.cli(0).json(&["audit", "--type", "node_drain"])?;
    assert!(audit.as_array().is_some_and(|events| events.len() >= 2), "{audit}");
    Ok(())
}

/// Data and pins keep a host from being emptied; the answer names each of them.
pub(crate) fn a_drain_that_cannot_be_says_why(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let jaco = "deployment: kept\nservices:\n  - { name: app, placement: hosts, hosts: [node2] }\n  \
                - { name: data, constraints: [\"node.hostname == node2\"] }\n";
    let data = "  data:\n    image: busybox:rig\n    pull_policy: never\n    stop_grace_period: 1s\n    \
                command: [\"sh\", \"-c\", \"trap 'exit 0' TERM; sleep 86400 & wait $$!\"]\n    \
                volumes: [\"store:/tmp/store\"]\nvolumes:\n  store:\n";
    let stack = fleet.stack(jaco, &format!("{}{data}", shell(QUIET, "")))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=60s"])?;
    let free = fleet.stack(&named("free"), &pages("one", 3, ""))?;
    fleet.cli(0).run(&["apply", &free.manifest(), "--wait=60s"])?;
    let before = fleet.engine(1).containers(None)?;

    let drain = fleet.cli(2).try_run(&["node", "drain", "node2", "--wait=30s"])?;
    assert_eq!((drain.code, drain.error_code()), (1, Some("drain_blocked")), "{drain:?}");
    for replica in ["kept.app.1", "kept.data.1"] {
        assert!(drain.stderr.contains(replica), "{replica} is named: {drain:?}");
    }
    assert!(!drain.stderr.contains("free.app"), "what can move is no obstacle: {drain:?}");
    assert_eq!(fleet.engine(1).containers(None)?, before, "a refused drain moves nothing");
    assert_eq!(row(fleet, 0, "node2")?["status"], "ready");

    fleet.cli(2).run(&["node", "drain", "node2", "--force", "--wait=60s"])?;
    fleet.until_replicas(0, Patience::NORMAL, "what can move to run elsewhere", |rows| {
        let free = rows.iter().filter(|r| r.id.starts_with("free."));
        free.clone().count() == 3 && free.clone().all(|r| r.node != "node2" && r.state == "running")
    })?;
    let volumes = fleet.engine(1).volumes()?;
    assert_eq!(volumes, ["jaco_kept_store"], "data stays where it is");
    fleet.cli(0).run(&["node", "uncordon", "node2"])?;
    fleet.active(0, "kept")?;
    Ok(())
}

/// A drain outlives the leader that began it, and can be called off.
pub(crate) fn an_interrupted_drain_goes_on(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let replicas = 12;
    let stack = fleet.stack(&named("site"), &pages("one", replicas, ""))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    let leader = fleet.cluster().leader(&[0, 1, 2])?;
    let (drained, witness) = ((leader + 1) % 3, (leader + 2) % 3);
    let name = fleet.cluster().node(drained).name().to_owned();
    let here = |fleet: &Fleet| -> Result<usize, String> {
        let rows = fleet.replicas(witness).map_err(|error| error.to_string())?;
        Ok(rows.iter().filter(|r| r.node == name).count())
    };
    let before = here(fleet)?;
    assert_eq!(before, replicas / 3);

    fleet.cli(witness).run(&["node", "drain", &name])?;
    fleet.cluster().until(Patience::NORMAL, "the first to have moved", || match here(fleet)? {
        n if n < before => Ok(()),
        n => Err(format!("{n} of {before} are still there")),
    })?;
    fleet.cluster_mut().node_mut(leader).kill()?;
    fleet.cluster().until(Patience::LONG, "all to have moved", || match here(fleet)? {
        0 => Ok(()),
        n => Err(format!("{n} of {before} are still there")),
    })?;
    fleet.cluster_mut().node_mut(leader).start()?;
    fleet.until_replicas(witness, Patience::LONG, "all to run", |rows| {
        rows.iter().filter(|r| r.state == "running").count() == replicas
    })?;
    assert_eq!(fleet.running("app")?[drained], 0);
    fleet.cli(leader).run(&["node", "uncordon", &name])?;
    fleet.cluster().ready(Patience::NORMAL)?;

    // Called off: what has not moved yet stays.
    let full = (drained + 1) % 3;
    let name = fleet.cluster().node(full).name().to_owned();
    fleet.cli(witness).run(&["node", "drain", &name])?;
    fleet.cli(witness).run(&["node", "uncordon", &name])?;
    fleet.cluster().ready(Patience::NORMAL)?;
    fleet.until_replicas(witness, Patience::LONG, "all to run after all", |rows| {
        rows.len() == replicas && rows.iter().all(|r| r.state == "running")
    })?;
    assert!(fleet.running("app")?[full] > 0, "some have stayed");
    Ok(())
}

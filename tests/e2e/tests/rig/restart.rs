//! The daemon and the engine come and go; the containers stay what they were.

use std::{collections::BTreeSet, fs, time::Duration};

use jaco_e2e::{Bench, Outcome, observe};
use jaco_harness::{Patience, until};

type Lives = BTreeSet<(String, String)>;

/// Which containers run, and since when.
fn lives(bench: &Bench) -> Outcome<Lives> {
    let all = bench.engine().containers(None)?;
    Ok(all.into_iter().map(|c| (c.id, c.started_at)).collect())
}

pub(crate) fn restarts_and_upgrades_leave_containers_alone(bench: &mut Bench) -> Outcome {
    bench.cluster()?;
    let shop = bench.example("shop")?;
    bench.cli().run(&["apply", &shop.manifest(), "--wait=90s"])?;
    let before = lives(bench)?;
    assert_eq!(before.len(), 6);

    let took = bench.node_mut().stop()?;
    bench.measured("clean stop", format!("{took:.1?}"));
    assert_eq!(lives(bench)?, before, "stopping the daemon stops nothing else");
    bench.node_mut().start()?;
    settle(bench, &before)?;

    bench.node_mut().kill()?;
    bench.node_mut().start()?;
    settle(bench, &before)?;

    // An upgrade in place: another file, started over the same data.
    bench.node_mut().stop()?;
    let new = bench.scratch()?.join("jacod-new");
    let node = bench.node_mut();
    fs::copy(&node.binaries_mut().jacod, &new)?;
    node.binaries_mut().jacod = new;
    node.start()?;
    settle(bench, &before)?;
    let status = bench.cli().json(&["get", "deployments"])?;
    assert_eq!(status[0]["revision"], 1, "{status}");
    Ok(())
}

/// The deployment is active again, and for a while nothing is touched.
fn settle(bench: &Bench, before: &Lives) -> Outcome {
    bench.active("shop")?;
    observe(Duration::from_secs(5), || {
        let now = lives(bench)?;
        if now == *before { Ok(()) } else { Err(format!("{before:?}\nbecame\n{now:?}").into()) }
    })?;
    let replicas = bench.cli().json(&["get", "replicas"])?;
    let generations = replicas.as_array().into_iter().flatten().map(|r| r["generation"].as_u64());
    assert!(generations.into_iter().all(|g| g == Some(1)), "{replicas}");
    Ok(())
}

pub(crate) fn an_engine_that_comes_back_is_used_again(bench: &mut Bench) -> Outcome {
    bench.cluster()?;
    let shop = bench.example("shop")?;
    bench.cli().run(&["apply", &shop.manifest(), "--wait=90s"])?;

    for kill in [false, true] {
        if kill {
            bench.host_mut().kill_engine()?;
        } else {
            bench.host_mut().stop_engine()?;
        }
        let node = bench.node();
        node.wait_for(Patience::NORMAL, "the node to be degraded", &["cluster", "status"], |s| {
            s["members"][0]["status"] == "degraded"
        })?;
        let list = bench.cli().json(&["get", "deployments"])?;
        assert_eq!(list[0]["name"], "shop", "the daemon answers without its engine: {list}");

        bench.host_mut().start_engine()?;
        bench.host().wait_for_engine()?;
        bench.node().wait_for(Patience::LONG, "ready again", &["cluster", "status"], |s| {
            s["members"][0]["status"] == "ready"
        })?;
        bench.active("shop")?;
        let engine = bench.engine();
        until(Patience::NORMAL, "one container per replica", || {
            let all = engine.containers(None).map_err(|error| error.to_string())?;
            let running = all.iter().filter(|c| c.status == "running").count();
            if (all.len(), running) == (6, 6) { Ok(()) } else { Err(format!("{all:?}")) }
        })?;
    }
    Ok(())
}

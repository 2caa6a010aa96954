//! Thirty replicas on three hosts, on two, and when the third comes back.

use std::time::{Duration, Instant, SystemTime};

use jaco_e2e::{Fleet, Outcome, Replica, times};
use jaco_harness::Patience;

use super::lives::lives;
use crate::stacks::{many, named};

const REPLICAS: usize = 30;
const OUT_OF_STATUS: Duration = Duration::from_secs(5);
/// By the engines, as Swarm is measured.
const ELSEWHERE: Duration = Duration::from_secs(10);
/// So much later status says so: a container without a check has to run for two seconds.
const SETTLED: Duration = Duration::from_secs(2);

fn running(rows: &[Replica]) -> usize {
    rows.iter().filter(|r| r.state == "running").count()
}

pub(crate) fn replicas_of_a_lost_host_run_elsewhere(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let stack = fleet.stack(&named("fleet"), &many(REPLICAS, ""))?;
    let started = Instant::now();
    fleet.cli(0).run(&["apply", &stack.manifest()])?;
    fleet.until_replicas(0, Patience::LONG, "30 replicas to run", |r| running(r) == REPLICAS)?;
    fleet.measured("apply 30 replicas → all run", format!("{:.1?}", started.elapsed()));
    assert_eq!(fleet.running("app")?, [10, 10, 10], "spread evenly, as the engines see it");
    for n in 0..3 {
        let rows = fleet.replicas(n)?;
        for node in ["node1", "node2", "node3"] {
            let here = rows.iter().filter(|r| r.node == node).count();
            assert_eq!(here, 10, "node{} says so of {node}: {rows:#?}", n + 1);
        }
    }
    for round in 0..times(2, 4) {
        let leader = fleet.cluster().leader(&[0, 1, 2])?;
        // Once a follower, once the leader, and so on.
        let lost = if round % 2 == 0 { (leader + 1) % 3 } else { leader };
        lose(fleet, lost, if lost == leader { "leader" } else { "follower" })?;
        // Back to even: moving is for the rebalancer, restarting the service spreads it again.
        fleet.cli(0).run(&["stop", "fleet", "--wait=60s"])?;
        fleet.cli(0).run(&["start", "fleet", "--wait=60s"])?;
        assert_eq!(fleet.running("app")?, [10, 10, 10], "spread evenly again");
    }
    Ok(())
}

/// Cuts one host off, sees its work taken over, and lets it come back.
fn lose(fleet: &Fleet, lost: usize, role: &str) -> Outcome {
    let before = lives(fleet, "app")?;
    let name = fleet.cluster().node(lost).name().to_owned();
    let witness = (lost + 1) % 3;
    let (cut, cut_at) = (Instant::now(), SystemTime::now());
    fleet.cluster().rig().host(lost).cut()?;
    fleet.until_replicas(witness, Patience::NORMAL, "none to run on the lost host", |rows| {
        rows.iter().all(|r| r.node != name || r.state != "running")
    })?;
    let out = cut.elapsed();
    let stayed: Vec<usize> = (0..3).filter(|n| *n != lost).collect();
    fleet.until_replicas(witness, Patience::LONG, "30 to run on two hosts", |rows| {
        rows.iter().filter(|r| r.node != name && r.state == "running").count() == REPLICAS
    })?;
    let told = cut.elapsed();
    let taken_over = lives(fleet, "app")?;
    let elsewhere =
        last_start(stayed.iter().flat_map(|n| taken_over[*n].values()))?.duration_since(cut_at)?;
    fleet.measured(&format!("{role} cut off → out of status"), format!("{out:.1?}"));
    fleet.measured(&format!("{role} cut off → 30 run elsewhere"), format!("{elsewhere:.1?}"));
    fleet.measured(&format!("{role} cut off → status says so"), format!("{told:.1?}"));
    let counts = fleet.running("app")?;
    assert!(stayed.iter().all(|n| counts[*n] == 15), "shared by the two: {counts:?}");
    assert_eq!(counts[lost], 10, "who is cut off goes on: {counts:?}");

    fleet.cluster().rig().host(lost).heal()?;
    fleet.cluster().ready(Patience::NORMAL)?;
    fleet.cluster().until(Patience::NORMAL, "one container per replica", || {
        let counts = fleet.running("app").map_err(|error| error.to_string())?;
        if counts.iter().sum::<usize>() == REPLICAS { Ok(()) } else { Err(format!("{counts:?}")) }
    })?;
    let after = lives(fleet, "app")?;
    for n in stayed {
        assert_eq!(after[n], taken_over[n], "nothing was restarted on node{}", n + 1);
        let same = before[n].iter().all(|(id, at)| after[n].get(id) == Some(at));
        assert!(same, "what ran on node{} before the cut still does", n + 1);
    }
    assert!(out <= OUT_OF_STATUS, "{role}: out of status after {out:?}");
    assert!(elsewhere <= ELSEWHERE, "{role}: elsewhere after {elsewhere:?}");
    assert!(told <= ELSEWHERE + SETTLED, "{role}: said to be elsewhere after {told:?}");
    Ok(())
}

/// When the last of these started, as the engine writes it.
fn last_start<'a>(starts: impl Iterator<Item = &'a String>) -> Outcome<SystemTime> {
    let starts =
        starts.map(|start| humantime::parse_rfc3339(start)).collect::<Result<Vec<_>, _>>()?;
    starts.into_iter().max().ok_or_else(|| "nothing was started".into())
}

/// A host whose engine is gone can run nothing, though its daemon is well.
pub(crate) fn replicas_of_a_dead_engine_run_elsewhere(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let stack = fleet.stack(&named("fleet"), &many(6, ""))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=60s"])?;
    let lost = (fleet.cluster().leader(&[0, 1, 2])? + 1) % 3;
    let name = fleet.cluster().node(lost).name().to_owned();
    let stopped = Instant::now();
    fleet.cluster_mut().rig_mut().host_mut(lost).stop_engine()?;
    fleet.until_replicas(lost, Patience::NORMAL, "six to run on two hosts", |rows| {
        rows.iter().filter(|r| r.node != name && r.state == "running").count() == 6
    })?;
    fleet.measured("engine stopped → all run elsewhere", format!("{:.1?}", stopped.elapsed()));
    let list = fleet.cli(lost).json(&["node", "list"])?;
    let row = list.as_array().into_iter().flatten().find(|row| row["name"] == name.as_str());
    assert!(row.is_some_and(|row| row["status"] == "degraded"), "{list}");

    fleet.cluster_mut().rig_mut().revive()?;
    fleet.cluster().ready(Patience::NORMAL)?;
    fleet.cluster().until(Patience::NORMAL, "one container per replica", || {
        let counts: Vec<usize> = fleet
            .containers("app")
            .map_err(|error| error.to_string())?
            .iter()
            .map(Vec::len)
            .collect();
        if counts.iter().sum::<usize>() == 6 { Ok(()) } else { Err(format!("{counts:?}")) }
    })?;
    Ok(())
}

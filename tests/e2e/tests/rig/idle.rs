//! What it costs when nothing happens.

use std::{fs, time::Duration};

use jaco_e2e::{Bench, Outcome, observe};

use crate::stacks::{named, shell};

const REPLICAS: u32 = 50;
const WATCHED: Duration = Duration::from_secs(60);

/// Processor time of a process in clock ticks (100 per second on Linux).
fn ticks(pid: i32) -> Outcome<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(") ").ok_or("odd stat")?.1.split(' ').collect();
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}

/// A size of a process in KiB: `VmRSS`, `RssAnon` or `RssFile`.
fn kib(pid: i32, key: &str) -> Outcome<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with(key)).ok_or("no such size")?;
    Ok(line.split_whitespace().nth(1).ok_or("an odd size")?.parse()?)
}

pub(crate) fn fifty_replicas_cost_nothing(bench: &mut Bench) -> Outcome {
    bench.cluster()?;
    let many = format!("    deploy:\n      replicas: {REPLICAS}\n");
    // One process per container, and no health check: what is measured is ours.
    let stack = bench.stack(&named("idle"), &shell("exec sleep 86400", &many))?;
    bench.cli().run(&["apply", &stack.manifest(), "--wait=5m"])?;
    bench.active("idle")?;
    // What follows the last start (the verdict after 2 s, a debounce) belongs to the start.
    observe(Duration::from_secs(10), || Ok(()))?;

    let commit = |bench: &Bench| -> Outcome<(u64, u64)> {
        let status = bench.cli().json(&["cluster", "status"])?;
        Ok((
            status["commit_index"].as_u64().ok_or("no index")?,
            status["term"].as_u64().ok_or("no term")?,
        ))
    };
    let pid = bench.node_mut().process().ok_or("it runs")?.pid();
    let before = commit(bench)?;
    let (ticks_before, started) = (ticks(pid)?, std::time::Instant::now());
    observe(WATCHED, || Ok(()))?;
    let used = ticks(pid)? - ticks_before;
    let share = used as f64 / started.elapsed().as_secs_f64();
    let resident = kib(pid, "VmRSS:")?;
    let after = commit(bench)?;

    bench.measured("raft entries in 60 s", after.0 - before.0);
    bench.measured("processor", format!("{share:.2} % of one core"));
    bench.measured("resident memory", format!("{:.1} MiB", resident as f64 / 1024.0));
    let parts = (kib(pid, "RssAnon:")?, kib(pid, "RssFile:")?);
    bench.measured("of that", format!("{} KiB data, {} KiB program", parts.0, parts.1));
    assert_eq!(after, before, "an idle cluster writes nothing");
    assert!(share < 1.0, "{share:.2} % of one core");
    assert!(resident < 50 * 1024, "{resident} KiB");
    Ok(())
}

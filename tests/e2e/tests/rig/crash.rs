//! Killed at any moment, again and again.

use std::{
    collections::BTreeSet,
    process::Stdio,
    time::{Duration, Instant},
};

use jaco_e2e::{Bench, Outcome};
use jaco_harness::{Patience, Stack, until};
use rand::RngExt as _;
use serde_json::Value;

use crate::stacks::{FOREVER, named, shell};

const APPLIES: u64 = 300;

fn numbered(n: u64) -> String {
    let further = format!(
        "    environment:\n      NUMBER: \"{n}\"\n    deploy:\n      update_config:\n        monitor: 0s\n"
    );
    shell(FOREVER, &further)
}

/// Applies once; the revision when that was acknowledged.
fn apply(bench: &mut Bench, stack: &Stack, kill_after: Option<Duration>) -> Outcome<Option<u64>> {
    let mut command = bench.cli().command(&["apply", &stack.manifest(), "-o", "json"]);
    let child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(pause) = kill_after {
        let started = Instant::now();
        while started.elapsed() < pause {
            std::hint::spin_loop();
        }
        bench.node_mut().kill()?;
        bench.node_mut().start()?;
    }
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Ok(None);
    }
    let answer: Value = serde_json::from_str(&text)?;
    Ok(answer["revision"].as_u64())
}

pub(crate) fn nothing_acknowledged_is_lost_when_killed(bench: &mut Bench) -> Outcome {
    bench.cluster()?;
    let stack = bench.stack(&named("crash"), &numbered(0))?;
    let mut random = rand::rng();
    let (mut acknowledged, mut newest, mut kills) = (BTreeSet::new(), 0, 0);
    for n in 1..=APPLIES {
        stack.put("compose.yml", numbered(n))?;
        let kill = random.random_ratio(1, 5);
        kills += u32::from(kill);
        let pause = kill.then(|| Duration::from_micros(random.random_range(0..60_000)));
        let revision = apply(bench, &stack, pause)?;
        if let Some(revision) = revision {
            assert!(revision > newest, "apply {n} got revision {revision} after {newest}");
            assert!(acknowledged.insert(revision), "revision {revision} was given twice");
            newest = revision;
        }
        if kill {
            let list = bench.cli().json(&["get", "deployments"])?;
            let present = list[0]["revision"].as_u64().unwrap_or(0);
            assert!(present >= newest, "revision {newest} was acknowledged; {present} is in force");
        }
    }
    bench.measured("applies acknowledged", format!("{} of {APPLIES}", acknowledged.len()));
    bench.measured("kills", kills);

    stack.put("compose.yml", numbered(APPLIES + 1))?;
    bench.cli().run(&["apply", &stack.manifest(), "--wait=90s"])?;
    let engine = bench.engine();
    until(Patience::LONG, "one container, the newest, and no other", || {
        let all = engine.containers(None).map_err(|error| error.to_string())?;
        let newest = format!("NUMBER={}", APPLIES + 1);
        let fine = all.len() == 1 && all[0].environment.contains(&newest);
        if fine { Ok(()) } else { Err(format!("{all:?}")) }
    })?;
    let history = bench.cli().json(&["history", "crash"])?;
    let numbers = history.as_array().into_iter().flatten().map(|r| r["number"].as_u64());
    let numbers: Vec<u64> = numbers.flatten().collect();
    assert!(
        numbers.windows(2).all(|pair| pair[0] > pair[1]),
        "newest first, none twice: {numbers:?}"
    );
    assert_eq!(numbers.len(), 10, "ten revisions are kept");
    bench.cli().run(&["delete", "crash", "--wait=60s"])?;
    bench.nothing_left(true)
}

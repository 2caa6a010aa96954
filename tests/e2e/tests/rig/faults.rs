//! Containers that do not do what they should: states, reasons, exit codes, last words.

use jaco_e2e::{Bench, Outcome};
use jaco_harness::Patience;
use serde_json::Value;

use crate::stacks::{FOREVER, named, shell};

const APP: &str = "faulty.app.1";

fn apply(bench: &mut Bench, script: &str, further: &str) -> Outcome {
    bench.cluster()?;
    let stack = bench.stack(&named("faulty"), &shell(script, further))?;
    bench.cli().run(&["apply", &stack.manifest()])?;
    Ok(())
}

fn given_up(bench: &Bench) -> Outcome<Value> {
    bench.replica(Patience::LONG, APP, "the replica to be given up", |r| r["state"] == "failed")?;
    let replica = bench.cli().json(&["get", "replica", APP])?;
    assert_eq!(replica["reason"]["code"], "restart_exhausted", "{replica}");
    let list = bench.cli().json(&["get", "deployments"])?;
    assert_eq!(list[0]["state"], "failed", "{list}");
    Ok(replica)
}

pub(crate) fn a_container_that_exits_is_given_up_after_three_times(bench: &mut Bench) -> Outcome {
    let started = std::time::Instant::now();
    apply(bench, "echo first; echo last words; exit 3", "")?;
    bench.replica(Patience::NORMAL, APP, "an exit to be seen", |r| r["exit_code"] == 3)?;
    let replica = given_up(bench)?;
    // Three attempts with pauses of 1 s and 2 s between them.
    let took = started.elapsed();
    bench.measured("exit → given up", format!("{took:.1?}"));
    assert!(took.as_secs_f32() >= 2.9, "it is given pauses of 1 s and 2 s: {took:?}");
    assert_eq!(replica["exit_code"], 3, "{replica}");
    assert_eq!(replica["oom_killed"], false, "{replica}");
    let tail = replica["log_tail"].as_array().cloned().unwrap_or_default();
    assert!(tail.iter().any(|l| l.as_str().is_some_and(|l| l.contains("last words"))), "{replica}");
    let wait = bench.cli().try_run(&["wait", "faulty", "--for", "running", "--timeout", "5s"])?;
    assert_eq!(wait.code, 1, "{wait:?}");
    assert!(wait.stderr.contains("restart_exhausted"), "the reason is printed: {wait:?}");

    // The next apply gives it another chance.
    let stack = bench.stack(&named("faulty"), &shell(FOREVER, ""))?;
    bench.cli().run(&["apply", &stack.manifest(), "--wait=60s"])?;
    bench.active("faulty")?;
    let events = bench.cli().json(&["events", "faulty"])?;
    assert!(events.to_string().contains("restart_exhausted"), "{events}");
    Ok(())
}

pub(crate) fn a_container_that_eats_memory_is_reported_as_such(bench: &mut Bench) -> Outcome {
    let limit = "    deploy:\n      resources:\n        limits:\n          memory: 16M\n";
    apply(bench, "echo hungry; tail /dev/zero", limit)?;
    let replica = given_up(bench)?;
    assert_eq!(replica["oom_killed"], true, "{replica}");
    assert_eq!(replica["exit_code"], 137, "{replica}");
    let message = replica["reason"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("memory"), "people read that it ran out of memory: {message:?}");
    Ok(())
}

pub(crate) fn a_container_that_is_never_healthy_is_given_up(bench: &mut Bench) -> Outcome {
    let check = "    healthcheck:\n      test: [\"CMD-SHELL\", \"echo no way; exit 1\"]\n      \
                 interval: 1s\n      timeout: 1s\n      retries: 2\n";
    apply(bench, FOREVER, check)?;
    bench.replica(Patience::NORMAL, APP, "the verdict to be seen", |r| {
        r["reason"]["code"] == "healthcheck_failed" || r["health"] == "unhealthy"
    })?;
    let replica = given_up(bench)?;
    let message = replica["reason"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("health"), "people read what was wrong: {message:?}");
    Ok(())
}

pub(crate) fn a_flapping_health_check_is_seen(bench: &mut Bench) -> Outcome {
    // Healthy at first and whenever the file is there.
    let check = "    healthcheck:\n      test: [\"CMD-SHELL\", \"test -f /tmp/well\"]\n      \
                 interval: 1s\n      timeout: 1s\n      retries: 1\n      start_period: 5s\n";
    apply(bench, &format!("touch /tmp/well; {FOREVER}"), check)?;
    bench.active("faulty")?;
    let first = bench.containers("app")?;
    bench.engine().docker(&["exec", &first[0].id, "sh", "-c", "rm /tmp/well"])?;
    let restarted =
        bench.replica(Patience::NORMAL, APP, "an unhealthy one to be restarted", |r| {
            r["restarts"].as_u64() >= Some(1)
        })?;
    assert_eq!(restarted["generation"], 1, "a restart is not another generation: {restarted}");
    bench.active("faulty")?;
    let replica = bench.cli().json(&["get", "replica", APP])?;
    assert_eq!((&replica["state"], &replica["health"]), (&"running".into(), &"healthy".into()));
    let events = bench.cli().json(&["events", "faulty"])?;
    assert!(events.to_string().contains("healthcheck_failed"), "{events}");
    Ok(())
}

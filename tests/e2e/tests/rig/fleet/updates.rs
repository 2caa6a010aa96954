//! New versions over three hosts: good ones fail no request, bad ones take nothing away.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use jaco_e2e::{Fleet, Outcome, observe};
use jaco_harness::{Load, Patience, Requests, Stack, Targets, Timeline, lowest};
use serde_json::Value;

use super::serving::{follow, serving};
use crate::stacks::{QUIET, named, pages, shell};

const REPLICAS: usize = 6;
const PER_SECOND: u32 = 50;

fn deploy(fleet: &mut Fleet) -> Outcome<Stack> {
    fleet.form()?;
    let stack = fleet.stack(&named("site"), &pages("one", REPLICAS, ""))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    assert_eq!(fleet.running("app")?, [2, 2, 2], "spread over the hosts");
    Ok(stack)
}

/// Does `work` while requests are sent to whoever serves.
pub(crate) fn under_load(fleet: &Fleet, work: impl FnOnce() -> Outcome) -> Outcome<Requests> {
    let (targets, stop) = (Targets::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let follower = follow(scope, fleet, 0, &targets, &stop);
        let outcome = fleet
            .cluster()
            .until(Patience::NORMAL, "somebody to serve", || match targets.count() {
                0 => Err("nobody".to_owned()),
                _ => Ok(()),
            })
            .map_err(Into::into)
            .and_then(|()| {
                let load = Load::start(PER_SECOND, &targets);
                let worked = work();
                // What the last change does to requests belongs to it.
                let watched = observe(Duration::from_secs(3), || Ok(()));
                worked.and(watched).map(|()| load.finish())
            });
        stop.store(true, Ordering::Relaxed);
        let followed = follower.join().unwrap_or_else(|_| Err("the follower panicked".into()));
        outcome.and_then(|requests| followed.map(|()| requests))
    })
}

pub(crate) fn a_rolling_update_fails_no_request(fleet: &mut Fleet) -> Outcome {
    let stack = deploy(fleet)?;
    let before = serving(fleet, 0)?;
    let timeline = Timeline::start(&fleet.engines(), "jaco.service=app", &fleet.scratch()?)?;
    stack.put("compose.yml", pages("two", REPLICAS, ""))?;
    let requests = under_load(fleet, || {
        fleet.cli(1).run(&["apply", &stack.manifest(), "--wait=3m"])?;
        Ok(())
    })?;
    fleet.measured("requests answered", requests.answered);
    fleet.measured("slowest answer", format!("{:.0?}", requests.slowest));
    assert!(requests.failed.is_empty(), "{} failed: {:#?}", requests.failed.len(), requests.failed);
    assert!(requests.answered > 100, "{} were answered", requests.answered);
    let lowest = lowest(&before, &timeline.so_far()?, true);
    assert!(lowest >= REPLICAS, "start-first went down to {lowest} of {REPLICAS}");
    let now = serving(fleet, 0)?;
    assert!(now.is_disjoint(&before) && now.len() == REPLICAS, "every one is new: {now:?}");
    Ok(())
}

pub(crate) fn a_version_that_does_not_work_takes_nothing_away(fleet: &mut Fleet) -> Outcome {
    let stack = deploy(fleet)?;
    let good = pages("one", REPLICAS, "");
    let wrong_tag = good.replace("busybox:rig", "busybox:nowhere");
    let unhealthy = good.replace("http://127.0.0.1:8080/", "http://127.0.0.1:8081/");
    let crashing = good.replace("sleep 86400 & wait $$!", "echo I give up; exit 7");
    assert!([&wrong_tag, &unhealthy, &crashing].iter().all(|bad| **bad != good));
    for (what, compose, reason) in [
        ("a wrong tag", wrong_tag, "nowhere"),
        ("a failing health check", unhealthy, "health"),
        ("a crash loop", crashing, "7"),
    ] {
        let before = serving(fleet, 0)?;
        let timeline = Timeline::start(&fleet.engines(), "jaco.service=app", &fleet.scratch()?)?;
        stack.put("compose.yml", compose)?;
        let applied = fleet.cli(2).json(&["apply", &stack.manifest()])?;
        let bad = applied["revision"].as_u64().ok_or("no revision")?;
        let row = given_up(fleet, what, bad)?;
        let said = row["rollout"]["reason"].as_str().unwrap_or_default();
        assert!(said.contains(reason), "{what}: the reason is shown: {row}");
        let lowest = lowest(&before, &timeline.so_far()?, true);
        assert!(lowest >= REPLICAS, "{what}: went down to {lowest} of {REPLICAS}");
        assert_eq!(serving(fleet, 1)?, before, "{what}: the old ones serve, untouched");
        fleet.cluster().until(Patience::NORMAL, "nothing of it to be left", || {
            let counts: Vec<usize> = fleet
                .containers("app")
                .map_err(|error| error.to_string())?
                .iter()
                .map(Vec::len)
                .collect();
            if counts == [2, 2, 2] { Ok(()) } else { Err(format!("{counts:?}")) }
        })?;
    }
    Ok(())
}

/// Waits until a revision was given up and the one before it is in force again, in the eyes of all.
fn given_up(fleet: &Fleet, what: &str, bad: u64) -> Outcome<Value> {
    let mut seen = Value::Null;
    let what = format!("{what} to be rolled back");
    fleet.cluster().everywhere(
        &[0, 1, 2],
        Patience::LONG,
        &what,
        &["get", "deployments"],
        |list| {
            seen = list[0].clone();
            list[0]["revision"].as_u64() == Some(bad + 1)
                && list[0]["state"] == "active"
                && list[0]["rollout"]["phase"] == "failed"
        },
    )?;
    Ok(seen)
}

/// Stop-first goes down by as many as may be replaced at once, and no further.
pub(crate) fn a_stop_first_update_keeps_its_floor(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let order = |greeting: &str| {
        let further = format!(
            "    environment:\n      GREETING: {greeting}\n    deploy:\n      replicas: {REPLICAS}\n      \
             update_config:\n        order: stop-first\n        parallelism: 1\n        monitor: 1s\n"
        );
        shell(QUIET, &further)
    };
    let stack = fleet.stack(&named("site"), &order("one"))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=60s"])?;
    let before = fleet.containers("app")?.into_iter().flatten().map(|c| c.id).collect();
    let timeline = Timeline::start(&fleet.engines(), "jaco.service=app", &fleet.scratch()?)?;
    stack.put("compose.yml", order("two"))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=3m"])?;
    let lowest = lowest(&before, &timeline.so_far()?, false);
    assert_eq!(lowest, REPLICAS - 1, "one at a time");
    assert_eq!(fleet.running("app")?, [2, 2, 2]);
    Ok(())
}

//! Commands that run in containers after their start and before their stop.

use jaco_e2e::{Bench, Outcome};
use jaco_harness::Patience;

use crate::stacks::named;

const COMPOSE: &str = "\
services:
  app:
    image: busybox:rig
    pull_policy: never
    command: [sh, -c, \"trap 'exit 0' TERM; while :; do sleep 1 & wait $$!; done\"]
    environment: {VERSION: one}
    volumes: [data:/data]
    post_start:
      - command: [sh, -c, 'echo started $$VERSION >> /data/log']
      - command: sh -c 'echo $$WORD > /ready'
        environment: {WORD: ready}
    pre_stop:
      - command: [sh, -c, 'echo leaving $$VERSION >> log']
        working_dir: /data
    deploy:
      update_config: {monitor: 2s}
volumes:
  data:
";

const APP: &str = "hooked.app.1";

/// A file of the container.
fn read(bench: &Bench, path: &str) -> Outcome<String> {
    Ok(bench.cli().run(&["exec", APP, "--", "cat", path])?.stdout)
}

pub(crate) fn hooks_run_once_for_each_start_and_stop(bench: &mut Bench) -> Outcome {
    bench.cluster()?;
    let stack = bench.stack(&named("hooked"), COMPOSE)?;
    bench.cli().run(&["apply", &stack.manifest(), "--wait=60s"])?;
    assert_eq!(read(bench, "/ready")?, "ready\n");
    assert_eq!(read(bench, "/data/log")?, "started one\n");

    // A daemon that comes back finds what is done.
    bench.node_mut().kill()?;
    bench.node_mut().start()?;
    bench.active("hooked")?;
    assert_eq!(read(bench, "/data/log")?, "started one\n");

    stack.edit("compose.yml", "VERSION: one", "VERSION: two")?;
    bench.cli().run(&["apply", &stack.manifest(), "--wait=60s"])?;
    assert_eq!(read(bench, "/data/log")?, "started one\nleaving one\nstarted two\n");

    bench.cli().run(&["delete", "hooked", "--volumes", "--wait=60s"])?;
    bench.nothing_left(true)
}

pub(crate) fn a_hook_that_fails_rolls_back_with_its_words(bench: &mut Bench) -> Outcome {
    bench.cluster()?;
    let stack = bench.stack(&named("hooked"), COMPOSE)?;
    bench.cli().run(&["apply", &stack.manifest(), "--wait=60s"])?;
    stack.edit("compose.yml", "echo $$WORD > /ready", "echo no schema $$WORD >&2; exit 5")?;
    let started = std::time::Instant::now();
    bench.cli().run(&["apply", &stack.manifest()])?;
    let list = ["get", "deployments"];
    let rolled = bench.node().wait_for(Patience::LONG, "the rollback", &list, |list| {
        list[0]["revision"] == 3 && list[0]["state"] != "updating"
    })?;
    bench.measured("failing hook → rolled back", format!("{:.1?}", started.elapsed()));
    let rollout = &rolled[0]["rollout"];
    assert_eq!(rollout["phase"], "failed", "{rolled}");
    let reason = rollout["reason"].as_str().unwrap_or_default();
    let words = "post_start hook 2 ended with code 5: no schema ready";
    assert!(reason.contains(words), "the hook's words are kept: {reason:?}");
    bench.active("hooked")?;
    assert_eq!(read(bench, "/ready")?, "ready\n", "the earlier version serves again");
    let log = read(bench, "/data/log")?;
    assert!(log.starts_with("started one\nleaving one\nstarted one\n"), "{log}");
    let events = bench.cli().json(&["events", "hooked"])?.to_string();
    assert!(events.contains("hook_failed"), "{events}");
    Ok(())
}

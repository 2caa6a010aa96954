//! Services whose containers live beside those of another one: they share its network, its files, its
//! processes, and its fate.
//!
//! The witnesses are the containers: the lead asks its companion over the loopback address, and the
//! answer is what the companion read in a directory of the lead.

use jaco_e2e::{Fleet, Outcome};
use jaco_harness::{Engine, Patience};
use serde_json::Value;

const REPLICAS: usize = 2;

/// The lead writes its host name into a directory; `app` serves that at an address that only its own
/// network has; `watch` sees the processes of the lead.
const COMPOSE: &str = "\
services:
  vpn:
    image: busybox:rig
    pull_policy: never
    stop_grace_period: 2s
    environment: {VERSION: '1'}
    volumes: [/shared]
    command: [sh, -c, 'cat /etc/hostname >/shared/who; trap \"exit 0\" TERM; sleep 86400 & wait $$!']
    deploy: {replicas: 2}
  app:
    image: busybox:rig
    pull_policy: never
    stop_grace_period: 2s
    network_mode: service:vpn
    volumes_from: ['vpn:ro']
    environment: {VERSION: '1'}
    command:
      - sh
      - -c
      - 'cat /shared/who >/tmp/index.html; echo $$VERSION >>/tmp/index.html;
        httpd -p 127.0.0.1:8080 -h /tmp; trap \"exit 0\" TERM; sleep 86400 & wait $$!'
  watch:
    image: busybox:rig
    pull_policy: never
    stop_grace_period: 2s
    pid: service:vpn
    ipc: service:vpn
    command: [sh, -c, 'trap \"exit 0\" TERM; sleep 86400 & wait $$!']
";

/// What the companions of the leads on one host serve, once each lead that runs there has both.
fn answers(engine: &Engine) -> Result<Vec<String>, String> {
    let running = |service: &str| -> Result<Vec<String>, String> {
        let all = engine.containers(Some(&format!("jaco.service={service}")));
        let all = all.map_err(|e| e.to_string())?;
        Ok(all.into_iter().filter(|c| c.status == "running").map(|c| c.id).collect())
    };
    let run = |arguments: &[&str]| engine.docker(arguments).map_err(|e| e.to_string());
    let (leads, watching) = (running("vpn")?, running("watch")?);
    if watching.len() != leads.len() {
        return Err(format!("{} watch {}", watching.len(), leads.len()));
    }
    for id in watching {
        let first = run(&["exec", &id, "cat", "/proc/1/cmdline"])?;
        if !first.contains("/shared/who") {
            return Err(format!("{id} sees {first}"));
        }
    }
    let mut found = Vec::new();
    for id in leads {
        let own = run(&["exec", &id, "cat", "/shared/who"])?;
        let page = run(&["exec", &id, "wget", "-q", "-O", "-", "http://127.0.0.1:8080/"])?;
        match page.trim().strip_prefix(own.trim()) {
            Some(version) => found.push(version.trim().to_owned()),
            None => return Err(format!("{id} is {own}, and is told {page}")),
        }
    }
    Ok(found)
}

/// Waits until every lead has its companions, which are of this version; how many are on each host.
fn together(fleet: &Fleet, what: &str, version: &str) -> Outcome<Vec<usize>> {
    Ok(fleet.cluster().until(Patience::LONG, what, || {
        let all: Result<Vec<_>, _> = fleet.engines().iter().map(answers).collect();
        let all = all?;
        let replicas = fleet.replicas(0).map_err(|e| e.to_string())?;
        let settled =
            replicas.len() == 3 * REPLICAS && replicas.iter().all(|r| r.state == "running");
        let right = all.iter().flatten().all(|v| v == version);
        let counts: Vec<usize> = all.iter().map(Vec::len).collect();
        if settled && right && counts.iter().sum::<usize>() == REPLICAS {
            return Ok(counts);
        }
        Err(format!("{all:?} of {replicas:#?}"))
    })?)
}

/// How often containers of a service were started again for failures of their own.
fn restarts(fleet: &Fleet, service: &str) -> Outcome<u64> {
    let rows = fleet.cli(0).json(&["get", "replicas"])?;
    let rows = rows.as_array().into_iter().flatten();
    let of =
        |row: &&Value| row["id"].as_str().is_some_and(|id| id.contains(&format!(".{service}.")));
    Ok(rows.filter(of).filter_map(|row| row["restarts"].as_u64()).sum())
}

pub(crate) fn companions_share_the_fate_of_their_leads(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let stack = fleet.stack("deployment: beside\n", COMPOSE)?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    let first = together(fleet, "every lead to have its companions", "1")?;

    let host = first.iter().position(|n| *n > 0).unwrap_or_default();
    let lead = |fleet: &Fleet| -> Outcome<String> {
        let all = fleet.engine(host).containers(Some("jaco.service=vpn"))?;
        let running = all.into_iter().find(|c| c.status == "running");
        Ok(running.ok_or("there is no lead")?.id)
    };
    let killed = lead(fleet)?;
    fleet.engine(host).docker(&["kill", &killed])?;
    together(fleet, "the pair of a killed lead to work again", "1")?;
    fleet.engine(host).docker(&["rm", "-f", "-v", &lead(fleet)?])?;
    together(fleet, "the pair of a lead without its container to work again", "1")?;
    let own = (restarts(fleet, "app")?, restarts(fleet, "watch")?);
    assert_eq!(own, (0, 0), "companions failed by themselves");

    let refused = fleet.cli(1).try_run(&["scale", "beside/app=3"])?;
    assert!(refused.stderr.contains("scale vpn: app follows"), "{refused:?}");

    let lead_version = "environment: {VERSION: '1'}\n    volumes";
    stack.edit("compose.yml", lead_version, "environment: {VERSION: '2'}\n    volumes")?;
    fleet.cli(1).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    together(fleet, "the leads to be replaced with their companions", "1")?;
    stack.edit("compose.yml", "environment: {VERSION: '1'}", "environment: {VERSION: '3'}")?;
    fleet.cli(1).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    let before = together(fleet, "the companions to be replaced alone", "3")?;

    let emptied = before.iter().rposition(|n| *n > 0).unwrap_or_default();
    let name = fleet.cluster().node(emptied).name().to_owned();
    fleet.cli((emptied + 1) % 3).run(&["node", "drain", &name, "--wait=90s"])?;
    let after = together(fleet, "the pairs to have left the host", "3")?;
    assert_eq!(after[emptied], 0, "{after:?}");

    fleet.cli(0).run(&["delete", "beside", "--volumes", "--wait=60s"])?;
    fleet.cluster().until(Patience::NORMAL, "nothing to be left", || {
        let left: Vec<_> = fleet.engines().iter().map(Engine::everything).collect();
        let left: Result<Vec<_>, _> = left.into_iter().collect();
        let left = left.map_err(|e| e.to_string())?.concat();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })?;
    Ok(())
}

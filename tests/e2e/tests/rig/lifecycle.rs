//! From nothing to a running stack and back, over both ways in.

use std::{io::Read, process::Stdio, time::Duration};

use jaco_e2e::{Bench, Outcome};
use jaco_harness::{Cli, Patience, until};
use serde_json::Value;

pub(crate) fn nothing_answers_before_init_but_status(bench: &mut Bench) -> Outcome {
    bench.prepare(&Default::default())?.start()?;
    let cli = bench.cli();
    let status = cli.json(&["cluster", "status"])?;
    assert_eq!(status["initialized"], false, "{status}");

    let shop = bench.example("shop")?.manifest();
    for call in [
        &["status"][..],
        &["get", "deployments"],
        &["apply", &shop],
        &["token", "list"],
        &["audit"],
        &["logs", "shop/web"],
    ] {
        let output = cli.try_run(call)?;
        assert_eq!(
            (output.code, output.error_code()),
            (1, Some("cluster_uninitialized")),
            "{output:?}"
        );
    }

    let init = cli.json(&["cluster", "init"])?;
    assert_eq!(init["token"].as_str().map(str::len), Some(64), "64 hex digits");
    let again = cli.try_run(&["cluster", "init"])?;
    assert_eq!(
        (again.code, again.error_code()),
        (1, Some("cluster_already_initialized")),
        "{again:?}"
    );
    let status = cli.json(&["cluster", "status"])?;
    assert_eq!(status["initialized"], true, "{status}");
    assert_eq!(status["leader"], bench.node().name(), "{status}");
    assert_eq!(status["ca_fingerprint"], init["ca_fingerprint"], "{status}");
    Ok(())
}

pub(crate) fn a_stack_lives_and_dies_over_the_socket(bench: &mut Bench) -> Outcome {
    bench.cluster()?;
    let cli = bench.cli();
    lifecycle(bench, &cli)
}

pub(crate) fn a_stack_lives_and_dies_over_tls(bench: &mut Bench) -> Outcome {
    let init = bench.cluster()?;
    let text = |key: &str| init[key].as_str().unwrap_or_default().to_owned();
    let (token, fingerprint) = (text("token"), text("ca_fingerprint"));
    let flags = ["--token", &token, "--ca-fingerprint", &fingerprint];
    let cli = bench.cli().over_tls(bench.node().server(), &flags);
    lifecycle(bench, &cli)
}

fn lifecycle(bench: &mut Bench, cli: &Cli) -> Outcome {
    let shop = bench.example("shop")?;
    let applied = cli.run(&["apply", &shop.manifest(), "--wait=90s"])?;
    assert!(applied.stdout.contains("Applied revision: 1"), "{applied:?}");
    bench.measured("apply shop → everything runs", format!("{:.1?}", applied.took));
    for (service, replicas) in [("web", 2), ("api", 2), ("worker", 1), ("db", 1)] {
        let running = bench.containers(service)?;
        let running = running.iter().filter(|c| c.status == "running").count();
        assert_eq!(running, replicas, "{service}");
    }
    the_web_answers(bench)?;
    outputs(cli)?;
    follow_logs(cli)?;
    scale_restart_stop_start(bench, cli)?;

    cli.run(&["delete", "shop", "--wait=60s"])?;
    bench.nothing_left(false)?;
    assert_eq!(bench.engine().volumes()?, ["jaco_shop_orders"], "volumes are kept");
    cli.run(&["apply", &shop.manifest(), "--wait=90s"])?;
    let page = page(bench)?;
    assert!(page.contains("packed teapot"), "the kept volume is used again:\n{page}");
    cli.run(&["delete", "shop", "--volumes", "--wait=60s"])?;
    bench.nothing_left(true)?;
    assert_eq!(cli.json(&["get", "deployments"])?, Value::Array(Vec::new()));
    let gone = cli.try_run(&["delete", "shop"])?;
    assert_eq!(gone.error_code(), Some("deployment_not_found"), "{gone:?}");
    Ok(())
}

fn web(bench: &Bench) -> Outcome<String> {
    let containers = bench.containers("web")?;
    let running = containers.iter().filter(|c| c.status == "running");
    let address = running.flat_map(|c| c.addresses.values()).find(|a| !a.is_empty());
    Ok(format!("http://{}:8080/", address.ok_or("no web container has an address")?))
}

fn page(bench: &Bench) -> Outcome<String> {
    let url = web(bench)?;
    Ok(until(Patience::NORMAL, "the page to answer", || {
        let page = bench.host().http_get(&url).map_err(|error| error.to_string())?;
        if page.contains("No orders:") { Err(page) } else { Ok(page) }
    })?)
}

fn the_web_answers(bench: &Bench) -> Outcome {
    let first = page(bench)?;
    assert!(first.contains("<h1>Welcome to the shop</h1>"), "{first}");
    bench.host().http_post(&format!("{}orders", web(bench)?), "teapot")?;
    let packed = until(Patience::NORMAL, "the worker to pack the order", || {
        let page = page(bench).map_err(|error| error.to_string())?;
        if page.contains("packed teapot") { Ok(()) } else { Err(page) }
    });
    Ok(packed?)
}

fn outputs(cli: &Cli) -> Outcome {
    let table = cli.run(&["status"])?.stdout;
    for word in ["shop", "ACTIVE", "RUNNING", "shop.web.1", "shop.db.1", "shop.localhost"] {
        assert!(table.contains(word), "{word} is missing:\n{table}");
    }
    let status = cli.json(&["status"])?;
    assert_eq!(status["deployments"][0]["state"], "active", "{status}");
    assert_eq!(status["replicas"].as_array().map(Vec::len), Some(6), "{status}");
    let yaml = cli.run(&["get", "deployments", "-o", "yaml"])?.stdout;
    assert!(yaml.contains("name: shop") && yaml.contains("state: active"), "{yaml}");
    let one = cli.run(&["get", "deployment", "shop"])?.stdout;
    assert!(!one.contains("correct-horse"), "secrets are masked:\n{one}");
    let shown = cli.run(&["get", "deployment", "shop", "--show-secrets"])?.stdout;
    assert!(shown.contains("correct-horse"), "secrets are shown on demand:\n{shown}");
    let replica = cli.json(&["get", "replica", "shop.db.1"])?;
    assert_eq!(replica["state"], "running", "{replica}");
    assert_eq!(replica["health"], "healthy", "{replica}");
    Ok(())
}

/// Lines of both replicas, each under its name, in one colour per replica.
fn follow_logs(cli: &Cli) -> Outcome {
    let mut command = cli.command(&["logs", "shop/web", "-f", "--tail", "5", "--color", "always"]);
    command.env_remove("NO_COLOR");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut out = child.stdout.take().ok_or("no standard output")?;
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(n @ 1..) = out.read(&mut piece) {
            text.extend_from_slice(&piece[..n]);
            let seen = String::from_utf8_lossy(&text);
            if ["shop.web.1@", "shop.web.2@"].iter().all(|replica| seen.contains(replica)) {
                break;
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    });
    let finished = until(Patience::NORMAL, "lines of both replicas", || {
        if reader.is_finished() { Ok(()) } else { Err("not yet".to_owned()) }
    });
    child.kill()?;
    child.wait()?;
    let text = reader.join().map_err(|_| "the reader panicked")?;
    finished.map_err(|error| format!("{error}\n{text}"))?;
    let colour = |replica: &str| {
        let line = text.lines().find(|line| line.contains(replica))?;
        line.split("\u{1b}[").nth(1)?.split('m').next().map(str::to_owned)
    };
    let (one, two) = (colour("shop.web.1@"), colour("shop.web.2@"));
    assert!(one.is_some() && one != two, "a colour for each replica: {one:?} {two:?}\n{text}");
    Ok(())
}

fn scale_restart_stop_start(bench: &Bench, cli: &Cli) -> Outcome {
    let count = |service: &str| -> Outcome<usize> {
        Ok(bench.containers(service)?.iter().filter(|c| c.status == "running").count())
    };
    let ids = |service: &str| -> Outcome<Vec<String>> {
        Ok(bench.containers(service)?.into_iter().map(|c| c.id).collect())
    };
    let before = ids("web")?;
    cli.run(&["scale", "shop/web=3"])?;
    cli.run(&["wait", "shop", "--for", "running", "--timeout", "60s"])?;
    assert_eq!(count("web")?, 3);
    let after = ids("web")?;
    assert!(before.iter().all(|id| after.contains(id)), "scaling restarts nothing");
    let down = std::time::Instant::now();
    cli.run(&["scale", "shop/web=1"])?;
    until(Patience::NORMAL, "one web to be left", || match bench.containers("web") {
        Ok(list) if list.len() == 1 => Ok(()),
        Ok(list) => Err(format!("{} containers", list.len())),
        Err(error) => Err(error.to_string()),
    })?;
    bench.measured("scale 3 → 1", format!("{:.1?}", down.elapsed()));
    assert!(down.elapsed() < Duration::from_secs(15), "scale down is quick");

    let before = ids("worker")?;
    cli.run(&["restart", "shop/worker"])?;
    cli.run(&["wait", "shop", "--for", "rollout", "--timeout", "60s"])?;
    until(Patience::NORMAL, "the worker to be a new one", || match ids("worker") {
        Ok(now) if now.len() == 1 && now != before => Ok(()),
        Ok(now) => Err(format!("{now:?}")),
        Err(error) => Err(error.to_string()),
    })?;

    cli.run(&["stop", "shop"])?;
    until(Patience::NORMAL, "every container to be gone", || {
        match bench.engine().containers(None) {
            Ok(list) if list.is_empty() => Ok(()),
            Ok(list) => Err(format!("{} containers", list.len())),
            Err(error) => Err(error.to_string()),
        }
    })?;
    cli.run(&["start", "shop"])?;
    cli.run(&["wait", "shop", "--for", "running", "--timeout", "90s"])?;
    assert_eq!(count("db")?, 1);
    Ok(())
}

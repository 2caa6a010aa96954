//! Changing what runs without taking it down.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use jaco_e2e::{Bench, Outcome};
use jaco_harness::{Engine, Patience, until};

/// Watches the engine from the side and keeps the lowest number of serving containers it ever saw.
struct Floor {
    stop: Arc<AtomicBool>,
    watcher: JoinHandle<usize>,
}

impl Floor {
    fn watch(engine: Engine, service: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let label = format!("jaco.service={service}");
        let stopped = Arc::clone(&stop);
        let watcher = std::thread::spawn(move || {
            let mut lowest = usize::MAX;
            while !stopped.load(Ordering::Relaxed) {
                let Ok(list) = engine.containers(Some(&label)) else { continue };
                let serves = list.iter().filter(|c| {
                    c.status == "running" && c.health.as_deref().is_none_or(|h| h == "healthy")
                });
                lowest = lowest.min(serves.count());
            }
            lowest
        });
        Self { stop, watcher }
    }

    fn lowest(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.watcher.join().unwrap()
    }
}

fn ids(bench: &Bench, service: &str) -> Outcome<BTreeSet<String>> {
    Ok(bench.containers(service)?.into_iter().map(|c| c.id).collect())
}

pub(crate) fn an_edit_rolls_one_by_one(bench: &mut Bench) -> Outcome {
    bench.cluster()?;
    let cli = bench.cli();
    let shop = bench.example("shop")?;
    shop.edit(
        "compose.yml",
        "      replicas: 2\n      update_config:\n        monitor: 2s",
        "      replicas: 2\n      update_config:\n        order: stop-first\n        monitor: 2s",
    )?;
    cli.run(&["apply", &shop.manifest(), "--wait=90s"])?;
    let (web, db) = (ids(bench, "web")?, ids(bench, "db")?);

    let dry = cli.run(&["apply", &shop.manifest(), "--dry-run"])?.stdout;
    let same = cli.json(&["apply", &shop.manifest()])?;
    assert_eq!((&same["revision"], &same["changed"]), (&1.into(), &false.into()), "{dry}");

    // Start-first: never fewer than there are.
    shop.edit("shop.env", "GREETING=Welcome to the shop", "GREETING=Season sale")?;
    let detailed = cli.try_run(&["diff", &shop.manifest(), "--detailed-exitcode"])?;
    assert_eq!(detailed.code, 3, "{detailed:?}");
    assert!(detailed.stdout.contains("web"), "{detailed:?}");
    let floor = Floor::watch(bench.engine(), "web");
    cli.run(&["apply", &shop.manifest(), "--wait=90s"])?;
    let lowest = floor.lowest();
    assert!(lowest >= 2, "start-first went down to {lowest} of 2");
    // The wait is for what is to run; the last old one may still be stopping.
    until(Patience::NORMAL, "every web to be a new one", || {
        let now = ids(bench, "web").map_err(|error| error.to_string())?;
        if now.is_disjoint(&web) && now.len() == 2 { Ok(()) } else { Err(format!("{now:?}")) }
    })?;
    assert_eq!(ids(bench, "db")?, db, "the db was not edited");
    for container in bench.containers("web")? {
        assert!(container.environment.contains(&"GREETING=Season sale".to_owned()));
    }

    // Stop-first: at most one less.
    let api = ids(bench, "api")?;
    shop.edit(
        "compose.yml",
        "      API_URL: http://api:8081\n",
        "      API_URL: http://api:8081\n      X: y\n",
    )?;
    shop.edit("compose.yml", "      DB_ADDRESS: db:6543\n", "      DB_ADDRESS: database:6543\n")?;
    let floor = Floor::watch(bench.engine(), "api");
    cli.run(&["apply", &shop.manifest(), "--wait=90s"])?;
    let lowest = floor.lowest();
    assert!(lowest >= 1, "stop-first went down to {lowest} of 2");
    assert!(ids(bench, "api")?.is_disjoint(&api), "every api is a new one");
    assert_eq!(ids(bench, "db")?, db, "the db was not edited");
    Ok(())
}

pub(crate) fn a_wrong_image_rolls_back_by_itself(bench: &mut Bench) -> Outcome {
    bench.cluster()?;
    let cli = bench.cli();
    let shop = bench.example("shop")?;
    cli.run(&["apply", &shop.manifest(), "--wait=90s"])?;
    let everything = || -> Outcome<BTreeSet<String>> {
        Ok(bench.engine().containers(None)?.into_iter().map(|c| c.id).collect())
    };
    let before = everything()?;

    shop.edit("compose.yml", "image: shop-app:1", "image: shop-app:does-not-exist")?;
    let applied = cli.json(&["apply", &shop.manifest()])?;
    assert_eq!(applied["revision"], 2, "{applied}");
    let list = ["get", "deployments"];
    let rolled = bench.node().wait_for(Patience::LONG, "the rollback", &list, |list| {
        list[0]["revision"] == 3 && list[0]["state"] != "updating"
    })?;
    let rollout = &rolled[0]["rollout"];
    assert_eq!(rollout["phase"], "failed", "{rolled}");
    let reason = rollout["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("does-not-exist"), "the engine's words are kept: {reason:?}");
    assert_eq!(everything()?, before, "nothing that served was stopped");
    let history = cli.json(&["history", "shop"])?;
    assert_eq!(history.as_array().map(Vec::len), Some(3), "{history}");
    let audit = cli.json(&["audit", "--type", "rollout_failed"])?;
    assert_eq!(audit.as_array().map(Vec::len), Some(1), "{audit}");
    bench.active("shop")?;
    Ok(())
}

pub(crate) fn revisions_can_be_restored(bench: &mut Bench) -> Outcome {
    bench.cluster()?;
    let cli = bench.cli();
    let stack = bench.example("hello")?;
    let early = {
        cli.run(&["apply", &stack.manifest(), "--wait=60s"])?;
        cli.try_run(&["rollback", "hello"])?
    };
    assert_eq!(early.error_code(), Some("no_previous_revision"), "{early:?}");
    for n in 2..=4 {
        let (old, new) = (greeting(n - 1), greeting(n));
        stack.edit("compose.yml", &old, &new)?;
        cli.run(&["apply", &stack.manifest(), "--wait=60s"])?;
    }
    let says = |n: u32| -> Outcome {
        let wanted = format!("GREETING={}", greeting(n));
        let seen = until(Patience::NORMAL, &wanted, || {
            let list = bench.containers("web").map_err(|error| error.to_string())?;
            let all = list.iter().all(|c| c.environment.contains(&wanted));
            if list.len() == 1 && all { Ok(()) } else { Err(format!("{list:?}")) }
        });
        Ok(seen?)
    };
    says(4)?;
    let back = cli.run(&["rollback", "hello", "--wait=60s"])?;
    assert!(back.stdout.contains("Rolled back to revision 3 (now revision 5)"), "{back:?}");
    says(3)?;
    let back = cli.run(&["rollback", "hello", "--to", "1", "--wait=60s"])?;
    assert!(back.stdout.contains("Rolled back to revision 1 (now revision 6)"), "{back:?}");
    says(1)?;
    let missing = cli.try_run(&["rollback", "hello", "--to", "77"])?;
    assert_eq!(missing.error_code(), Some("no_previous_revision"), "{missing:?}");
    Ok(())
}

fn greeting(n: u32) -> String {
    if n == 1 { "Hello from JACO".to_owned() } else { format!("Hello number {n}") }
}

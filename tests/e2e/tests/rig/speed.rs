//! Ten replicas with their image at hand.

use std::time::{Duration, Instant};

use jaco_e2e::{Bench, Outcome};
use jaco_harness::{Patience, until};

use crate::stacks::{FOREVER, named, shell};

const LIMIT: Duration = Duration::from_secs(5);

pub(crate) fn ten_replicas_run_soon(bench: &mut Bench) -> Outcome {
    bench.cluster()?;
    let check = "    healthcheck:\n      test: [\"CMD\", \"test\", \"-d\", \"/tmp\"]\n      \
                 interval: 1s\n    deploy:\n      replicas: 10\n";
    let stack = bench.stack(&named("fleet"), &shell(FOREVER, check))?;
    let started = Instant::now();
    bench.cli().run(&["apply", &stack.manifest()])?;
    let committed = started.elapsed();
    let engine = bench.engine();
    until(Patience::LONG, "ten containers to run", || {
        let list = engine.containers(Some("jaco.service=app")).map_err(|e| e.to_string())?;
        let running = list.iter().filter(|c| c.status == "running").count();
        if running == 10 { Ok(()) } else { Err(format!("{running} run")) }
    })?;
    let up = started.elapsed();
    bench.cli().run(&["wait", "fleet", "--for", "running", "--timeout", "60s"])?;
    let took = started.elapsed();
    let own = engine_alone(bench)?;
    bench.measured("apply 10 replicas: committed", format!("{committed:.2?}"));
    bench.measured("apply 10 replicas: containers up", format!("{up:.2?}"));
    bench.measured("apply 10 replicas: healthy (check every 1 s)", format!("{took:.2?}"));
    bench.measured("the engine alone, 10 at once", format!("{own:.2?}"));
    // A machine whose engine alone needs more than half of the time is not ours to judge.
    let limit = LIMIT.max(own + LIMIT / 2);
    assert!(took <= limit, "{took:?} is more than {limit:?}");
    Ok(())
}

/// How long the engine takes to create and start ten such containers that it is asked for at once.
fn engine_alone(bench: &Bench) -> Outcome<Duration> {
    let engine = bench.engine();
    engine.docker(&["network", "create", "alone"])?;
    let started = Instant::now();
    let script = FOREVER.replace("$$", "$");
    let runs: Vec<_> = (0..10)
        .map(|n| {
            let (engine, script) = (engine.clone(), script.clone());
            std::thread::spawn(move || {
                let name = format!("alone-{n}");
                let run = ["run", "-d", "--network", "alone", "--name", &name, "busybox:rig"];
                engine.docker(&[&run[..], &["sh", "-c", &script]].concat()).map(drop)
            })
        })
        .collect();
    for run in runs {
        run.join().map_err(|_| "a thread panicked")??;
    }
    Ok(started.elapsed())
}

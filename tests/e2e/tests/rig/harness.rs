//! What every other scenario stands on: the engine of the rig runs the stack's image by itself.

use jaco_e2e::{Bench, Outcome};
use jaco_harness::{Patience, until};

pub(crate) fn the_rig_runs_containers(bench: &mut Bench) -> Outcome {
    let engine = bench.engine();
    engine.docker(&["network", "create", "probe"])?;
    let start = ["run", "-d", "--network", "probe"];
    let run = |rest: &[&str]| engine.docker(&[&start[..], rest].concat());
    run(&["--name", "db", "-e", "DB_PASSWORD=p", "-v", "orders:/data", "shop-app:1", "db"])?;
    run(&["--name", "api", "-e", "DB_PASSWORD=p", "shop-app:1", "api"])?;
    run(&["--name", "worker", "-e", "DB_PASSWORD=p", "shop-app:1", "worker"])?;
    run(&["--name", "web", "-e", "API_URL=http://api:8081", "shop-app:1", "web"])?;
    let web = engine.containers(None)?.into_iter().find(|c| c.name == "web").unwrap();
    let url = format!("http://{}:8080/", web.addresses["probe"]);

    until(Patience::NORMAL, "an order to be taken", || {
        let order = bench.host().http_post(&format!("{url}orders"), "teapot");
        order.map_err(|error| error.to_string())
    })?;
    until(Patience::NORMAL, "the order to be packed", || {
        let page = bench.host().http_get(&url).map_err(|error| error.to_string())?;
        if page.contains("packed teapot") { Ok(()) } else { Err(page) }
    })?;
    let healthy = ["exec", "web", "/shop-app", "healthy", "http://127.0.0.1:8080/healthz"];
    engine.docker(&healthy)?;
    assert!(engine.docker(&["exec", "web", "/shop-app", "healthy", "127.0.0.1:1"]).is_err());

    let stopping = std::time::Instant::now();
    engine.docker(&["stop", "-t", "20", "web", "api", "worker", "db"])?;
    assert!(stopping.elapsed().as_secs() < 15, "the services stop when they are asked to");
    Ok(())
}

//! A hundred deployments with a thousand replicas: looking at them stays quick.

use std::time::{Duration, Instant};

use crate::support::{Outcome, found, manifest, until};
use jaco_client::StatusQuery;
use jaco_runtime::testing::FakeRuntime;

const DEPLOYMENTS: usize = 100;
const REPLICAS: usize = 10;
const LIMIT: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_of_a_thousand_replicas_is_quick() -> Outcome {
    let directory = tempfile::tempdir()?;
    let runtime = FakeRuntime::new();
    let node = found(&directory.path().join("data"), &runtime).await?;
    let client = node.client();
    let started = Instant::now();
    for n in 0..DEPLOYMENTS {
        client.apply(manifest(&format!("app-{n}"), REPLICAS as u32, "hello")).await?;
    }
    let applied = started.elapsed();
    until(&client, "every replica to run", |view| {
        view.replicas().filter(|r| r.state.as_str() == "running").count() == DEPLOYMENTS * REPLICAS
    })
    .await?;
    let running = started.elapsed();

    let mut times = Vec::new();
    for _ in 0..10 {
        let asked = Instant::now();
        let view = client.status(&StatusQuery::default()).await?;
        times.push(asked.elapsed());
        assert_eq!((view.deployments().count(), view.replicas().count()), (100, 1000));
    }
    times.sort();
    println!("100 applies {applied:.1?}, 1,000 replicas running {running:.1?}, status {times:.0?}");
    assert!(times[5] <= LIMIT, "{times:?}");

    let before = node.status().await?.applied_index;
    // Long enough for every periodic look (30 s apart at most) would be too long here: what writes
    // without need does so in the seconds after a change.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = node.status().await?.applied_index;
    assert_eq!(after, before, "a thousand replicas at rest write nothing");
    node.shutdown().await?;
    Ok(())
}

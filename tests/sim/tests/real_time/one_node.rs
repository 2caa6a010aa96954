//! A node in process: what is acknowledged stays, and what runs is left alone.

use crate::support::{Outcome, found, manifest, running, start, until};
use jaco_runtime::testing::{FakeRuntime, Op};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_node_knows_everything_and_touches_nothing() -> Outcome {
    let directory = tempfile::tempdir()?;
    let data = directory.path().join("data");
    let runtime = FakeRuntime::new();
    let node = found(&data, &runtime).await?;
    node.client().apply(manifest("shop", 3, "hello")).await?;
    running(&node.client(), "shop").await?;
    node.shutdown().await?;

    let (before, creations) = (runtime.containers(), runtime.count(Op::Create));
    assert_eq!(before.len(), 3);
    let node = start(&data, &runtime).await?;
    let view = until(&node.client(), "a leader", |view| !view.is_stale()).await?;
    assert_eq!(view.deployments().map(|d| d.revision).collect::<Vec<_>>(), [1]);
    running(&node.client(), "shop").await?;
    assert_eq!(runtime.containers(), before, "nothing was restarted");
    assert_eq!(runtime.count(Op::Create), creations);
    node.shutdown().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_while_the_daemon_was_away_is_made_again() -> Outcome {
    let directory = tempfile::tempdir()?;
    let data = directory.path().join("data");
    let runtime = FakeRuntime::new();
    let node = found(&data, &runtime).await?;
    node.client().apply(manifest("shop", 2, "hello")).await?;
    running(&node.client(), "shop").await?;
    node.shutdown().await?;
    let gone = runtime.containers()[0].id.clone();
    runtime.remove_behind(&gone);

    let node = start(&data, &runtime).await?;
    until(&node.client(), "two containers again", |view| {
        let all = view.replicas().all(|r| r.state.as_str() == "running");
        all && runtime.containers().iter().filter(|c| c.status.is_alive()).count() == 2
    })
    .await?;
    assert!(runtime.containers().iter().all(|c| c.id != gone));
    node.shutdown().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_never_founded_answers_status_only() -> Outcome {
    let directory = tempfile::tempdir()?;
    let node = start(&directory.path().join("data"), &FakeRuntime::new()).await?;
    assert!(!node.status().await?.initialized);
    let refused = node.client().apply(manifest("shop", 1, "hello")).await.unwrap_err();
    assert_eq!(refused.code().map(|c| c.as_str()), Some("cluster_uninitialized"), "{refused}");
    node.init(&"me".parse()?).await?;
    let again = node.init(&"me".parse()?).await.unwrap_err();
    assert_eq!(again.code().map(|c| c.as_str()), Some("cluster_already_initialized"), "{again}");
    node.shutdown().await?;
    Ok(())
}

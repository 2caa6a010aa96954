//! A node in this process, with an engine in memory: what these tests share.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use jaco_client::{Apply, Client, Goal, StatusQuery, StatusView, Wait, WaitResult};
use jaco_engine::{Node, NodeConfig};
use jaco_runtime::testing::FakeRuntime;

/// Any error ends a test.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How long anything may take that takes a moment.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// Starts a node on `directory` with this engine.
///
/// # Errors
/// It does not start.
pub(crate) async fn start(directory: &Path, runtime: &FakeRuntime) -> Outcome<Node> {
    let config = NodeConfig::new(directory).named("sim".parse()?);
    Ok(Node::builder(config).runtime(runtime.clone()).start().await?)
}

/// Starts a node and forms a cluster of one.
///
/// # Errors
/// It does not start, or refuses.
pub(crate) async fn found(directory: &Path, runtime: &FakeRuntime) -> Outcome<Node> {
    let node = start(directory, runtime).await?;
    node.init(&"sim".parse()?).await?;
    Ok(node)
}

/// A manifest of one deployment with one service that runs for ever.
#[must_use]
pub(crate) fn manifest(deployment: &str, replicas: u32, greeting: &str) -> Apply {
    Apply {
        jaco: format!("deployment: {deployment}\n"),
        compose: format!(
            "services:\n  app:\n    image: app:1\n    command: [\"sleep\", \"infinity\"]\n    \
             environment: {{ GREETING: {greeting:?} }}\n    deploy: {{ replicas: {replicas} }}\n"
        ),
        jaco_name: "jaco.yaml".to_owned(),
        compose_name: "compose.yml".to_owned(),
        ..Apply::default()
    }
}

/// Waits until a deployment runs.
///
/// # Errors
/// It does not, with the reasons.
pub(crate) async fn running(client: &Client, deployment: &str) -> Outcome {
    let goal = Wait {
        deployment: deployment.parse()?,
        service: None,
        goal: Goal::Running,
        revision: None,
        timeout: BOUND,
    };
    match client.wait(&goal, |_| ()).await? {
        WaitResult::Reached => Ok(()),
        other => Err(format!("{deployment}: {other:?}").into()),
    }
}

/// Asks for the status until `holds` accepts it; fails with `what` and the last one.
///
/// # Errors
/// It never does.
pub(crate) async fn until(
    client: &Client,
    what: &str,
    mut holds: impl FnMut(&StatusView) -> bool,
) -> Outcome<StatusView> {
    let started = Instant::now();
    loop {
        let view = client.status(&StatusQuery::default()).await?;
        if holds(&view) {
            return Ok(view);
        }
        if started.elapsed() > BOUND {
            let replicas: Vec<_> = view.replicas().collect();
            return Err(format!("waited for {what}; last seen: {replicas:#?}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

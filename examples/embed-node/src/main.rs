//! A node inside a program of one's own: started, used and stopped in one process.
//!
//! ```text
//! cargo run -p example-embed-node               # an engine in memory
//! cargo run -p example-embed-node -- --docker   # the Docker Engine of this machine
//! ```

use std::{env, error::Error, time::Duration};

use jaco_client::{Apply, Goal, StatusQuery, Wait, WaitResult};
use jaco_engine::{Node, NodeConfig};
use jaco_runtime::{DockerRuntime, testing::FakeRuntime};

const JACO: &str = "deployment: hello\n";
const COMPOSE: &str = "
services:
  web:
    image: hello:1
    command: [\"web\"]
    deploy:
      replicas: 3
";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    // A node chooses free ports on the loopback interface unless it is told others.
    let config = NodeConfig::new(directory.path().join("data")).named("embedded".parse()?);
    let builder = Node::builder(config);
    let node = if env::args().any(|argument| argument == "--docker") {
        builder.runtime(DockerRuntime::connect().await?).start().await?
    } else {
        builder.runtime(FakeRuntime::new()).start().await?
    };

    node.init(&"me".parse()?).await?;
    let jaco = node.client();
    let applied = jaco
        .apply(Apply {
            jaco: JACO.to_owned(),
            compose: COMPOSE.to_owned(),
            jaco_name: "jaco.yaml".to_owned(),
            compose_name: "compose.yml".to_owned(),
            ..Apply::default()
        })
        .await?;
    println!("{} is at revision {}", applied.deployment, applied.revision);

    let running = Wait {
        deployment: applied.deployment.clone(),
        service: None,
        goal: Goal::Running,
        revision: Some(applied.revision),
        timeout: Duration::from_secs(60),
    };
    match jaco.wait(&running, |_| ()).await? {
        WaitResult::Reached => {}
        other => return Err(format!("it does not run: {other:?}").into()),
    }
    let view = jaco.status(&StatusQuery::default()).await?;
    for replica in view.replicas() {
        println!("{} is {} on {}", replica.id, replica.state, replica.node);
    }
    assert_eq!(view.replicas().count(), 3);

    // Nothing of the example stays in the engine.
    jaco.delete(&applied.deployment, true).await?;
    let removed = Wait { goal: Goal::Removed, revision: None, ..running };
    jaco.wait(&removed, |_| ()).await?;
    node.shutdown().await?;
    Ok(())
}

//! A node inside a program of one's own: started, used and stopped in one process.
//!
//! ```text
//! cargo run -p example-embed-node                          # an engine in memory
//! cargo run -p example-embed-node -- --docker shop-app:1   # this machine's Docker Engine, an image it has
//! ```

use std::{env, error::Error, time::Duration};

use jaco_client::{Apply, Goal, StatusQuery, Wait, WaitResult};
use jaco_engine::{Node, NodeConfig};
use jaco_runtime::{DockerRuntime, testing::FakeRuntime};

const JACO: &str = "deployment: hello\n";

fn compose(image: &str) -> String {
    format!(
        "services:\n  web:\n    image: {image}\n    command: [\"web\"]\n    deploy: {{ replicas: 3 }}\n"
    )
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    // A node chooses free ports on the loopback interface unless it is told others.
    let config = NodeConfig::new(directory.path().join("data")).named("embedded".parse()?);
    let builder = Node::builder(config);
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (node, image) = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => (builder.runtime(FakeRuntime::new()).start().await?, "hello:1"),
        ["--docker", image] => {
            (builder.runtime(DockerRuntime::connect().await?).start().await?, *image)
        }
        _ => return Err("usage: embed-node [--docker <image>]".into()),
    };

    node.init(&"me".parse()?).await?;
    let jaco = node.client();
    let applied = jaco
        .apply(Apply {
            jaco: JACO.to_owned(),
            compose: compose(image),
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

//! A runtime of one's own: "containers" are plain processes of this machine.
//!
//! Anything that can create, start, stop and watch something can stand behind
//! [`ContainerRuntime`](jaco_runtime::ContainerRuntime): micro-VMs, jails, another engine. The control
//! plane does not notice.

mod engine;
mod process;

use std::{error::Error, time::Duration};

use jaco_client::{Apply, Goal, StatusQuery, Wait, WaitResult};
use jaco_engine::{Node, NodeConfig};

use crate::engine::ProcessRuntime;

const JACO: &str = "deployment: clock\n";
const COMPOSE: &str = "
services:
  ticker:
    image: none
    command: [\"sh\", \"-c\", \"echo ticking as $$NAME; exec sleep 600\"]
    environment: { NAME: process }
    deploy: { replicas: 2 }
";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let config = NodeConfig::new(directory.path().join("data")).named("bare".parse()?);
    let node = Node::builder(config).runtime(ProcessRuntime::default()).start().await?;
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
    let goal = Wait {
        deployment: applied.deployment.clone(),
        service: None,
        goal: Goal::Running,
        revision: None,
        timeout: Duration::from_secs(60),
    };
    let reached = jaco.wait(&goal, |_| ()).await?;
    assert_eq!(reached, WaitResult::Reached);
    for replica in jaco.status(&StatusQuery::default()).await?.replicas() {
        println!("{} is process {}", replica.id, replica.container.as_deref().unwrap_or("?"));
    }

    jaco.delete(&applied.deployment, true).await?;
    let goal = Wait { goal: Goal::Removed, ..goal };
    assert_eq!(jaco.wait(&goal, |_| ()).await?, WaitResult::Reached);
    node.shutdown().await?;
    Ok(())
}

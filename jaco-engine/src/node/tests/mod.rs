//! A node in this process, on the fake engine.

mod admitting;
mod certs;
mod cluster;
mod deploying;
mod founding;
mod interrupted;
mod meshing;
mod proving;
mod remote;
mod restarting;
mod streams;
mod timed;

use std::{path::Path, sync::Arc, time::Duration};

use jaco_api::error::ErrorCode;
use jaco_client::{Client, Error};
use jaco_runtime::testing::FakeRuntime;

use super::{Node, NodeConfig};

/// How long anything may take.
const BOUND: Duration = Duration::from_secs(20);

fn config(dir: &Path) -> NodeConfig {
    let mut config = NodeConfig::new(dir.join("data")).named("node-a".parse().unwrap());
    config.unix_socket = Some(dir.join("jaco.sock"));
    config
}

async fn start(dir: &Path, runtime: &Arc<FakeRuntime>) -> Node {
    Node::builder(config(dir)).shared_runtime(runtime.clone()).start().await.unwrap()
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorCode {
    match result {
        Err(Error::Api(e)) => e.code,
        other => panic!("expected an error of the API, got {other:?}"),
    }
}

/// Waits until a question to the node has the wanted answer.
async fn eventually<T, F>(client: &Client, what: &str, mut ask: impl FnMut(Client) -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let tries = async {
        loop {
            if let Some(answer) = ask(client.clone()).await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(BOUND, tries).await {
        Ok(answer) => answer,
        Err(_) => {
            let status = client.status(&jaco_client::StatusQuery::default()).await;
            panic!("{what} did not happen; last status: {status:#?}");
        }
    }
}

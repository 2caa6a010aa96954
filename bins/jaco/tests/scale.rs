//! `jaco` looking at a hundred deployments with a thousand replicas, on a real node with an engine in
//! memory.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use jaco_client::{Apply, Client, StatusQuery};
use jaco_engine::{Node, NodeConfig};
use jaco_runtime::testing::FakeRuntime;
use tokio::process::Command;

const DEPLOYMENTS: usize = 100;
const REPLICAS: usize = 10;
/// How long a command may take, with the start of the program and all rows written.
const LIMIT: Duration = Duration::from_millis(200);

fn application(n: usize) -> Apply {
    Apply {
        jaco: format!("deployment: app-{n}\n"),
        compose: format!(
            "services:\n  web:\n    image: app:1\n    deploy: {{ replicas: {REPLICAS} }}\n"
        ),
        jaco_name: "jaco.yaml".to_owned(),
        compose_name: "compose.yml".to_owned(),
        ..Apply::default()
    }
}

async fn all_run(client: &Client) {
    let began = Instant::now();
    loop {
        let view = client.status(&StatusQuery::default()).await.unwrap();
        let running = view.replicas().filter(|r| r.state.as_str() == "running").count();
        if running == DEPLOYMENTS * REPLICAS {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "{running} run");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Runs `jaco` and returns what it wrote and how long that took.
async fn jaco(socket: &Path, arguments: &[&str]) -> (String, Duration) {
    let began = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jaco"));
    command.arg("--socket").arg(socket).args(arguments).env("NO_COLOR", "1");
    let output = command.output().await.unwrap();
    let took = began.elapsed();
    assert!(output.status.success(), "{output:?}");
    (String::from_utf8(output.stdout).unwrap(), took)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_replicas_are_shown_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("jaco.sock");
    let mut config = NodeConfig::new(directory.path().join("data")).named("here".parse().unwrap());
    config.unix_socket = Some(socket.clone());
    let node = Node::builder(config).runtime(FakeRuntime::new()).start().await.unwrap();
    node.init(&"admin".parse().unwrap()).await.unwrap();
    let client = node.client();
    for n in 0..DEPLOYMENTS {
        client.apply(application(n)).await.unwrap();
    }
    all_run(&client).await;
    for arguments in [&["status"][..], &["get", "replicas"]] {
        let mut times = Vec::new();
        for _ in 0..9 {
            let (shown, took) = jaco(&socket, arguments).await;
            assert_eq!(shown.lines().filter(|l| l.contains("RUNNING")).count(), 1_000, "{shown}");
            times.push(took);
        }
        times.sort();
        println!("jaco {}: {times:.0?}", arguments.join(" "));
        assert!(times[4] <= LIMIT, "{arguments:?}: {times:?}");
    }
    node.shutdown().await.unwrap();
}

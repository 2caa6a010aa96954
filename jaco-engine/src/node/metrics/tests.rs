//! A node is asked over HTTP.

use std::{sync::Arc, time::Duration};

use jaco_net::testing::{FakeFirewall, FakeMesh};
use jaco_runtime::testing::FakeRuntime;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::node::{Mesh, Node, NodeConfig, NodeError};

const BOUND: Duration = Duration::from_secs(20);

/// The status and the body of what is answered to `GET path`.
async fn asked(node: &Node, path: &str) -> (u16, String) {
    let address = node.metrics_addr().expect("it listens");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(BOUND, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Waits for an answer.
async fn until(node: &Node, path: &str, holds: impl Fn(u16, &str) -> bool) -> String {
    let mut last = (0, String::new());
    let tries = async {
        loop {
            last = asked(node, path).await;
            if holds(last.0, &last.1) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if timeout(BOUND, tries).await.is_err() {
        panic!("{path}: {last:?}");
    }
    last.1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_looked_at_from_outside() {
    let dir = tempfile::tempdir().unwrap();
    let (runtime, firewall) = (FakeRuntime::new(), Arc::new(FakeFirewall::default()));
    let mut config = NodeConfig::new(dir.path()).named("node-a".parse().unwrap());
    config.metrics_addr = Some("127.0.0.1:0".parse().unwrap());
    let node = Node::builder(config)
        .runtime(runtime.clone())
        .shared_firewall(firewall.clone())
        .mesh(Mesh::new(FakeMesh::default()))
        .start()
        .await
        .unwrap();
    assert_eq!(asked(&node, "/healthz").await, (200, "alive\n".to_owned()));
    assert_eq!(asked(&node, "/").await.0, 404);
    let none = (503, "the node belongs to no cluster yet\n".to_owned());
    assert_eq!(asked(&node, "/readyz").await, none);
    assert!(asked(&node, "/metrics").await.1.contains("jaco_node_ready 0\n"));

    node.init(&"admin".parse().unwrap()).await.unwrap();
    until(&node, "/readyz", |status, _| status == 200).await;
    node.check_ready().unwrap();
    let text = until(&node, "/metrics", |_, text| text.contains("jaco_raft_is_leader 1\n")).await;
    for part in [
        "jaco_node_ready 1\n",
        "jaco_mesh_info{device=\"fake\"} 1\n",
        "jaco_firewall_repairs_total 0\n",
        "jaco_replicas{state=\"running\"} 0\n",
        "# EOF\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(!text.contains("jaco_raft_commit_duration_seconds_count 0\n"), "{text}");
    assert_eq!(node.metrics().await.lines().count(), text.lines().count());

    // What somebody else changes is restored, and counted.
    until(&node, "/metrics", |_, _| firewall.transactions() > 0).await;
    firewall.tamper(|loaded| *loaded = None);
    until(&node, "/metrics", |_, text| text.contains("jaco_firewall_repairs_total 1\n")).await;
    runtime.disconnect();
    until(&node, "/readyz", |status, why| status == 503 && why.contains("degraded")).await;
    let address = node.metrics_addr().unwrap();
    node.shutdown().await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_address_that_cannot_be_had_names_its_key() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut config = NodeConfig::new(dir.path()).named("node-a".parse().unwrap());
    config.metrics_addr = Some(taken.local_addr().unwrap());
    let refused = Node::builder(config).runtime(FakeRuntime::new()).start().await.unwrap_err();
    assert!(matches!(refused, NodeError::Listen { key: "metrics_addr", .. }), "{refused}");
}

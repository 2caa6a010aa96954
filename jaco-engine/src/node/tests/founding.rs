use jaco_api::model::NodeStatus;
use jaco_net::testing::FakeFirewall;

use super::*;

#[tokio::test]
async fn before_init_only_status_answers() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path(), &Arc::new(FakeRuntime::new())).await;
    let client = node.client();
    let status = node.status().await.unwrap();
    assert!(!status.initialized && status.node == "node-a" && status.members.is_empty());
    assert_eq!(code(client.nodes().await), ErrorCode::ClusterUninitialized);
    assert_eq!(code(client.tokens().await), ErrorCode::ClusterUninitialized);
    assert_eq!(code(client.settings().await), ErrorCode::ClusterUninitialized);
    let query = jaco_client::StatusQuery::default();
    assert_eq!(code(client.status(&query).await), ErrorCode::ClusterUninitialized);
    assert!(tokio::net::TcpStream::connect(node.api_addr()).await.is_err(), "a port is open");
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_cluster_is_created_once() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path(), &Arc::new(FakeRuntime::new())).await;
    let made = node.init(&"admin".parse().unwrap()).await.unwrap();
    assert_eq!(made.token.len(), 64);
    assert_eq!(
        code(node.init(&"admin".parse().unwrap()).await),
        ErrorCode::ClusterAlreadyInitialized
    );
    let status = node.status().await.unwrap();
    assert!(status.initialized);
    assert_eq!(status.ca_fingerprint.as_deref(), Some(made.ca_fingerprint.as_str()));
    eventually(&node.client(), "ready", |c| async move {
        let nodes = c.nodes().await.unwrap();
        (nodes.len() == 1 && nodes[0].node.status == NodeStatus::Ready).then_some(())
    })
    .await;
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_local_socket_records_the_callers_user_id() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path(), &Arc::new(FakeRuntime::new())).await;
    let client = Client::builder().socket(dir.path().join("jaco.sock")).connect().await.unwrap();
    client.cluster_init("admin").await.unwrap();
    let settings = client.set_setting("revision_retention", "7").await.unwrap();
    assert_eq!(settings["revision_retention"], "7");
    let mut audit = client.audit(&jaco_client::AuditFilter::default()).await.unwrap();
    use futures::TryStreamExt as _;
    let mut uids = Vec::new();
    while let Some(event) = audit.try_next().await.unwrap() {
        if event.actor.identity == "local" {
            uids.push(event.actor.uid);
        }
    }
    let own = rustix::process::getuid().as_raw();
    assert!(uids.len() >= 2 && uids.iter().all(|u| *u == Some(own)), "{uids:?}");
    drop(client);
    node.shutdown().await.unwrap();
    assert!(!dir.path().join("jaco.sock").exists());
}

async fn becomes(client: &Client, status: NodeStatus) {
    eventually(client, "the status", |c| async move {
        let nodes = c.nodes().await.unwrap();
        (nodes[0].node.status == status).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_without_its_engine_is_degraded_until_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = Arc::new(FakeRuntime::new());
    let node = start(dir.path(), &runtime).await;
    node.init(&"admin".parse().unwrap()).await.unwrap();
    becomes(&node.client(), NodeStatus::Ready).await;
    runtime.disconnect();
    becomes(&node.client(), NodeStatus::Degraded).await;
    let nodes = node.client().nodes().await.unwrap();
    assert!(nodes[0].node.reason.is_some() && nodes[0].node.facts.engine.is_none());
    runtime.reconnect();
    becomes(&node.client(), NodeStatus::Ready).await;
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_node_whose_firewall_fails_takes_no_work() {
    let dir = tempfile::tempdir().unwrap();
    let firewall = Arc::new(FakeFirewall::default());
    firewall.refuse(true);
    let node = Node::builder(config(dir.path()))
        .shared_runtime(Arc::new(FakeRuntime::new()))
        .shared_firewall(firewall.clone())
        .start()
        .await
        .unwrap();
    node.init(&"admin".parse().unwrap()).await.unwrap();
    becomes(&node.client(), NodeStatus::IsolationUnavailable).await;
    firewall.refuse(false);
    becomes(&node.client(), NodeStatus::Ready).await;
    node.shutdown().await.unwrap();
}

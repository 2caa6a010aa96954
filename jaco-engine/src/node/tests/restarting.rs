use jaco_client::{Goal, StatusQuery, Trust};

use super::{
    deploying::{reach, shop, stack},
    *,
};

#[tokio::test]
async fn a_restart_keeps_everything_and_touches_no_container() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = Arc::new(FakeRuntime::new());
    let node = start(dir.path(), &runtime).await;
    let made = node.init(&"admin".parse().unwrap()).await.unwrap();
    node.client().apply(stack("hello", 3)).await.unwrap();
    reach(&node.client(), Goal::Running, Some(1)).await;
    let before = (node.status().await.unwrap(), runtime.containers());
    node.shutdown().await.unwrap();

    let node = start(dir.path(), &runtime).await;
    let client = node.client();
    eventually(&client, "a leader", |c| async move { c.cluster_status().await.unwrap().leader })
        .await;
    reach(&client, Goal::Running, Some(1)).await;
    let after = (node.status().await.unwrap(), runtime.containers());
    assert_eq!(before.0.cluster_id, after.0.cluster_id);
    assert_eq!(before.0.ca_fingerprint, after.0.ca_fingerprint);
    let ids = |all: &[jaco_runtime::container::Container]| {
        all.iter().map(|c| (c.id.clone(), c.started_at)).collect::<Vec<_>>()
    };
    assert_eq!(ids(&before.1), ids(&after.1));
    let remote = Client::builder()
        .server(node.api_addr().to_string())
        .token(made.token.clone())
        .trust(Trust::Fingerprint(made.ca_fingerprint.clone()))
        .connect()
        .await
        .unwrap();
    assert_eq!(remote.status(&StatusQuery::default()).await.unwrap().replicas().len(), 4);
    assert_eq!(client.apply(stack("hello", 3)).await.unwrap().revision, 1);
    assert_eq!(client.history(&shop()).await.unwrap().len(), 1);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_member_keeps_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = Arc::new(FakeRuntime::new());
    let node = start(dir.path(), &runtime).await;
    node.init(&"admin".parse().unwrap()).await.unwrap();
    node.shutdown().await.unwrap();
    let renamed = NodeConfig { name: Some("node-b".parse().unwrap()), ..config(dir.path()) };
    let refused = Node::builder(renamed).shared_runtime(runtime.clone()).start().await;
    assert!(matches!(refused, Err(crate::node::NodeError::Renamed { .. })), "{refused:?}");
    let unnamed = NodeConfig { name: None, ..config(dir.path()) };
    let node = Node::builder(unnamed).shared_runtime(runtime).start().await.unwrap();
    assert_eq!(node.name().as_str(), "node-a");
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn nothing_secret_is_on_disk_in_the_clear() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = Arc::new(FakeRuntime::new());
    let node = start(dir.path(), &runtime).await;
    let made = node.init(&"admin".parse().unwrap()).await.unwrap();
    node.client().apply(stack("a-very-secret-greeting", 1)).await.unwrap();
    reach(&node.client(), Goal::Running, Some(1)).await;
    node.shutdown().await.unwrap();
    let mut files = Vec::new();
    walk(&dir.path().join("data"), &mut files);
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        for secret in ["a-very-secret-greeting", &made.token] {
            let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!found, "{} holds a secret", file.display());
        }
    }
}

fn walk(dir: &Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, into);
        } else {
            into.push(path);
        }
    }
}

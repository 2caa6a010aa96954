//! Several nodes in this process: joining, leaving, losing one.

use std::path::PathBuf;

use jaco_api::model::{NodeStatus, RaftRole, ReplicaState};
use jaco_client::{Apply, NodeSummary};

use super::*;

/// A node with its own directory and engine.
pub(super) struct Host {
    pub(super) node: Node,
    pub(super) runtime: Arc<FakeRuntime>,
    _dir: tempfile::TempDir,
}

impl Host {
    async fn start(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = Arc::new(FakeRuntime::new());
        let node = begin(dir.path().join("data"), name, &runtime).await;
        Self { node, runtime, _dir: dir }
    }

    pub(super) fn client(&self) -> Client {
        self.node.client()
    }
}

async fn begin(data: PathBuf, name: &str, runtime: &Arc<FakeRuntime>) -> Node {
    let config = NodeConfig::new(data).named(name.parse().unwrap());
    Node::builder(config).shared_runtime(runtime.clone()).start().await.unwrap()
}

async fn token(host: &Host) -> (String, String) {
    let issued = host.client().issue_join_token(None).await.unwrap();
    (issued.peer, issued.token)
}

/// A cluster of these nodes; the first one founded it.
pub(super) async fn cluster(names: &[&str]) -> Vec<Host> {
    let mut hosts: Vec<Host> = Vec::new();
    for name in names {
        let host = Host::start(name).await;
        match hosts.first() {
            None => drop(host.node.init(&"admin".parse().unwrap()).await.unwrap()),
            Some(first) => {
                let (peer, token) = token(first).await;
                host.client().join(&peer, &token).await.unwrap();
            }
        }
        hosts.push(host);
    }
    for host in &hosts {
        ready(&host.client(), names.len()).await;
    }
    hosts
}

/// Waits until a node sees so many nodes, all of them ready.
async fn ready(client: &Client, count: usize) -> Vec<NodeSummary> {
    eventually(client, "every node to be ready", |c| async move {
        let nodes = c.nodes().await.ok()?;
        let all = nodes.iter().all(|n| n.node.status == NodeStatus::Ready);
        (all && nodes.len() == count).then_some(nodes)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_join_over_tls_and_every_node_knows_and_serves_them() {
    let hosts = cluster(&["a", "b", "c"]).await;
    for host in &hosts {
        let voters = eventually(&host.client(), "three voters", |c| async move {
            let nodes = c.nodes().await.ok()?;
            let votes = |n: &&NodeSummary| n.role != RaftRole::Learner;
            (nodes.iter().filter(votes).count() == 3).then_some(nodes)
        })
        .await;
        assert_eq!(voters.len(), 3);
    }
    // A write through a node that does not lead is seen on all.
    hosts[2].client().set_setting("revision_retention", "7").await.unwrap();
    for host in &hosts {
        eventually(&host.client(), "the setting", |c| async move {
            let all = c.settings().await.ok()?;
            (all["revision_retention"] == "7").then_some(())
        })
        .await;
    }
    // One that is a member already joins nothing.
    let (peer, token) = token(&hosts[0]).await;
    let again = hosts[1].client().join(&peer, &token).await;
    assert_eq!(code(again), ErrorCode::ClusterAlreadyInitialized);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn join_tokens_work_once_for_one_name_and_only_against_their_ca() {
    let hosts = cluster(&["a", "b"]).await;
    let other = Host::start("x").await;
    other.node.init(&"admin".parse().unwrap()).await.unwrap();
    let fresh = Host::start("c").await;

    let (peer, good) = token(&hosts[0]).await;
    let (other_peer, _) = token(&other).await;
    let wrong_ca = fresh.client().join(&other_peer, &good).await;
    assert_eq!(code(wrong_ca), ErrorCode::CaMismatch);
    let forged = format!("{}{}", "0".repeat(64), &good[64..]);
    assert_eq!(code(fresh.client().join(&peer, &forged).await), ErrorCode::JoinTokenInvalid);
    assert_eq!(code(fresh.client().join(&peer, "nonsense").await), ErrorCode::JoinTokenInvalid);
    let nobody = fresh.client().join("127.0.0.1:1", &good).await;
    assert_eq!(code(nobody), ErrorCode::PeerUnreachable);

    let twin = Host::start("b").await;
    assert_eq!(code(twin.client().join(&peer, &good).await), ErrorCode::NodeAlreadyMember);
    // Any member admits, and the token of a refused attempt is still good.
    let through = hosts[1].client().nodes().await.unwrap();
    let b = through.iter().find(|n| n.node.name == "b").unwrap().node.facts.api_addr;
    fresh.client().join(&b.to_string(), &good).await.unwrap();
    let late = Host::start("d").await;
    assert_eq!(code(late.client().join(&peer, &good).await), ErrorCode::JoinTokenConsumed);
    let short = hosts[0].client().issue_join_token(Some(Duration::from_millis(1))).await.unwrap();
    eventually(&late.client(), "the token to expire", |c| {
        let (peer, token) = (short.peer.clone(), short.token.clone());
        async move {
            (code(c.join(&peer, &token).await) == ErrorCode::JoinTokenExpired).then_some(())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_node_is_empty_and_can_join_again() {
    let hosts = cluster(&["a", "b", "c"]).await;
    let client = hosts[0].client();
    client.remove_node(&"c".parse().unwrap(), false).await.unwrap();
    eventually(&client, "two nodes", |c| async move {
        (c.nodes().await.ok()?.len() == 2).then_some(())
    })
    .await;
    eventually(&hosts[2].client(), "c to be no member", |c| async move {
        (!c.cluster_status().await.ok()?.initialized).then_some(())
    })
    .await;
    assert!(hosts[2].runtime.containers().is_empty());
    let (peer, token) = token(&hosts[1]).await;
    hosts[2].client().join(&peer, &token).await.unwrap();
    let nodes = ready(&hosts[2].client(), 3).await;
    let number = |name: &str| nodes.iter().find(|n| n.node.name == name).unwrap().node.id.0;
    assert_eq!(number("c"), 4, "a number is not given out again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_is_down_and_comes_back() {
    let mut hosts = cluster(&["a", "b", "c"]).await;
    let gone = hosts.pop().unwrap();
    let Host { node, runtime, _dir: dir } = gone;
    node.shutdown().await.unwrap();
    eventually(&hosts[0].client(), "c to be down", |c| async move {
        let nodes = c.nodes().await.ok()?;
        nodes.iter().any(|n| n.node.status == NodeStatus::Down).then_some(())
    })
    .await;
    let _back = begin(dir.path().join("data"), "c", &runtime).await;
    ready(&hosts[1].client(), 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_key_is_replaced_while_everything_runs() {
    let hosts = cluster(&["a", "b", "c"]).await;
    assert_eq!(hosts[1].client().rotate_key().await.unwrap(), 2);
    assert_eq!(hosts[2].client().rotate_key().await.unwrap(), 3);
    // Whoever joins afterwards is signed for with the CA's key under the new data key.
    let (peer, token) = token(&hosts[0]).await;
    let fresh = Host::start("d").await;
    fresh.client().join(&peer, &token).await.unwrap();
    ready(&fresh.client(), 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_is_handed_over_on_request() {
    let hosts = cluster(&["a", "b", "c"]).await;
    let client = hosts[0].client();
    eventually(&client, "three voters", |c| async move {
        let nodes = c.nodes().await.ok()?;
        nodes.iter().all(|n| n.role != RaftRole::Learner).then_some(())
    })
    .await;
    let leader = client.transfer_leader(Some(&"b".parse().unwrap())).await.unwrap();
    assert_eq!(leader.as_str(), "b");
    let unknown = client.transfer_leader(Some(&"z".parse().unwrap())).await;
    assert_eq!(code(unknown), ErrorCode::UnknownNode);
    eventually(&client, "b to lead", |c| async move {
        (c.cluster_status().await.ok()?.leader?.as_str() == "b").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_singleton_ends_on_a_node_that_nobody_answers() {
    let mut hosts = cluster(&["a", "b"]).await;
    for host in &hosts {
        host.runtime.add_image("one:1");
    }
    let apply = Apply {
        jaco: "deployment: shop\nservices: [{ name: one, placement: hosts, hosts: [b] }, { name: web, placement: hosts, hosts: [b] }]\n".into(),
        compose: "services:\n  one:\n    image: one:1\n    deploy: { labels: { jaco.io/singleton: \
                  \"true\" } }\n  web:\n    image: one:1\n"
            .into(),
        ..Apply::default()
    };
    hosts[0].client().apply(apply).await.unwrap();
    let cut_off = hosts.pop().unwrap();
    let running = |runtime: &FakeRuntime| {
        let all = runtime.containers();
        all.iter().filter(|c| c.status.is_alive()).count()
    };
    eventually(&hosts[0].client(), "both to run", |c| {
        let runtime = cut_off.runtime.clone();
        async move {
            let view = c.status(&Default::default()).await.ok()?;
            let up = view.replicas().filter(|r| r.state == ReplicaState::Running).count();
            (up == 2 && running(&runtime) == 2).then_some(())
        }
    })
    .await;
    hosts.pop().unwrap().node.shutdown().await.unwrap();
    // Nobody will ever answer it again, so only its own lease can end the singleton.
    eventually(&cut_off.client(), "the singleton to end", |_| {
        let runtime = cut_off.runtime.clone();
        async move { (running(&runtime) == 1).then_some(()) }
    })
    .await;
}

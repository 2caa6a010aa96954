//! A member's end of the mesh: who is told of it, and how its key is made anew.

use std::path::PathBuf;

use futures::StreamExt as _;
use jaco_api::model::{AuditEvent, AuditKind, MeshKey, MeshKeyRotation, NodeName};
use jaco_client::AuditFilter;
use jaco_net::{MeshDevice as _, PeerStatus, mesh::KeyFile, testing::FakeMesh};

use super::{super::Mesh, *};

struct Host {
    node: Node,
    mesh: Arc<FakeMesh>,
    runtime: Arc<FakeRuntime>,
    dir: tempfile::TempDir,
}

impl Host {
    async fn start(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (runtime, mesh) = (Arc::new(FakeRuntime::new()), Arc::new(FakeMesh::default()));
        let node = begin(dir.path(), name, &runtime, &mesh).await;
        Self { node, mesh, runtime, dir }
    }

    fn key_file(&self) -> PathBuf {
        self.dir.path().join("data/wg/private.key")
    }

    fn in_file(&self) -> MeshKey {
        KeyFile::at(self.key_file()).load().unwrap().unwrap().public()
    }

    /// The keys of the other ends that the device holds.
    async fn peers(&self) -> Vec<MeshKey> {
        self.mesh.peers().await.unwrap().into_keys().collect()
    }

    async fn rotations(&self) -> Vec<AuditEvent> {
        let query =
            AuditFilter { kinds: vec![AuditKind::MeshKeyRotated], ..AuditFilter::default() };
        let events = self.node.client().audit(&query).await.unwrap();
        events.map(Result::unwrap).collect().await
    }
}

async fn begin(dir: &Path, name: &str, runtime: &Arc<FakeRuntime>, mesh: &Arc<FakeMesh>) -> Node {
    let config = NodeConfig::new(dir.join("data")).named(name.parse().unwrap());
    let builder = Node::builder(config).shared_runtime(runtime.clone());
    builder.mesh(Mesh::shared(mesh.clone())).start().await.unwrap()
}

fn name(node: &str) -> NodeName {
    node.parse().unwrap()
}

/// Two members with tunnels to each other.
async fn pair() -> (Host, Host) {
    let (a, b) = (Host::start("a").await, Host::start("b").await);
    a.node.init(&"admin".parse().unwrap()).await.unwrap();
    let issued = a.node.client().issue_join_token(None).await.unwrap();
    b.node.client().join(&issued.peer, &issued.token).await.unwrap();
    tunnelled(&a, &b).await;
    tunnelled(&b, &a).await;
    (a, b)
}

/// Waits until the device of `from` has exactly the end of `to`.
async fn tunnelled(from: &Host, to: &Host) {
    eventually(&from.node.client(), "a tunnel", |_| async {
        (from.peers().await == [to.mesh.own()?]).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_made_anew_through_another_node_and_everybody_follows() {
    let (a, b) = pair().await;
    let former = b.mesh.own().unwrap();
    let rotation = a.node.client().rotate_mesh_key(&name("b")).await.unwrap();
    let MeshKeyRotation { node, former: told, public_key } = rotation;
    assert_eq!((node.as_str(), told), ("b", former));
    assert_ne!(public_key, former);
    assert_eq!((b.in_file(), b.mesh.own()), (public_key, Some(public_key)));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(b.key_file()).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    tunnelled(&a, &b).await;
    assert_eq!(b.peers().await, [a.mesh.own().unwrap()], "what was not rotated stays");
    let [event] = a.rotations().await.try_into().unwrap();
    assert_eq!(event.payload["node"], "b");
    assert_eq!(event.payload["former"], former.to_string());
    assert_eq!(event.payload["public_key"], public_key.to_string());
    let actor = (event.actor.identity.as_str(), event.actor.node.as_ref().map(NodeName::as_str));
    assert_eq!(actor, ("local", Some("a")), "whoever asked, where they asked");
    // And once more, on the node itself.
    let again = b.node.client().rotate_mesh_key(&name("b")).await.unwrap();
    assert_eq!(again.former, public_key);
    tunnelled(&a, &b).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_in_the_file_is_the_one_that_is_told_after_a_start() {
    let (a, b) = pair().await;
    let former = b.mesh.own().unwrap();
    let Host { node, mesh, runtime, dir } = b;
    // It ends between keeping the key and telling of it.
    let next = jaco_net::PrivateKey::generate();
    KeyFile::at(dir.path().join("data/wg/private.key")).replace(&next).unwrap();
    node.shutdown().await.unwrap();
    let b = Host { node: begin(dir.path(), "b", &runtime, &mesh).await, mesh, runtime, dir };
    eventually(&a.node.client(), "the new key", |_| async {
        (a.peers().await == [next.public()]).then_some(())
    })
    .await;
    assert_eq!(b.mesh.own(), Some(next.public()));
    let events = eventually(&a.node.client(), "the audit event", |_| async {
        Some(a.rotations().await).filter(|events| !events.is_empty())
    })
    .await;
    let [event] = events.as_slice() else { panic!("{events:#?}") };
    assert_eq!(event.payload["former"], former.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_says_how_its_tunnels_are_wherever_it_is_asked_for() {
    let (a, b) = pair().await;
    let heard = PeerStatus {
        endpoint: Some("192.0.2.7:51820".parse().unwrap()),
        last_handshake: Some(Duration::from_secs(3)),
        received: 10,
        sent: 20,
    };
    b.mesh.hear(a.mesh.own().unwrap(), heard);
    for asked in [&a, &b] {
        // A machine with more to do may take longer than a node is given.
        let now = eventually(&asked.node.client(), "what b says itself", |client| async move {
            client.node(&name("b")).await.unwrap().mesh_now
        })
        .await;
        assert_eq!(Some(now.public_key), b.mesh.own());
        let [peer] = now.peers.as_slice() else { panic!("{now:#?}") };
        assert_eq!((peer.node.as_str(), peer.handshake_ms), ("a", Some(3_000)));
        assert_eq!((peer.received, peer.sent), (10, 20));
    }
    b.node.shutdown().await.unwrap();
    let detail = eventually(&a.node.client(), "why b says nothing", |client| async move {
        let detail = client.node(&name("b")).await.unwrap();
        detail.mesh_unknown.is_some().then_some(detail)
    })
    .await;
    assert!(detail.mesh_now.is_none(), "{detail:#?}");
    let unreachable = a.node.client().rotate_mesh_key(&name("b")).await;
    assert_eq!(code(unreachable), ErrorCode::NodeUnreachable);
    assert_eq!(code(a.node.client().rotate_mesh_key(&name("x")).await), ErrorCode::UnknownNode);
}

#[tokio::test]
async fn a_node_without_a_mesh_has_no_key_to_rotate() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path(), &Arc::new(FakeRuntime::new())).await;
    node.init(&"admin".parse().unwrap()).await.unwrap();
    let refused = node.client().rotate_mesh_key(node.name()).await;
    assert_eq!(code(refused), ErrorCode::ValidationFailed);
    let detail = node.client().node(node.name()).await.unwrap();
    assert_eq!((detail.mesh_now, detail.mesh_unknown), (None, None));
    node.shutdown().await.unwrap();
}

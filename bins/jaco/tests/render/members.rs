//! What the commands for members print.

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::ReplicaState,
};
use jaco_client::testing::{FakeCluster, pb};

use super::{replica, said};

fn node(
    name: &str,
    condition: pb::NodeCondition,
    availability: pb::Availability,
) -> pb::NodeSummary {
    pb::NodeSummary {
        node: Some(pb::Node {
            id: 2,
            name: name.into(),
            condition: condition.into(),
            availability: availability.into(),
            facts: Some(pb::NodeFacts {
                api_addr: "10.0.0.2:7000".into(),
                raft_addr: "10.0.0.2:7001".into(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        role: pb::RaftRole::Voter.into(),
        ..Default::default()
    }
}

/// A member that is ready.
pub(super) fn node_b() -> pb::NodeSummary {
    node("node-b", pb::NodeCondition::Ready, pb::Availability::Active)
}

fn two() -> FakeCluster {
    let fake = FakeCluster::default();
    fake.edit(|t| {
        t.cluster.node = "node-b".into();
        t.nodes = ["node-a", "node-b"]
            .map(|n| node(n, pb::NodeCondition::Ready, pb::Availability::Active))
            .into();
    });
    fake
}

#[tokio::test]
async fn a_node_is_let_in() {
    let fake = two();
    let issue = ["node", "issue-join-token", "--ttl", "1h", "--show-ca"];
    insta::assert_snapshot!("join_token", said(&fake, &issue).await);
    let json = ["node", "issue-join-token", "-o", "json"];
    insta::assert_snapshot!("join_token_json", said(&fake, &json).await);
    let join = ["node", "join", "--peer", "10.0.0.1:7000", "--token", "T", "--no-systemd-enable"];
    insta::assert_snapshot!("join", said(&fake, &join).await);
    let code = ErrorCode::JoinTokenConsumed;
    fake.refuse(ApiError::new(code, "the token was used by node-c"));
    insta::assert_snapshot!("join_refused", said(&fake, &join).await);
    assert_eq!(fake.calls()[0], "issue join token 3600000");
}

#[tokio::test]
async fn a_node_that_is_not_ready_in_time_says_why() {
    let fake = two();
    fake.edit(|t| {
        let mut slow = node("node-b", pb::NodeCondition::Joining, pb::Availability::Active);
        slow.node.as_mut().unwrap().reason = Some("31 entries behind".into());
        t.nodes[1] = slow;
    });
    let join = "node join --peer a:7000 --token T --no-systemd-enable --timeout 1ms";
    let args: Vec<_> = join.split(' ').collect();
    insta::assert_snapshot!(said(&fake, &args).await);
}

#[tokio::test]
async fn a_node_is_emptied_and_removed() {
    let fake = two();
    insta::assert_snapshot!("cordon", said(&fake, &["node", "cordon", "node-b"]).await);
    insta::assert_snapshot!("uncordon", said(&fake, &["node", "uncordon", "node-b"]).await);
    let drain = ["node", "drain", "node-b", "--wait=1ms"];
    insta::assert_snapshot!("drain", said(&fake, &drain).await);
    fake.insert_replica(replica("shop.web.2", "node-b", ReplicaState::Running));
    insta::assert_snapshot!("drain_timed_out", said(&fake, &drain).await);
    fake.refuse(
        ApiError::new(ErrorCode::DrainBlocked, "1 replica of node-b cannot move")
            .with("replica 1", "shop.db.1: its data is on node-b")
            .with("hint", "--force gives them up; volumes stay on the node"),
    );
    insta::assert_snapshot!("drain_blocked", said(&fake, &drain).await);
    insta::assert_snapshot!("remove", said(&fake, &["node", "remove", "node-b", "--force"]).await);
    insta::assert_snapshot!("remove_again", said(&fake, &["node", "remove", "node-b"]).await);
    assert!(fake.calls().contains(&"remove node-b true".to_owned()));
}

#[tokio::test]
async fn labels_leadership_and_keys() {
    let fake = two();
    let label = ["node", "label", "node-b", "zone=eu-1", "disk-"];
    insta::assert_snapshot!("label", said(&fake, &label).await);
    insta::assert_snapshot!(
        "label_malformed",
        said(&fake, &["node", "label", "node-b", "x"]).await
    );
    insta::assert_snapshot!("transfer", said(&fake, &["cluster", "transfer-leader"]).await);
    insta::assert_snapshot!("rotate", said(&fake, &["cluster", "set", "rotate-key"]).await);
    insta::assert_snapshot!("rotate_to", said(&fake, &["cluster", "set", "rotate-key", "x"]).await);
    insta::assert_snapshot!("set_nothing", said(&fake, &["cluster", "set", "acme_email"]).await);
}

/// Two members with tunnels to each other; the second one is asked about.
fn meshed() -> FakeCluster {
    let fake = two();
    fake.edit(|t| {
        for (summary, kind) in
            t.nodes.iter_mut().zip([pb::MeshKind::Kernel, pb::MeshKind::Userspace])
        {
            let row = summary.node.as_mut().unwrap();
            row.mesh_address = Some("10.243.0.2".into());
            row.facts.as_mut().unwrap().mesh = Some(pb::MeshFacts {
                public_key: "01".repeat(32),
                endpoint: "10.0.0.2:51820".into(),
                device: kind.into(),
                reason: Some("configured".into()),
            });
        }
        t.nodes.push(node("node-c", pb::NodeCondition::Ready, pb::Availability::Active));
        t.nodes.push(node("node-d", pb::NodeCondition::Joining, pb::Availability::Active));
        let peer = |node: &str, handshake_ms| pb::MeshPeerStatus {
            node: node.into(),
            public_key: "03".repeat(32),
            endpoint: Some("10.0.0.1:51820".into()),
            handshake_ms,
            received: 3 << 20,
            sent: 1_500,
        };
        let status = pb::MeshStatus {
            device: pb::MeshKind::Userspace.into(),
            reason: Some("configured".into()),
            interface: "jaco0".into(),
            public_key: "01".repeat(32),
            listen_port: 51_820,
            address: Some("10.243.0.2".into()),
            peers: vec![
                peer("node-a", Some(61_000)),
                pb::MeshPeerStatus {
                    node: "node-e".into(),
                    public_key: "04".repeat(32),
                    ..Default::default()
                },
            ],
        };
        t.meshes.insert("node-b".into(), status);
    });
    fake
}

#[tokio::test]
async fn the_mesh_of_nodes_and_of_one_of_them() {
    let fake = meshed();
    insta::assert_snapshot!("mesh_list", said(&fake, &["node", "list"]).await);
    insta::assert_snapshot!("mesh_inspect", said(&fake, &["node", "inspect", "node-b"]).await);
    let json = ["node", "inspect", "node-b", "-o", "json"];
    insta::assert_snapshot!("mesh_inspect_json", said(&fake, &json).await);
    insta::assert_snapshot!("mesh_off", said(&fake, &["node", "inspect", "node-c"]).await);
    fake.edit(|t| t.silent = Some("node node-b does not answer: connection refused".into()));
    insta::assert_snapshot!("mesh_silent", said(&fake, &["node", "inspect", "node-b"]).await);
}

#[tokio::test]
async fn a_mesh_key_is_rotated() {
    let fake = meshed();
    let rotate = ["node", "rotate-key", "node-b"];
    insta::assert_snapshot!("rotate_mesh_key", said(&fake, &rotate).await);
    let json = ["node", "rotate-key", "node-b", "-o", "json"];
    insta::assert_snapshot!("rotate_mesh_key_json", said(&fake, &json).await);
    fake.refuse(
        ApiError::new(ErrorCode::ValidationFailed, "node node-b has no mesh")
            .with("hint", "`mesh: off` is in its jacod.yaml"),
    );
    insta::assert_snapshot!("rotate_mesh_key_off", said(&fake, &rotate).await);
    assert_eq!(fake.calls()[0], "rotate mesh key node-b");
}

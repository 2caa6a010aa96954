//! The creation of a cluster, cut short after each of its steps.

use jaco_api::model::{Identity, Principal, Role};

use super::*;

/// Steps of a creation, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Assembled,
    LogBegun,
    CertificatesWritten,
    Committed,
    MembershipNoted,
}

fn local() -> Principal {
    Principal {
        identity: Identity::local(),
        role: Role::Admin,
        deployments: Vec::new(),
        allow_privileged: true,
        uid: None,
    }
}

/// Runs a creation up to a step and stops it there, as a crash would: nothing more is written.
async fn cut_short(dir: &Path, last: Step) {
    let runtime = Arc::new(FakeRuntime::new());
    let builder = Node::builder(config(dir)).shared_runtime(runtime);
    let mut keeper = builder.assemble().await.unwrap().keeper;
    if last >= Step::LogBegun {
        let consensus = keeper.prepare_log().await.unwrap();
        keeper.refuse_second(&consensus).await.unwrap();
        let foundation = keeper.lay(&consensus, Identity::new("admin").unwrap()).unwrap();
        if last >= Step::CertificatesWritten {
            keeper.write_certificates(&foundation).unwrap();
        }
        if last >= Step::Committed {
            keeper.commit(&consensus, &local(), &foundation).await.unwrap();
        }
        if last >= Step::MembershipNoted {
            keeper.become_member(keeper.founder_of(foundation.cluster)).await.unwrap();
        }
    }
    keeper.wind_down().await;
}

#[tokio::test]
async fn a_creation_cut_short_anywhere_is_done_or_can_be_done_again() {
    for last in [
        Step::Assembled,
        Step::LogBegun,
        Step::CertificatesWritten,
        Step::Committed,
        Step::MembershipNoted,
    ] {
        let dir = tempfile::tempdir().unwrap();
        cut_short(dir.path(), last).await;
        let runtime = Arc::new(FakeRuntime::new());
        let node = start(dir.path(), &runtime).await;
        let exists = last >= Step::Committed;
        assert_eq!(node.status().await.unwrap().initialized, exists, "{last:?}");
        if exists {
            let again = node.init(&Identity::new("admin").unwrap()).await;
            assert_eq!(code(again), ErrorCode::ClusterAlreadyInitialized, "{last:?}");
        } else {
            node.init(&Identity::new("admin").unwrap()).await.unwrap();
        }
        let before = node.status().await.unwrap();
        node.shutdown().await.unwrap();
        let node = start(dir.path(), &runtime).await;
        assert_eq!(node.status().await.unwrap().cluster_id, before.cluster_id, "{last:?}");
        node.client().set_setting("revision_retention", "4").await.unwrap();
        node.shutdown().await.unwrap();
    }
}

/// The certificates of an attempt that came to nothing must not pass for those of the cluster.
#[tokio::test]
async fn certificates_of_another_attempt_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    cut_short(dir.path(), Step::Committed).await;
    let other = tempfile::tempdir().unwrap();
    cut_short(other.path(), Step::CertificatesWritten).await;
    for file in ["ca.crt", "node-a.crt", "node-a.key"] {
        let from = other.path().join("data/node").join(file);
        std::fs::copy(from, dir.path().join("data/node").join(file)).unwrap();
    }
    let node = start(dir.path(), &Arc::new(FakeRuntime::new())).await;
    let status = node.status().await.unwrap();
    let ca = std::fs::read_to_string(dir.path().join("data/node/ca.crt")).unwrap();
    assert_eq!(status.ca_fingerprint, Some(crate::pki::fingerprint(&ca).unwrap()));
    node.shutdown().await.unwrap();
}

use jaco_api::model::{Identity, Role};
use jaco_client::{Initialized, IssueToken, Trust};

use super::*;

pub(super) struct Remote {
    pub(super) node: Node,
    made: Initialized,
    _dir: tempfile::TempDir,
}

impl Remote {
    pub(super) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let node = start(dir.path(), &Arc::new(FakeRuntime::new())).await;
        let made = node.init(&"admin".parse().unwrap()).await.unwrap();
        Self { node, made, _dir: dir }
    }

    pub(super) async fn with_token(&self, token: &str) -> Client {
        Client::builder()
            .server(self.made.api_addr.clone())
            .token(token.to_owned())
            .trust(Trust::Fingerprint(self.made.ca_fingerprint.clone()))
            .connect()
            .await
            .unwrap()
    }

    pub(super) async fn token(&self, name: &str, role: Role, ttl: Option<Duration>) -> String {
        let wish = IssueToken {
            identity: name.parse().unwrap(),
            role,
            deployments: Vec::new(),
            allow_privileged: false,
            ttl,
            rotate: false,
        };
        self.node.client().issue_token(&wish).await.unwrap().token
    }
}

#[tokio::test]
async fn tokens_decide_what_a_remote_caller_may_do() {
    let remote = Remote::start().await;
    let admin = remote.with_token(&remote.made.token).await;
    assert!(admin.cluster_status().await.unwrap().initialized);
    admin.set_setting("revision_retention", "5").await.unwrap();
    assert_eq!(code(admin.cluster_init("again").await), ErrorCode::PermissionDenied);

    let viewer = remote.token("eye", Role::Viewer, None).await;
    let viewer = remote.with_token(&viewer).await;
    assert_eq!(viewer.nodes().await.unwrap().len(), 1);
    let denied = viewer.set_setting("revision_retention", "9").await;
    assert_eq!(code(denied), ErrorCode::PermissionDenied);
    let denied = viewer.delete(&"shop".parse().unwrap(), false).await;
    assert_eq!(code(denied), ErrorCode::PermissionDenied);
    let denied = viewer.rotate_mesh_key(&"node-a".parse().unwrap()).await;
    assert_eq!(code(denied), ErrorCode::PermissionDenied);

    let expired = remote.token("late", Role::Admin, Some(Duration::from_millis(1))).await;
    let expired = remote.with_token(&expired).await;
    eventually(&expired, "the token to expire", |c| async move {
        let answer = c.nodes().await.err()?;
        (answer.code() == Some(ErrorCode::TokenExpired)).then_some(())
    })
    .await;

    let revoked = remote.token("gone", Role::Admin, None).await;
    let revoked = remote.with_token(&revoked).await;
    revoked.nodes().await.unwrap();
    remote.node.client().revoke_token(&Identity::new("gone").unwrap()).await.unwrap();
    assert_eq!(code(revoked.nodes().await), ErrorCode::TokenRevoked);
    assert_eq!(admin.settings().await.unwrap()["revision_retention"], "5");
    remote.node.shutdown().await.unwrap();
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let remote = Remote::start().await;
    let guess = remote.with_token(&"0".repeat(64)).await;
    for _ in 0..10 {
        assert_eq!(code(guess.nodes().await), ErrorCode::TokenInvalid);
    }
    assert_eq!(code(guess.nodes().await), ErrorCode::RateLimited);
    remote.node.client().nodes().await.unwrap();
    remote.node.shutdown().await.unwrap();
}

#[tokio::test]
async fn plaintext_and_unknown_authorities_are_refused() {
    let remote = Remote::start().await;
    let plain = tonic::transport::Endpoint::from_shared(format!("http://{}", remote.made.api_addr));
    let answer = async {
        let channel = plain.unwrap().connect().await.map_err(|e| e.to_string())?;
        jaco_api::pb::cluster_client::ClusterClient::new(channel)
            .status(jaco_api::pb::ClusterStatusRequest {})
            .await
            .map_err(|e| e.to_string())
    };
    assert!(answer.await.is_err());
    let other = Client::builder()
        .server(remote.made.api_addr.clone())
        .token(remote.made.token.clone())
        .trust(Trust::Fingerprint(format!("sha256:{}", "0".repeat(64))))
        .connect()
        .await;
    assert!(matches!(other, Err(Error::CaMismatch { .. })), "{other:?}");
    remote.node.shutdown().await.unwrap();
}

//! Who may: on one real node, over TLS with tokens.

use futures::TryStreamExt as _;
use jaco_api::{
    error::ErrorCode,
    model::{AuditKind, ExecCommand, Role},
};
use jaco_client::{AuditFilter, Goal, IssueToken, Trust};

use super::{
    super::{code, deploying, start},
    *,
};

#[tokio::test]
async fn containers_are_for_deployers_of_their_deployment_and_every_use_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = Arc::new(FakeRuntime::new());
    let node = start(dir.path(), &runtime).await;
    let made = node.init(&"admin".parse().unwrap()).await.unwrap();
    let local = node.client();
    local.apply(deploying::stack("hello", 1)).await.unwrap();
    deploying::reach(&local, Goal::Running, Some(1)).await;
    let with = async |identity: &str, role, deployments: &[&str]| {
        let wish = IssueToken {
            identity: identity.parse().unwrap(),
            role,
            deployments: deployments.iter().map(|d| (*d).to_owned()).collect(),
            allow_privileged: false,
            ttl: None,
            rotate: false,
        };
        let token = local.issue_token(&wish).await.unwrap().token;
        let builder = Client::builder().server(made.api_addr.clone()).token(token);
        builder.trust(Trust::Fingerprint(made.ca_fingerprint.clone())).connect().await.unwrap()
    };
    let (replica, command) = (
        id("shop.web.1"),
        ExecCommand { command: vec!["echo".to_owned(), "hi".to_owned()], ..ExecCommand::default() },
    );
    let denied = ErrorCode::PermissionDenied;
    for client in
        [with("eye", Role::Viewer, &[]).await, with("blog", Role::Deployer, &["blog"]).await]
    {
        let nothing = || futures::stream::empty();
        assert_eq!(code(client.exec(&target("shop.web.1"), &command).await), denied);
        assert_eq!(code(client.path(&replica, "/").await), denied);
        assert_eq!(code(client.copy_out(&replica, "/").await.map(drop)), denied);
        assert_eq!(code(client.copy_in(&replica, "/", nothing()).await), denied);
        assert_eq!(code(client.forward(&target("shop.web.1"), 80).await), denied);
        // Looking is for everybody.
        client.top(std::time::Duration::from_millis(100)).await.unwrap();
    }
    let deployer = with("ci", Role::Deployer, &["sh*"]).await;
    let exec = deployer.exec(&target("shop.web.1"), &command).await.unwrap();
    assert_eq!(to_the_end(exec.output).await.0, "hi\n");
    let filter = AuditFilter { kinds: vec![AuditKind::Exec], ..AuditFilter::default() };
    let noted: Vec<_> = local.audit(&filter).await.unwrap().try_collect().await.unwrap();
    let [event] = noted.as_slice() else { panic!("{noted:?}") };
    assert_eq!((event.actor.identity.as_str(), event.payload["program"].as_str()), ("ci", "echo"));
    node.shutdown().await.unwrap();
}

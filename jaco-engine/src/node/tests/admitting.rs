//! Which manifests are let in, by whom, and what is written down of it.

use futures::TryStreamExt as _;
use jaco_api::{
    manifest::{Source, check},
    model::{AuditKind, Role},
};
use jaco_client::{Apply, AuditFilter, IssueToken};

use super::{deploying::stack, remote::Remote, *};

#[tokio::test]
async fn the_answer_to_an_apply_is_the_list_of_the_validator() {
    let remote = Remote::start().await;
    let broken = || Apply {
        jaco: "deployment: shop\nroutes: [{service: wbe, port: 80}, {service: wbe, port: 0}]\n"
            .to_owned(),
        compose:
            "services:\n  web:\n    imagge: web:1\n    restart: always\n    ports: [x, '80:80']\n  \
                  api: {image: a, depends_on: [wbe]}\n"
                .to_owned(),
        ..stack("", 1)
    };
    let source = |name: String, text: String| Source { name, text };
    let (jaco, compose) = (broken(), broken());
    let found =
        check(&source(jaco.jaco_name, jaco.jaco), &source(compose.compose_name, compose.compose))
            .unwrap_err();
    assert!(found.len() >= 6, "{found:?}");
    for dry_run in [true, false] {
        let refused = remote.node.client().apply(Apply { dry_run, ..broken() }).await;
        let Err(Error::Api(error)) = refused else { panic!("it was accepted") };
        assert_eq!(error.diagnostics, found);
    }
    remote.node.shutdown().await.unwrap();
}

/// A stack that mounts a directory of its host.
fn mounting(path: &str, labelled: bool) -> Apply {
    Apply {
        compose: format!(
            "services: {{web: {{image: web:1, volumes: ['{path}:/d'], \
             labels: {{jaco.io/allow-privileged: '{labelled}'}}}}}}\n"
        ),
        ..stack("", 1)
    }
}

/// A change, and the same as a dry run: both get one verdict.
fn both(apply: impl Fn() -> Apply) -> [Apply; 2] {
    [Apply { dry_run: true, ..apply() }, apply()]
}

/// Who was let in, and why that had to be written down.
async fn admissions(client: &Client) -> Vec<(String, String)> {
    let kinds = vec![AuditKind::PrivilegedWorkloadAdmitted];
    let events = client.audit(&AuditFilter { kinds, ..AuditFilter::default() }).await.unwrap();
    let events: Vec<_> = events.try_collect().await.unwrap();
    events
        .into_iter()
        .map(|e| (e.actor.identity.to_string(), e.payload["reasons"].clone()))
        .collect()
}

#[tokio::test]
async fn operators_say_which_directories_anybody_may_mount() {
    let remote = Remote::start().await;
    let client = remote.node.client();
    let refused = async |path: &str| {
        for apply in both(|| mounting(path, false)) {
            assert_eq!(code(client.apply(apply).await), ErrorCode::PrivilegeDenied, "{path}");
        }
    };
    refused("/srv/data").await;
    client.set_setting("bind_allowlist", "/srv/data/,/mnt").await.unwrap();
    assert_eq!(client.settings().await.unwrap()["bind_allowlist"], "/mnt,/srv/data");
    for path in ["/srv/database", "/srv", "/srv/data/docker.sock", "/etc", "/srv/data/../../etc"] {
        refused(path).await;
    }
    for apply in both(|| mounting("/srv/data/x", false)) {
        client.apply(apply).await.unwrap();
    }
    assert_eq!(admissions(&client).await, [], "nothing had to be admitted");
    for wrong in ["/", "srv", "/etc/ssl", "/srv/../etc"] {
        let setting = client.set_setting("bind_allowlist", wrong).await;
        assert_eq!(code(setting), ErrorCode::ValidationFailed, "{wrong}");
    }
    client.set_setting("bind_allowlist", "").await.unwrap();
    refused("/srv/data/y").await;
    remote.node.shutdown().await.unwrap();
}

#[tokio::test]
async fn rights_need_label_and_token_and_are_audited_with_who_and_why() {
    let remote = Remote::start().await;
    let local = remote.node.client();
    local.set_setting("bind_allowlist", "/srv").await.unwrap();
    let plain = remote.token("plain", Role::Deployer, None).await;
    let plain = remote.with_token(&plain).await;
    let wish = IssueToken {
        identity: "root-like".parse().unwrap(),
        role: Role::Deployer,
        deployments: Vec::new(),
        allow_privileged: true,
        ttl: None,
        rotate: false,
    };
    let trusted = remote.with_token(&local.issue_token(&wish).await.unwrap().token).await;
    for apply in both(|| mounting("/etc", true)) {
        assert_eq!(code(plain.apply(apply).await), ErrorCode::PrivilegeDenied, "no right");
    }
    for apply in both(|| mounting("/etc", false)) {
        assert_eq!(code(trusted.apply(apply).await), ErrorCode::PrivilegeDenied, "no label");
    }
    for apply in both(|| mounting("/srv/x", false)) {
        plain.apply(apply).await.unwrap();
    }
    trusted.apply(mounting("/etc", true)).await.unwrap();
    local.apply(mounting("/opt", true)).await.unwrap();
    let found = admissions(&local).await;
    let why: Vec<&str> = found.iter().map(|(_, why)| why.as_str()).collect();
    assert_eq!(why, ["bind mount of /etc", "bind mount of /opt"]);
    assert_eq!(found[0].0, "root-like");
    assert_ne!(found[1].0, "root-like");
    remote.node.shutdown().await.unwrap();
}

//! What commands print, against the cluster in memory.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod certs;
mod doctor;
mod files;
mod members;
mod runs;

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use clap::Parser as _;
use jaco_api::{
    error::{ApiError, ErrorCode},
    manifest::{Diagnostic, Severity},
    model::{
        Actor, AuditEvent, AuditKind, DeploymentState, DeploymentStatus, Health, Hidden, Identity,
        MemberStatus, NodeId, NodeStatus, PoolStatus, RaftRole, Reason, ReplicaEvent, ReplicaState,
        ReplicaStatus, RolloutPhase, RolloutStatus, RouteOptions, RouteSpec, ServiceStatus,
        Timestamp, TlsMode,
    },
};
use jaco_cli::{
    cli::{Cli, Format},
    commands,
    output::{Output, Width},
};
use jaco_client::testing::{FakeCluster, pb};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// A day after 1970: ages are counted from there.
const NOW: Timestamp = Timestamp(86_400_000);

const fn ago(seconds: u64) -> Timestamp {
    Timestamp(NOW.0 - seconds * 1000)
}

/// Everything an invocation printed, and its error as it would be reported.
async fn said(fake: &FakeCluster, args: &[&str]) -> String {
    said_on(fake, args, |_| ()).await
}

async fn said_on(fake: &FakeCluster, args: &[&str], set: impl FnOnce(&mut Output)) -> String {
    let cli = Cli::try_parse_from([&["jaco"], args].concat()).unwrap();
    let (stdout, stderr) = (Buffer::default(), Buffer::default());
    let (out, err) = (Box::new(stdout.clone()), Box::new(stderr.clone()));
    let mut out = Output::to_writers(out, err, cli.global.output, || NOW);
    set(&mut out);
    let result = commands::run(cli.command, &cli.global, &fake.client(), &mut out).await;
    let exit = result.err().map(|e| {
        let _ = out.fail(&e);
        e.exit_code()
    });
    let mut text = stdout.text();
    if let Some(exit) = exit {
        text.push_str(&format!("[exit {exit}]\n"));
    }
    if !stderr.text().is_empty() {
        text.push_str("[stderr]\n");
        text.push_str(&stderr.text());
    }
    text
}

fn replica(id: &str, node: &str, state: ReplicaState) -> ReplicaStatus {
    ReplicaStatus {
        id: id.parse().unwrap(),
        node: node.parse().unwrap(),
        state,
        health: Health::None,
        reason: None,
        generation: 2,
        revision: 3,
        image: "shop/web:1.2".into(),
        container: Some("0123456789ab".into()),
        restarts: 0,
        exit_code: None,
        oom_killed: false,
        started_at: Some(ago(100)),
        since: ago(90),
        log_tail: Vec::new(),
        tick: None,
    }
}

fn service(name: &str, state: DeploymentState, running: u32, desired: u32) -> ServiceStatus {
    ServiceStatus {
        name: name.parse().unwrap(),
        image: format!("shop/{name}:1.2"),
        desired,
        running,
        updated: desired,
        state,
        reason: None,
        cron: None,
    }
}

/// A shop whose db has failed, and a blog that runs.
fn shop() -> FakeCluster {
    let fake = FakeCluster::default();
    let mut db = service("db", DeploymentState::Failed, 0, 1);
    db.reason = Some("shop.db.1 has failed".into());
    fake.insert(DeploymentStatus {
        name: "shop".parse().unwrap(),
        revision: 3,
        state: DeploymentState::Degraded,
        reason: Some("db has no running replica".into()),
        services: vec![db, service("web", DeploymentState::Active, 2, 2)],
        rollout: Some(RolloutStatus {
            from: 2,
            to: 3,
            phase: RolloutPhase::Completed,
            reason: None,
        }),
        routes: vec![RouteSpec {
            domain: "shop.example".into(),
            path: "/".into(),
            service: "web".parse().unwrap(),
            port: 8080,
            tls: TlsMode::Auto,
            options: RouteOptions {
                strip_path: true,
                basic_auth: [("ann".to_owned(), Hidden)].into(),
                ..RouteOptions::default()
            },
        }],
        created_at: ago(80_000),
        updated_at: ago(3_700),
    });
    fake.insert(DeploymentStatus {
        name: "blog".parse().unwrap(),
        revision: 1,
        state: DeploymentState::Active,
        reason: None,
        services: vec![service("web", DeploymentState::Active, 1, 1)],
        rollout: None,
        routes: Vec::new(),
        created_at: ago(50),
        updated_at: ago(50),
    });
    fake.insert_replica(replica("blog.web.1", "node-b", ReplicaState::Running));
    fake.insert_replica(replica("shop.web.1", "node-a", ReplicaState::Running));
    fake.insert_replica(replica("shop.web.2", "node-b", ReplicaState::Starting));
    let mut failed = replica("shop.db.1", "node-a", ReplicaState::Failed);
    failed.reason = Some(Reason {
        code: Some(ErrorCode::RestartExhausted),
        message: "exited 3 times in a row, last with code 1".into(),
    });
    failed.exit_code = Some(1);
    failed.restarts = 3;
    failed.log_tail = vec!["starting".into(), "FATAL: no such directory".into()];
    fake.insert_replica(failed);
    fake
}

#[tokio::test]
async fn status_as_tables() {
    insta::assert_snapshot!(said(&shop(), &["status"]).await);
    insta::assert_snapshot!("one_deployment", said(&shop(), &["status", "shop"]).await);
    insta::assert_snapshot!("nothing_yet", said(&FakeCluster::default(), &["status"]).await);
}

#[tokio::test]
async fn status_as_data() {
    insta::assert_snapshot!("json", said(&shop(), &["status", "-o", "json"]).await);
    insta::assert_snapshot!("yaml", said(&shop(), &["status", "blog", "-o", "yaml"]).await);
    insta::assert_snapshot!(
        "empty_json",
        said(&FakeCluster::default(), &["status", "-o", "json"]).await
    );
}

#[tokio::test]
async fn a_narrow_terminal_wraps_and_a_pipe_never_does() {
    let narrow = |out: &mut Output| out.terminal = Some(Width::Columns(80));
    let text = said_on(&shop(), &["get", "replicas"], narrow).await;
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    let long = "x".repeat(500);
    let fake = shop();
    fake.edit(|t| {
        for r in t.replicas.values_mut() {
            r.reason = Some(Reason { code: None, message: format!("{long}\u{1b}[2J\nend") });
        }
    });
    let text = said(&fake, &["get", "replicas"]).await;
    assert_eq!(text.lines().count(), 5, "one line per row: {text}");
    assert!(text.contains(&long) && !text.contains('\u{1b}'), "no cut, no escapes: {text}");
}

#[tokio::test]
async fn what_is_not_there_is_an_error_with_its_code() {
    let errors = [
        &["status", "nope"][..],
        &["status", "shop/nope"],
        &["get", "deployment", "nope"],
        &["get", "replica", "shop.web.9"],
        &["get", "route", "nope.example"],
        &["cert", "remove", "nope.example"],
        &["get", "volumes"],
        &["cluster", "get", "nope"],
        &["audit", "--type", "applied,apply"],
        &["audit", "--since", "yesterday"],
        &["logs", "shop", "--grep", "("],
        &["scale", "shop=3"],
        &["wait", "nope", "--for", "running"],
    ];
    let fake = shop();
    let mut all = String::new();
    for args in errors {
        all.push_str(&format!("$ jaco {}\n{}\n", args.join(" "), said(&fake, args).await));
    }
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn changes_say_what_they_did() {
    let fake = shop();
    let calls = [
        &["scale", "shop/web=3", "shop/db=0"][..],
        &["scale", "shop/web=3", "-o", "json"],
        &["restart", "shop/web"],
        &["rollback", "shop"],
        &["rollback", "shop", "--to", "2", "-o", "yaml"],
        &["stop", "blog"],
        &["stop", "blog"],
        &["start", "blog", "-o", "json"],
        &["delete", "blog"],
        &["delete", "blog", "--volumes", "-o", "json"],
        &["cluster", "set", "audit_retention", "500"],
        &["cluster", "get"],
        &["cluster", "get", "audit_retention", "-o", "json"],
    ];
    let mut all = String::new();
    for args in calls {
        all.push_str(&format!("$ jaco {}\n{}\n", args.join(" "), said(&fake, args).await));
    }
    insta::assert_snapshot!(all);
}

fn member(name: &str, role: RaftRole, status: NodeStatus) -> MemberStatus {
    MemberStatus {
        id: NodeId(1),
        name: name.parse().unwrap(),
        address: "10.0.0.1:7000".parse().unwrap(),
        status,
        reason: (status == NodeStatus::Degraded).then(|| "the engine does not answer".into()),
        role,
        lag: Some(0),
        last_contact_ms: (role != RaftRole::Leader).then_some(1200),
        version: "0.1.0".into(),
    }
}

#[tokio::test]
async fn a_cluster_from_init_to_members() {
    let fake = FakeCluster::default();
    fake.edit(|t| {
        t.cluster.node = "node-a".into();
        t.cluster.version = "0.1.0".into();
    });
    insta::assert_snapshot!("before_init", said(&fake, &["cluster", "status"]).await);
    let init = ["cluster", "init", "--no-systemd-enable"];
    insta::assert_snapshot!("init", said(&fake, &init).await);
    insta::assert_snapshot!("init_again", said(&fake, &init).await);
    fake.edit(|t| {
        t.cluster.cluster_id = "0f0e0d0c-0b0a-4009-8807-060504030201".parse().ok();
        t.cluster.leader = "node-a".parse().ok();
        (t.cluster.term, t.cluster.commit_index, t.cluster.applied_index) = (2, 40, 40);
        t.cluster.members = vec![
            member("node-a", RaftRole::Leader, NodeStatus::Ready),
            member("node-b", RaftRole::Voter, NodeStatus::Degraded),
        ];
        let pool = |pool: &str, used, quarantined, free| {
            Some(PoolStatus { pool: pool.to_owned(), used, quarantined, free })
        };
        t.cluster.address_pools.extend(pool("10.244.0.0/14:24", 12, 1, 1_011));
        t.cluster.service_pool = pool("10.242.0.0/16", 3, 0, 65_531);
        t.nodes = vec![pb::NodeSummary {
            node: Some(pb::Node {
                id: 1,
                name: "node-a".into(),
                condition: pb::NodeCondition::Ready.into(),
                availability: pb::Availability::Active.into(),
                mesh_address: Some("10.243.0.1".into()),
                labels: [("disk".to_owned(), "ssd".to_owned())].into(),
                facts: Some(pb::NodeFacts {
                    api_addr: "10.0.0.1:7000".into(),
                    raft_addr: "10.0.0.1:7001".into(),
                    version: "0.1.0".into(),
                    engine: Some("docker 27.1".into()),
                    platform: "linux/amd64".into(),
                    cpu_millis: 3500,
                    memory_bytes: 16 << 30,
                    mesh: None,
                }),
                ..Default::default()
            }),
            role: pb::RaftRole::Leader.into(),
            replicas: 3,
            heard_ms: Some(400),
            load: Some(pb::NodeLoad {
                cpu: 125,
                memory: 402,
                stalled: Some(7),
                replicas: Vec::new(),
                networks: None,
                served: None,
            }),
        }];
    });
    insta::assert_snapshot!("after_init", said(&fake, &["cluster", "status"]).await);
    insta::assert_snapshot!("nodes", said(&fake, &["node", "list"]).await);
    insta::assert_snapshot!("node", said(&fake, &["node", "inspect", "node-a"]).await);
    insta::assert_snapshot!("nodes_json", said(&fake, &["node", "list", "-o", "json"]).await);
}

#[tokio::test]
async fn one_replica_with_its_last_output() {
    insta::assert_snapshot!(said(&shop(), &["get", "replica", "shop.db.1"]).await);
}

#[tokio::test]
async fn logs_are_prefixed_filtered_and_gaps_go_to_stderr() {
    let fake = shop();
    let line = |replica: &str, text: &str| pb::LogLine {
        replica: replica.into(),
        node: "node-a".into(),
        at: 1000,
        stderr: false,
        text: text.into(),
        generation: 1,
    };
    fake.edit(|t| {
        t.logs = vec![pb::LogBatch {
            lines: vec![
                line("shop.web.1", "GET /"),
                line("shop.web.2", "GET /cart"),
                line("shop.web.1", "POST /cart"),
            ],
            gaps: vec![pb::LogGap {
                replica: "shop.db.1".into(),
                node: "node-c".into(),
                message: "the node does not answer".into(),
            }],
        }];
    });
    insta::assert_snapshot!("plain", said(&fake, &["logs", "shop"]).await);
    let filtered = ["logs", "shop/web", "--grep", "cart$", "-t", "--tail", "7", "--since", "10s"];
    insta::assert_snapshot!("filtered", said(&fake, &filtered).await);
    insta::assert_snapshot!("ndjson", said(&fake, &["logs", "shop.web.1", "-o", "json"]).await);
    let colored = said_on(&fake, &["logs", "shop"], |out| out.color = true).await;
    let prefix = |n: usize| colored.lines().nth(n).unwrap().split(']').next().unwrap().to_owned();
    assert_eq!(prefix(0), prefix(2), "a replica keeps its colour");
    assert_ne!(prefix(0)[..5], prefix(1)[..5], "replicas differ");
    let calls = fake.calls();
    assert_eq!(calls[1], "logs shop/web  86390000 Some(7)");
    assert_eq!(calls[2], "logs / shop.web.1 0 None");
}

#[tokio::test]
async fn audit_and_events() {
    let fake = shop();
    let actor =
        Actor { identity: Identity::local(), uid: Some(0), node: Some("node-a".parse().unwrap()) };
    fake.edit(|t| {
        t.audit = vec![
            AuditEvent {
                sequence: 1,
                at: ago(60),
                kind: AuditKind::Apply,
                actor: actor.clone(),
                payload: [("deployment", "shop"), ("revision", "3")]
                    .map(|(k, v)| (k.to_owned(), v.to_owned()))
                    .into(),
            },
            AuditEvent {
                sequence: 2,
                at: ago(30),
                kind: AuditKind::LeaderElected,
                actor: Actor::system(None),
                payload: Default::default(),
            },
        ];
        t.events = vec![ReplicaEvent {
            sequence: 7,
            at: ago(10),
            replica: "shop.db.1".parse().unwrap(),
            node: "node-a".parse().unwrap(),
            generation: 2,
            state: ReplicaState::Degraded,
            reason: None,
            exit_code: Some(137),
        }];
    });
    insta::assert_snapshot!("audit", said(&fake, &["audit"]).await);
    insta::assert_snapshot!("audit_follow", said(&fake, &["audit", "-f", "-o", "json"]).await);
    insta::assert_snapshot!(
        "audit_json",
        said(&fake, &["audit", "--type", "apply", "-o", "json"]).await
    );
    insta::assert_snapshot!("events", said(&fake, &["events", "shop"]).await);
}

#[tokio::test]
async fn tokens() {
    let fake = FakeCluster::default();
    let issue = ["token", "issue", "--name", "ci", "--role", "deployer", "--deployments", "shop-*"];
    insta::assert_snapshot!("issue", said(&fake, &issue).await);
    insta::assert_snapshot!("issue_again", said(&fake, &issue).await);
    insta::assert_snapshot!("tokens", said(&fake, &["token", "list"]).await);
    insta::assert_snapshot!("revoke", said(&fake, &["token", "revoke", "ci", "-o", "json"]).await);
    insta::assert_snapshot!("revoked", said(&fake, &["token", "list"]).await);
}

struct Stack(tempfile::TempDir);

impl Stack {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("jaco.yaml"), "deployment: shop\n").unwrap();
        let compose = "services:\n  web:\n    image: shop/web:1.2\n";
        std::fs::write(dir.path().join("docker-compose.yml"), compose).unwrap();
        Self(dir)
    }
    fn manifest(&self) -> String {
        self.0.path().join("jaco.yaml").display().to_string()
    }
    /// The same with another compose file.
    fn with(&self, compose: &str) -> String {
        std::fs::write(self.0.path().join("docker-compose.yml"), compose).unwrap();
        self.manifest()
    }
    /// A text without the name of the directory, which is another one in each run.
    fn strip(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

#[tokio::test]
async fn apply_prints_its_revision_at_commit() {
    let (fake, stack) = (shop(), Stack::new());
    let text = said(&fake, &["apply", &stack.manifest()]).await;
    assert_eq!(text, "Applied revision: 4\n");
    let text = said(&fake, &["apply", &stack.manifest(), "-o", "json"]).await;
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["revision"], 5);
    assert_eq!(value["warnings"], serde_json::json!([]));
}

#[tokio::test]
async fn apply_wait_fails_with_the_reasons() {
    let (fake, stack) = (shop(), Stack::new());
    let text = said(&fake, &["apply", &stack.manifest(), "--wait"]).await;
    insta::assert_snapshot!("wait_failed", text);
    fake.edit(|t| t.replicas.clear());
    let text = said(&fake, &["apply", &stack.manifest(), "--wait=50ms"]).await;
    insta::assert_snapshot!("wait_timed_out", text);
}

#[tokio::test]
async fn apply_shows_what_the_server_refuses() {
    let (fake, stack) = (shop(), Stack::new());
    let mut refusal = ApiError::new(ErrorCode::RouteConflict, "1 problem in the manifest")
        .with("owner", "blog")
        .with("hint", "give it another path");
    refusal.diagnostics = vec![Diagnostic {
        severity: Severity::Error,
        code: ErrorCode::RouteConflict,
        file: "jaco.yaml".into(),
        line: 3,
        column: 5,
        length: 6,
        source: "  - domain: shop.example".into(),
        path: "routes[0]".into(),
        message: "deployment blog has this route".into(),
        hint: None,
    }];
    fake.refuse(refusal);
    insta::assert_snapshot!(said(&fake, &["apply", &stack.manifest()]).await);
}

/// What is refused here, as programs read it; the list of a refusal by the server has the same form.
#[tokio::test]
async fn refusals_are_one_list_for_programs() {
    let (fake, stack) = (shop(), Stack::new());
    let broken = stack.with("services:\n  web: {imagee: a, restart: always}\n");
    let here = said(&fake, &["apply", &broken, "-o", "json"]).await;
    insta::assert_snapshot!(stack.strip(&here));
    assert_eq!(
        said(&fake, &["diff", &broken, "-o", "json"]).await,
        said(&fake, &["apply", &broken, "-o", "json"]).await,
    );
    let mut refusal = ApiError::new(ErrorCode::RouteConflict, "1 problem in the manifest");
    refusal.diagnostics = vec![Diagnostic {
        severity: Severity::Error,
        code: ErrorCode::RouteConflict,
        file: "jaco.yaml".into(),
        line: 3,
        column: 5,
        length: 6,
        source: String::new(),
        path: "routes[0]".into(),
        message: "deployment blog has this route".into(),
        hint: None,
    }];
    fake.refuse(refusal);
    let good = stack.with("services: {web: {image: a}}\n");
    insta::assert_snapshot!(said(&fake, &["diff", &good, "-o", "json"]).await);
}

/// The cluster is asked what it lets anybody mount, and only when it matters.
#[tokio::test]
async fn mounts_that_the_cluster_allows_are_sent() {
    let (fake, stack) = (shop(), Stack::new());
    let mounting = stack.with("services:\n  web: {image: a, volumes: ['/srv/data:/d']}\n");
    let text = said(&fake, &["apply", &mounting]).await;
    assert!(text.contains("privilege_denied") && text.contains("[exit 1]"), "{text}");
    fake.edit(|t| drop(t.settings.insert("bind_allowlist".into(), "/srv".into())));
    for command in ["apply", "diff"] {
        let text = said(&fake, &[command, &mounting]).await;
        assert!(!text.contains("[exit"), "{text}");
    }
    let plain = stack.with("services: {web: {image: a}}\n");
    let before = fake.calls().len();
    said(&fake, &["apply", &plain]).await;
    let calls = fake.calls();
    assert!(!calls[before..].iter().any(|call| call.contains("settings")), "{calls:?}");
}

#[tokio::test]
async fn differences_and_their_exit_code() {
    let (fake, stack) = (shop(), Stack::new());
    let manifest = stack.manifest();
    let text = said(&fake, &["diff", &manifest, "--detailed-exitcode"]).await;
    assert_eq!(text, "shop: no changes\n");
    fake.edit(|t| {
        t.differences = vec![
            pb::Difference {
                change: pb::ChangeKind::Added.into(),
                subject: "service cache".into(),
                fields: Vec::new(),
                effect: Some("1 replica".into()),
            },
            pb::Difference {
                change: pb::ChangeKind::Changed.into(),
                subject: "service web".into(),
                fields: vec![
                    pb::FieldChange {
                        path: "image".into(),
                        old: Some("web:1".into()),
                        new: Some("web:2".into()),
                    },
                    pb::FieldChange {
                        path: "environment.KEY".into(),
                        old: None,
                        new: Some("•••".into()),
                    },
                ],
                effect: Some("2 replicas replaced, start-first".into()),
            },
            pb::Difference {
                change: pb::ChangeKind::Removed.into(),
                subject: "route old.example/".into(),
                fields: Vec::new(),
                effect: None,
            },
        ];
    });
    insta::assert_snapshot!("diff", said(&fake, &["diff", &manifest, "--detailed-exitcode"]).await);
    let dry = said(&fake, &["apply", &manifest, "--dry-run"]).await;
    assert!(dry.starts_with("shop against revision 3\n") && !dry.contains("[exit"), "{dry}");
    assert_eq!(fake.read(|t| t.deployments.values().last().unwrap().revision), 3, "unchanged");
}

#[tokio::test]
async fn watching_prints_a_document_per_change() {
    let fake = shop();
    let editor = fake.clone();
    tokio::spawn(async move {
        while editor.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        editor.edit(|t| t.replicas.clear());
        // The stream ends and its successor is refused, which ends the command.
        for _ in 0..1000 {
            editor.refuse(ApiError::new(ErrorCode::TokenRevoked, "the token was revoked"));
        }
        editor.edit(|t| t.cut += 1);
    });
    let text = said(&fake, &["status", "-w", "-o", "json"]).await;
    let documents: Vec<serde_json::Value> = text
        .lines()
        .take_while(|l| l.starts_with('{'))
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert!(!documents.is_empty(), "{text}");
    assert!(text.contains("Error: token_revoked: the token was revoked"), "{text}");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let stderr = Buffer::default();
    let err = Box::new(stderr.clone());
    for format in [Format::Table, Format::Json, Format::Yaml] {
        let mut out = Output::to_writers(Box::new(Gone), err.clone(), format, || NOW);
        let error = commands::local::version::run(&mut out).unwrap_err();
        assert_eq!(error.exit_code(), 0, "{error:?}");
        let _ = out.fail(&error);
    }
    assert_eq!(stderr.text(), "");
}

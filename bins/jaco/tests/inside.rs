//! Commands that reach into containers, against the cluster in memory.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    fs,
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use clap::Parser as _;
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{
        DeploymentState, DeploymentStatus, Health, ReplicaState, ReplicaStatus, ServiceStatus,
        Timestamp,
    },
};
use jaco_cli::{cli::Cli, commands, output::Output};
use jaco_client::testing::{
    FakeCluster,
    pb::{self, exec_output::Output as Said},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const BOUND: Duration = Duration::from_secs(20);

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
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
    fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }
}

/// What an invocation wrote, and its exit code.
struct Ran {
    out: Buffer,
    err: Buffer,
    code: u8,
}

async fn run_with(fake: &FakeCluster, args: &[&str], ran: &mut Ran) {
    let cli = Cli::try_parse_from([&["jaco"], args].concat()).unwrap();
    let (out, err) = (Box::new(ran.out.clone()), Box::new(ran.err.clone()));
    let mut out = Output::to_writers(out, err, cli.global.output, || Timestamp(0));
    let done = commands::run(cli.command, &cli.global, &fake.client(), &mut out).await;
    if let Err(error) = done {
        ran.code = error.exit_code();
        let _ = out.fail(&error);
    }
}

async fn run(fake: &FakeCluster, args: &[&str]) -> Ran {
    let mut ran = Ran { out: Buffer::default(), err: Buffer::default(), code: 0 };
    tokio::time::timeout(BOUND, Box::pin(run_with(fake, args, &mut ran))).await.unwrap();
    ran
}

fn shop() -> FakeCluster {
    let fake = FakeCluster::default();
    fake.insert(DeploymentStatus {
        name: "shop".parse().unwrap(),
        revision: 1,
        state: DeploymentState::Active,
        reason: None,
        services: vec![ServiceStatus {
            name: "web".parse().unwrap(),
            image: "web:1".into(),
            desired: 1,
            running: 1,
            updated: 1,
            state: DeploymentState::Active,
            reason: None,
            cron: None,
        }],
        rollout: None,
        routes: Vec::new(),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    });
    fake.insert_replica(ReplicaStatus {
        id: "shop.web.1".parse().unwrap(),
        node: "node-a".parse().unwrap(),
        state: ReplicaState::Running,
        health: Health::None,
        reason: None,
        generation: 1,
        revision: 1,
        image: "web:1".into(),
        container: Some("c1".into()),
        restarts: 0,
        exit_code: None,
        oom_killed: false,
        started_at: None,
        since: Timestamp(0),
        log_tail: Vec::new(),
        tick: None,
    });
    fake
}

fn says(fake: &FakeCluster, outputs: Vec<Said>) {
    let outputs = outputs.into_iter().map(|o| pb::ExecOutput { output: Some(o) }).collect();
    fake.edit(|t| t.command = outputs);
}

#[tokio::test]
async fn a_commands_bytes_and_exit_code_become_this_programs() {
    let fake = shop();
    let bytes = |b: &'static [u8]| Bytes::from_static(b);
    says(
        &fake,
        vec![
            Said::Stdout(bytes(b"no newline, \xff no UTF-8")),
            Said::Stderr(bytes(b"oops\n")),
            Said::ExitCode(42),
        ],
    );
    let ran = run(&fake, &["exec", "shop/web", "sh", "-c", "exit 42"]).await;
    assert_eq!(ran.out.bytes(), b"no newline, \xff no UTF-8");
    assert_eq!((ran.err.text().as_str(), ran.code), ("oops\n", 42));
    says(&fake, vec![Said::ExitCode(0)]);
    assert_eq!(run(&fake, &["exec", "shop.web.1", "--", "true", "-v"]).await.code, 0);
    says(&fake, vec![Said::ExitCode(143)]);
    assert_eq!(run(&fake, &["exec", "shop.web.1", "sleep", "9"]).await.code, 143);
    let expected = [
        r#"exec shop/web ["sh", "-c", "exit 42"]"#,
        r#"exec shop.web.1 ["true", "-v"]"#,
        r#"exec shop.web.1 ["sleep", "9"]"#,
    ];
    assert_eq!(fake.calls(), expected);
}

#[tokio::test]
async fn flags_stand_before_or_behind_the_container_and_the_rest_is_the_commands() {
    for args in [
        &["exec", "-i", "shop.web.1", "--", "sh", "-i", "-t"][..],
        &["exec", "shop.web.1", "-i", "--", "sh", "-i", "-t"],
        &["exec", "shop.web.1", "-i", "sh", "-i", "-t"],
        &["exec", "-i", "-e", "A=1", "-w", "/srv", "-u", "0:0", "shop.web.1", "sh", "-i", "-t"],
    ] {
        let cli = Cli::try_parse_from([&["jaco"], args].concat()).unwrap();
        let jaco_cli::cli::Command::Exec(exec) = cli.command else { panic!("{args:?}") };
        assert_eq!(exec.command, ["sh", "-i", "-t"], "{args:?}");
        assert!(exec.interactive && !exec.tty, "{args:?}");
    }
    let both = Cli::try_parse_from(["jaco", "exec", "shop.web.1", "-it", "--", "sh"]).unwrap();
    let jaco_cli::cli::Command::Exec(exec) = both.command else { panic!() };
    assert!(exec.interactive && exec.tty);
}

#[tokio::test]
async fn what_cannot_be_run_ends_as_in_a_shell() {
    let fake = shop();
    fake.refuse(
        ApiError::new(ErrorCode::ExecFailed, "exec: \"frob\": not found").with("exit_code", 127),
    );
    let ran = run(&fake, &["exec", "shop.web.1", "frob"]).await;
    assert_eq!(ran.code, 127);
    assert_eq!(ran.err.text(), "Error: exec_failed: exec: \"frob\": not found\n");
    let ran = run(&fake, &["exec", "shop.db.1", "true"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.text().starts_with("Error: replica_not_found: "), "{}", ran.err.text());
    // Tests have no terminal.
    says(&fake, vec![Said::ExitCode(0)]);
    let ran = run(&fake, &["exec", "-it", "shop.web.1", "sh"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.text().contains("no terminal"), "{}", ran.err.text());
}

fn info(name: &str, kind: pb::PathKind) -> pb::PathInfo {
    pb::PathInfo { name: name.into(), kind: kind.into(), ..pb::PathInfo::default() }
}

#[tokio::test]
async fn a_directory_goes_in_and_comes_back() {
    let fake = shop();
    fake.edit(|t| t.paths.insert("/srv".into(), info("srv", pb::PathKind::Directory)));
    let dir = tempfile::tempdir().unwrap();
    let site = dir.path().join("site");
    fs::create_dir_all(site.join("img")).unwrap();
    fs::write(site.join("index.html"), "hello").unwrap();
    fs::write(site.join("img/logo"), "x".repeat(300_000)).unwrap();
    let ran = run(&fake, &["cp", site.to_str().unwrap(), "shop.web.1:/srv"]).await;
    assert_eq!((ran.code, ran.err.text().as_str()), (0, "copied 4 entries, 293 KiB\n"));
    let tar = fake.read(|t| t.archives["/srv"].clone());
    let names: Vec<_> = tar::Archive::new(&*tar)
        .entries()
        .unwrap()
        .map(|e| e.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names, ["site/", "site/img/", "site/img/logo", "site/index.html"]);

    // The same archive as what is at another path.
    fake.edit(|t| {
        t.archives.insert("/srv/site".into(), tar);
        t.paths.insert("/srv/site".into(), info("site", pb::PathKind::Directory));
    });
    let back = dir.path().join("back");
    let ran = run(&fake, &["cp", "shop.web.1:/srv/site", back.to_str().unwrap()]).await;
    assert_eq!(ran.code, 0, "{}", ran.err.text());
    assert_eq!(fs::read_to_string(back.join("index.html")).unwrap(), "hello");
    assert_eq!(fs::read(back.join("img/logo")).unwrap().len(), 300_000);
    let into = run(&fake, &["cp", "shop.web.1:/srv/site", dir.path().to_str().unwrap()]).await;
    assert_eq!(into.code, 0, "{}", into.err.text());
    assert!(dir.path().join("site/index.html").is_file());
    let json = ["cp", "-o", "json", "shop.web.1:/srv/site/.", back.to_str().unwrap()];
    let ran = run(&fake, &json).await;
    assert_eq!(ran.out.text(), "{\n  \"entries\": 4,\n  \"bytes\": 300005\n}\n");
}

#[tokio::test]
async fn an_archive_is_written_to_standard_output_as_it_is() {
    let fake = shop();
    fake.edit(|t| {
        t.paths.insert("/data".into(), info("data", pb::PathKind::Directory));
        t.archives.insert("/data".into(), b"not looked into".to_vec());
    });
    let ran = run(&fake, &["cp", "shop.web.1:/data", "-"]).await;
    assert_eq!(ran.out.text(), "not looked into");
    assert_eq!((ran.err.text().as_str(), ran.code), ("", 0));
}

#[tokio::test]
async fn copies_that_cannot_be_made_say_why() {
    let fake = shop();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    let file = file.to_str().unwrap();
    for (args, code, words) in [
        (&["cp", file, "elsewhere"][..], 2, "one side of a copy is a replica"),
        (&["cp", "shop.web.1:/a", "shop.web.1:/b"], 2, "one side of a copy is a replica"),
        (&["cp", "shop.web.1:/nope", "."], 1, "Error: path_not_found: no such file"),
        (&["cp", "/nonexistent/x", "shop.web.1:/srv"], 1, "cannot read /nonexistent/x"),
        (&["cp", file, "shop.web.1:/srv/"], 1, "is no directory that exists"),
    ] {
        let ran = run(&fake, args).await;
        let said = ran.err.text();
        assert!(ran.code == code && said.contains(words), "{args:?}: {} {said}", ran.code);
    }
}

#[tokio::test]
async fn a_forwarded_port_says_where_it_is_and_leads_to_the_service() {
    let fake = shop();
    let mut ran = Ran { out: Buffer::default(), err: Buffer::default(), code: 0 };
    let out = ran.out.clone();
    let args = ["port-forward", "-o", "json", "shop/web", ":8080"];
    let forwarding = run_with(&fake, &args, &mut ran);
    let using = async {
        while out.bytes().last() != Some(&b'\n') {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let said: serde_json::Value = serde_json::from_str(&out.text()).unwrap();
        assert_eq!(
            (said["target"].as_str(), said["port"].as_u64()),
            (Some("shop/web"), Some(8080))
        );
        for _ in 0..3 {
            let mut stream = TcpStream::connect(said["local"].as_str().unwrap()).await.unwrap();
            stream.write_all(b"ping").await.unwrap();
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"ping");
        }
    };
    let used = async {
        tokio::select! { () = forwarding => panic!("it ended"), () = using => {} }
    };
    tokio::time::timeout(BOUND, Box::pin(used)).await.unwrap();
    let ran = run(&fake, &["port-forward", "shop/db", "80"]).await;
    assert!(ran.err.text().starts_with("Error: service_not_found: "), "{}", ran.err.text());
}

fn measured() -> FakeCluster {
    let fake = FakeCluster::default();
    let stall = |some| Some(pb::Stall { some_permille: some, full_permille: 0 });
    let pressure = pb::Pressure { cpu: stall(125), memory: stall(0), io: stall(7) };
    let replica = |id: &str, usage| pb::ReplicaMeasurement {
        replica: id.into(),
        error: if usage { None } else { Some("replica_not_running: it is gone".into()) },
        usage: usage.then_some(pb::ReplicaUsage {
            cpu_millis: 1503,
            memory_bytes: 64 << 20,
            received_per_second: 2048,
            sent_per_second: 0,
            received_bytes: 5 << 30,
            sent_bytes: 12,
        }),
    };
    let a = pb::UsageReport {
        node: "node-a".into(),
        assigned: 2,
        usage: Some(pb::NodeUsage {
            cpu_permille: 423,
            memory_used_bytes: 3 << 30,
            memory_total_bytes: 8 << 30,
            pressure: Some(pressure),
        }),
        error: None,
        replicas: vec![replica("shop.web.1", true), replica("shop.web.2", false)],
        more: false,
    };
    let b = pb::UsageReport {
        node: "node-b".into(),
        assigned: 3,
        error: Some("node_unreachable: node node-b does not answer: connection refused".into()),
        ..pb::UsageReport::default()
    };
    fake.edit(|t| t.usage = vec![b, a]);
    fake
}

#[tokio::test]
async fn top_shows_what_is_used_and_who_does_not_answer() {
    let fake = measured();
    insta::assert_snapshot!("top", run(&fake, &["top"]).await.out.text());
    let replicas = run(&fake, &["top", "replicas"]).await;
    insta::assert_snapshot!(
        "top_replicas",
        format!("{}[stderr]\n{}", replicas.out.text(), replicas.err.text())
    );
    insta::assert_snapshot!("top_json", run(&fake, &["top", "-o", "json"]).await.out.text());
    let nodes = run(&fake, &["top", "nodes", "--interval", "250ms", "-o", "yaml"]).await;
    insta::assert_snapshot!("top_nodes_yaml", nodes.out.text());
    assert_eq!(fake.calls().last().map(String::as_str), Some("usage 250"));
}

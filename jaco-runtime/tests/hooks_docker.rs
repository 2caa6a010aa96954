//! Hooks and ages of images on a real engine, when `JACO_TEST_DOCKER` names its socket: from the text of
//! a compose file to what is seen in a container.
#![cfg(feature = "docker")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared with the tests of the attributes")]
mod docker;
#[allow(dead_code, reason = "shared with the tests on the engine in memory")]
mod node;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures::StreamExt as _;
use jaco_api::{
    error::ErrorCode,
    manifest::{Source, check, render},
    model::*,
};
use jaco_runtime::{
    ContainerRuntime, DockerRuntime, RuntimeError,
    container::{ExecCommand, ImageRef},
    testing::sample,
};
use node::Node;
use tokio::{io::AsyncWriteExt as _, net::TcpListener};

type Engine = DockerRuntime;

/// A service of the test's image that runs until it is told to stop, with these lines of a compose file.
fn service(lines: &str) -> ContainerSpec {
    let command = match lines.contains("\ncommand:") {
        true => "",
        false => "\ncommand: [sh, -c, \"trap 'exit 0' TERM; while :; do sleep 0.1; done\"]",
    };
    let image = if lines.contains("\nimage:") { "" } else { "\nimage: jaco-test/busybox:1" };
    let label = "\nlabels: {jaco.io/allow-privileged: 'true'}";
    let indented = format!("{label}{command}{image}{lines}").replace('\n', "\n    ");
    let text = format!("services:\n  web:{indented}\nvolumes: {{data: }}\n");
    let file = |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
    match check(&file("jaco.yaml", "deployment: hooked\n"), &file("compose.yml", &text)) {
        Ok(checked) => checked.document.services.into_values().next().unwrap().1,
        Err(problems) => panic!("{text}\n{}", render(&problems, false)),
    }
}

/// The clusters of the tests differ, so that they may run side by side.
fn start(engine: &Engine, case: u8, id: &str, spec: ContainerSpec) -> Node<Engine> {
    let cluster = format!("6b1f3a52-0d1e-4c55-9d0b-7a1c5f0e2e{case:02x}");
    let replicas = [sample::replica_of(id, 1, spec)];
    let assignment =
        Assignment { cluster: cluster.parse().unwrap(), ..sample::assignment(replicas) };
    let mut node = Node::start(engine, assignment);
    node.patience = Duration::from_secs(60);
    node
}

/// Everything goes again: containers, networks, the volume.
async fn clear(node: &mut Node<Engine>, volume: Option<&str>) {
    node.change(|a| {
        a.replicas.values_mut().for_each(|r| r.intent = Intent::Remove);
        a.networks.clear();
    });
    node.until("nothing is assigned", |n| n.assignment().replicas.is_empty()).await;
    node.change(|a| a.remove_volumes = volume.into_iter().map(str::to_owned).collect());
    node.until("the volume is gone", |n| n.assignment().remove_volumes.is_empty()).await;
    let labels = jaco_runtime::spec::cluster_labels(node.assignment().cluster);
    let deadline = tokio::time::Instant::now() + node.patience;
    while !node.engine.networks(&labels).await.unwrap().is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "networks are left");
        node.pass(Duration::from_millis(100)).await;
    }
}

/// What a command in a container writes.
async fn output(engine: &Engine, container: &str, command: &[&str]) -> String {
    let command = command.iter().map(|word| (*word).to_owned()).collect();
    let request = ExecCommand { command, ..ExecCommand::default() };
    let mut exec = engine.exec(container, &request).await.unwrap();
    let mut text = Vec::new();
    while let Some(piece) = exec.output.next().await {
        text.extend_from_slice(&piece.unwrap().bytes);
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hooks_of_a_start_act_in_the_container_as_the_file_says() {
    let Some(engine) = docker::engine().await else { return };
    // The second hook leaves a process behind that holds its output: nobody waits for it.
    let spec = service(
        "
working_dir: /dev/shm
environment: {OWN: own}
post_start:
  - command: sh -c 'echo $OWN $EXTRA $(pwd) $(/bin/busybox id -u) > /dev/shm/first'
    environment: {EXTRA: extra}
    working_dir: /proc
    user: '0'
  - command: [sh, -c, 'sleep 1000 & echo second > /dev/shm/second']
  - command: [sh, -c, 'pwd > /dev/shm/third; /bin/busybox id -u >> /dev/shm/third']
    user: '65534'
  - {command: [sh, -c, 'echo \"$0\" > /dev/shm/fourth', 'an argument']}",
    );
    let mut node = start(&engine, 1, "hooked.web.1", spec);
    let began = std::time::Instant::now();
    node.until_state("hooked.web.1", ReplicaState::Running).await;
    eprintln!("running after {:?}", began.elapsed());
    let name = "jaco.hooked.web.1";
    let read =
        async |file: &str| output(&engine, name, &["cat", &format!("/dev/shm/{file}")]).await;
    assert_eq!(read("first").await, "own extra /proc 0\n");
    assert_eq!(read("second").await, "second\n");
    assert_eq!(read("third").await, "/dev/shm\n65534\n");
    assert_eq!(read("fourth").await, "an argument\n");
    clear(&mut node, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_privileged_hook_has_the_rights_of_the_host_and_no_other() {
    let Some(engine) = docker::engine().await else { return };
    let spec = service(
        "
post_start:
  - {command: [sh, -c, 'cat /proc/self/status > /first']}
  - {command: [sh, -c, 'cat /proc/self/status > /second'], privileged: true}",
    );
    let mut node = start(&engine, 6, "rights.web.1", spec);
    node.until("it is decided", |n| {
        let seen = n.seen("rights.web.1").unwrap();
        matches!(seen.state, ReplicaState::Running | ReplicaState::Failed)
    })
    .await;
    let seen = node.seen("rights.web.1").unwrap();
    match seen.reason.map(|reason| reason.message) {
        // The engine has not all rights itself: only that it was asked is seen.
        Some(why) if why.contains("unable to apply caps") => {
            eprintln!("SKIPPED: this machine gives its engine less than all rights: {why}");
            assert!(why.contains("post_start hook 2"), "{why}");
        }
        Some(why) => panic!("{why}"),
        None => {
            let rights = async |file: &str| {
                let status = output(&engine, "jaco.rights.web.1", &["cat", file]).await;
                let line = status.lines().find(|line| line.starts_with("CapEff:")).unwrap();
                u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
            };
            let admin = 1 << 21;
            let (own, all) = (rights("/first").await, rights("/second").await);
            assert!(own & admin == 0 && all & admin != 0, "{own:x} {all:x}");
        }
    }
    clear(&mut node, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_whose_hook_fails_is_told_with_its_words() {
    let Some(engine) = docker::engine().await else { return };
    let spec = service("\npost_start:\n  - command: [sh, -c, 'echo no such table >&2; exit 7']");
    let mut node = start(&engine, 2, "failing.web.1", spec);
    let seen = node.until_state("failing.web.1", ReplicaState::Failed).await;
    let reason = seen.reason.unwrap();
    assert_eq!(reason.code, Some(ErrorCode::RestartExhausted));
    let expected = "post_start hook 1 ended with code 7: no such table";
    assert!(reason.message.ends_with(expected), "{}", reason.message);
    assert!(!node.story("failing.web.1").contains(&ReplicaState::Running));
    clear(&mut node, None).await;
    drop(node);

    let spec = service("\npost_start:\n  - command: [/nonexistent/migrate, hunter2]");
    let mut node = start(&engine, 2, "failing.web.1", spec);
    let seen = node.until_state("failing.web.1", ReplicaState::Failed).await;
    let message = seen.reason.unwrap().message;
    assert!(message.contains("post_start hook 1 could not be run: "), "{message}");
    assert!(message.contains("/nonexistent/migrate") && !message.contains("hunter2"), "{message}");
    clear(&mut node, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_that_ends_takes_its_hook_with_it_and_is_the_reason() {
    let Some(engine) = docker::engine().await else { return };
    let spec = service(
        "\ncommand: [sh, -c, 'sleep 1; exit 9']\npost_start:\n  - command: [sleep, '1000']",
    );
    let mut node = start(&engine, 3, "dying.web.1", spec);
    let seen = node.until_state("dying.web.1", ReplicaState::Failed).await;
    let message = seen.reason.unwrap().message;
    assert!(message.ends_with("exited with code 9"), "{message}");
    let told = node.log.iter().flat_map(|r| &r.replicas).filter_map(|r| r.observation.as_ref());
    let hooks: Vec<_> = told
        .filter(|o| o.reason.as_ref().is_some_and(|r| r.code == Some(ErrorCode::HookFailed)))
        .collect();
    assert!(hooks.is_empty(), "{hooks:?}");
    clear(&mut node, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hooks_of_a_stop_run_before_it_and_within_its_grace() {
    let Some(engine) = docker::engine().await else { return };
    let spec = service(
        "
stop_grace_period: 4s
volumes: [data:/data]
pre_stop:
  - {command: [sh, -c, 'echo $WHO in $(pwd) >> log'], environment: {WHO: hook}, working_dir: /data}
  - {command: [sh, -c, '/bin/busybox id -u >> /data/log'], user: '0'}
command: [sh, -c, \"trap 'echo told >> /data/log; exit 0' TERM; while :; do sleep 0.1; done\"]",
    );
    let mut node = start(&engine, 4, "parting.web.1", spec.clone());
    node.until_state("parting.web.1", ReplicaState::Running).await;
    // What ignores its signal and has a hook that hangs is gone soon after its grace.
    let mut stubborn = spec.clone();
    stubborn.pre_stop.truncate(1);
    stubborn.pre_stop[0].command =
        ["sh", "-c", "echo again >> log; sleep 1000"].map(str::to_owned).to_vec();
    stubborn.command = Some(["sleep", "100000"].map(str::to_owned).to_vec());
    node.advance("parting.web.1", stubborn);
    node.until_state("parting.web.1", ReplicaState::Running).await;
    let log = output(&engine, "jaco.parting.web.1", &["cat", "/data/log"]).await;
    assert_eq!(log, "hook in /data\n0\ntold\n");

    let mut reader = spec;
    reader.pre_stop.clear();
    let began = std::time::Instant::now();
    node.advance("parting.web.1", reader);
    node.until_state("parting.web.1", ReplicaState::Running).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(6) && took < Duration::from_secs(14), "{took:?}");
    let log = output(&engine, "jaco.parting.web.1", &["cat", "/data/log"]).await;
    assert!(log.ends_with("told\nagain\n"), "{log}");
    clear(&mut node, Some("jaco_hooked_data")).await;
}

/// A registry that has nothing and counts who asks.
async fn registry() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            // Whoever asks may be gone already.
            let _ = connection.write_all(answer.as_bytes()).await;
        }
    });
    (address, asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_is_fetched_again_when_the_engine_has_had_it_for_too_long() {
    let Some(engine) = docker::engine().await else { return };
    let (address, asked) = registry().await;
    let name = format!("{address}/jaco-test/aged:1");
    let before = Timestamp::from_system_time(SystemTime::now());
    let layer = docker::layer();
    engine.import_image(&name, layer.into()).await.unwrap();
    let image = ImageRef { name: name.clone(), platform: None };
    let tagged = engine.image_fetched_at(&image).await.unwrap().expect("it says when");
    let after = Timestamp::from_system_time(SystemTime::now());
    assert!(before <= tagged && tagged <= after, "{before} {tagged} {after}");
    let absent = ImageRef { name: format!("{address}/jaco-test/none:1"), platform: None };
    assert_eq!(engine.image_fetched_at(&absent).await.unwrap(), None);

    // Young: nobody is asked.
    let spec = service(&format!("\nimage: {name}\npull_policy: daily"));
    let mut node = start(&engine, 5, "aged.web.1", spec);
    node.until_state("aged.web.1", ReplicaState::Running).await;
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    // Old: the registry is asked, and what is there serves because it has nothing.
    let spec = service(&format!("\nimage: {name}\npull_policy: refresh\npull_refresh_after: 1ms"));
    node.advance("aged.web.1", spec.clone());
    node.until_state("aged.web.1", ReplicaState::Running).await;
    let times = asked.load(Ordering::SeqCst);
    assert!(times > 0, "the registry was asked");
    // What runs is left alone, however old its image.
    node.pass(Duration::from_secs(2)).await;
    assert_eq!(asked.load(Ordering::SeqCst), times);
    clear(&mut node, None).await;
    drop(node);

    // Without a copy there is nothing to fall back on.
    let spec = ContainerSpec { image: absent.name, ..spec };
    let mut node = start(&engine, 5, "aged.web.1", spec);
    node.until("it cannot be had", |n| n.seen("aged.web.1").unwrap().pull_failures > 0).await;
    clear(&mut node, None).await;
    let error = engine.pull(&image, None, &|_| {}).await.unwrap_err();
    assert!(!matches!(error, RuntimeError::Unreachable { .. }), "{error}");
}

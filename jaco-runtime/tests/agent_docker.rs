//! The agent on a real engine, when `JACO_TEST_DOCKER` names its socket. With
//! `JACO_TEST_DOCKER_STOP` and `JACO_TEST_DOCKER_START`, two commands, the engine is stopped and
//! started in the middle.
#![cfg(feature = "docker")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod docker;
#[allow(dead_code, reason = "shared with the tests on the engine in memory")]
mod node;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jaco_api::{error::ErrorCode, model::*};
use jaco_runtime::{
    ContainerRuntime, DockerRuntime, EngineStatus,
    container::{Container, Labels},
    spec::cluster_labels,
    testing::sample,
};
use node::Node;

type Engine = DockerRuntime;

fn start(engine: &Engine, assignment: Assignment) -> Node<Engine> {
    let mut node = Node::start(engine, assignment);
    node.patience = Duration::from_secs(120);
    node
}

fn service(script: &str) -> ContainerSpec {
    let mut spec = sample::spec(docker::IMAGE);
    spec.command = Some(["sh", "-c", script].map(str::to_owned).to_vec());
    spec.pull_policy = PullPolicy::Never;
    spec.stop_grace_period = Some(Span::secs(1));
    spec
}

/// The clusters of the tests differ, so that they may run side by side.
fn assignment(case: u8, replicas: impl IntoIterator<Item = AssignedReplica>) -> Assignment {
    let cluster = format!("6b1f3a52-0d1e-4c55-9d0b-7a1c5f0e2d{case:02x}");
    Assignment { cluster: cluster.parse().unwrap(), ..sample::assignment(replicas) }
}

async fn containers(node: &Node<Engine>) -> BTreeMap<String, Container> {
    let labels = cluster_labels(node.assignment().cluster);
    let mut all = BTreeMap::new();
    for found in node.engine.list(&labels).await.unwrap() {
        let container = node.engine.inspect(&found.id).await.unwrap();
        all.insert(container.name.clone(), container);
    }
    all
}

/// Everything goes again: containers, networks.
async fn clear(node: &mut Node<Engine>) {
    node.change(|a| {
        a.replicas.values_mut().for_each(|r| r.intent = Intent::Remove);
        a.networks.clear();
    });
    node.until("everything is gone", |n| n.assignment().replicas.is_empty()).await;
    let labels = cluster_labels(node.assignment().cluster);
    // An engine under load may show endpoints of containers that are gone for a good while.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !node.engine.networks(&labels).await.unwrap().is_empty() {
        assert!(Instant::now() < deadline, "a network is left");
        node.pass(Duration::from_millis(50)).await;
    }
    assert_eq!(containers(node).await, BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_replicas_run_and_a_new_agent_adopts_them() {
    let Some(engine) = docker::engine().await else { return };
    let ids: Vec<String> = (1..=10).map(|n| format!("ten.web.{n}")).collect();
    let of = |id: &String| sample::replica_of(id, 1, service("exec sleep 100000"));
    let began = Instant::now();
    let mut node = start(&engine, assignment(1, ids.iter().map(of)));
    for id in &ids {
        node.until_state(id, ReplicaState::Running).await;
    }
    eprintln!("10 replicas running after {:?}", began.elapsed());
    let before = containers(&node).await;
    assert_eq!(before.len(), 10);
    let said = node.log.len();
    node.restart().await;
    node.pass(Duration::from_secs(3)).await;
    assert_eq!(containers(&node).await, before);
    let news: Vec<_> = node.log[said..].iter().flat_map(|r| &r.replicas).collect();
    assert!(news.is_empty(), "{news:?}");
    clear(&mut node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_and_failing_checks_end_as_they_should() {
    let Some(engine) = docker::engine().await else { return };
    let mut sick = service("exec sleep 100000");
    sick.healthcheck = Some(Healthcheck::Check {
        test: vec!["CMD-SHELL".into(), "echo no database; exit 1".into()],
        interval: Some(Span::secs(1)),
        timeout: Some(Span::secs(2)),
        start_period: None,
        start_interval: None,
        retries: Some(1),
    });
    let mut greedy = service("head -c 100000000 /dev/zero | tail");
    greedy.resources.memory_bytes = 8 << 20;
    greedy.resources.memory_swap_bytes = 8 << 20;
    let mut missing = service("true");
    missing.image = "jaco-test/nothing:1".into();
    let mut wrong = service("true");
    wrong.command = Some(vec!["/nonexistent/server".into()]);
    let mut job = sample::replica_of("sad.job.1", 1, service("echo done"));
    (job.mode, job.restart.condition) = (Mode::Job, RestartCondition::OnFailure);
    let replicas = [
        sample::replica_of("sad.crash.1", 1, service("echo about to fail; exit 42")),
        sample::replica_of("sad.sick.1", 1, sick),
        sample::replica_of("sad.greedy.1", 1, greedy),
        sample::replica_of("sad.missing.1", 1, missing),
        sample::replica_of("sad.wrong.1", 1, wrong),
        job,
    ];
    let mut node = start(&engine, assignment(2, replicas));
    let message = |seen: &Observation| seen.reason.clone().unwrap().message;
    let code = |seen: &Observation| seen.reason.clone().unwrap().code;

    let seen = node.until_state("sad.crash.1", ReplicaState::Failed).await;
    assert_eq!((code(&seen), seen.exit_code), (Some(ErrorCode::RestartExhausted), Some(42)));
    let told = node.log.iter().flat_map(|r| &r.replicas).filter(|r| !r.log_tail.is_empty());
    let tails: Vec<_> = told.filter(|r| r.id.to_string() == "sad.crash.1").collect();
    assert_eq!(tails[0].log_tail, ["about to fail"].repeat(3));

    let seen = node.until_state("sad.sick.1", ReplicaState::Failed).await;
    assert!(message(&seen).contains("no database"), "{}", message(&seen));
    assert!(node.story("sad.sick.1").contains(&ReplicaState::Degraded));

    let seen = node.until_state("sad.greedy.1", ReplicaState::Failed).await;
    eprintln!("out of memory: {seen:?}");
    // Docker does not notice every time that it was for lack of memory: the exit code is what is sure.
    assert!(seen.exit_code == Some(137) && message(&seen).contains("memory"), "{seen:?}");

    node.until("it is called off", |n| n.seen("sad.missing.1").unwrap().pull_failures == 3).await;
    let seen = node.until_state("sad.wrong.1", ReplicaState::Failed).await;
    assert!(message(&seen).contains("/nonexistent/server"), "{}", message(&seen));
    node.until_state("sad.job.1", ReplicaState::Completed).await;
    clear(&mut node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_find_each_other_by_name_and_a_replacement_keeps_the_volume() {
    let Some(engine) = docker::engine().await else { return };
    let mut db = service("cat /data/seed 2>/dev/null; echo kept > /data/seed; exec sleep 100000");
    db.mounts.push(Mount {
        source: MountSource::Volume {
            name: "jaco_net_data".into(),
            external: false,
            driver: String::new(),
            driver_opts: BTreeMap::new(),
            nocopy: false,
            subpath: None,
            labels: Default::default(),
        },
        target: "/data".into(),
        read_only: false,
    });
    let seek =
        "until nslookup db >/dev/null 2>&1; do sleep 0.1; done; echo found; exec sleep 10000";
    let replicas = [
        sample::replica_of("net.db.1", 1, db.clone()),
        sample::replica_of("net.web.1", 1, service(seek)),
    ];
    let mut node = start(&engine, assignment(3, replicas));
    node.until_state("net.web.1", ReplicaState::Running).await;
    wait_for_line(&engine, "jaco.net.web.1", "found").await;
    let old = node.until_state("net.db.1", ReplicaState::Running).await;
    db.environment.insert("CHANGED".into(), Some("1".into()));
    node.advance("net.db.1", db);
    let new = node.until_state("net.db.1", ReplicaState::Running).await;
    assert_ne!(old.container, new.container);
    wait_for_line(&engine, "jaco.net.db.1", "kept").await;
    clear(&mut node).await;
    node.change(|a| a.remove_volumes = ["jaco_net_data".to_owned()].into());
    node.until("the volume is gone", |n| n.assignment().remove_volumes.is_empty()).await;
    assert_eq!(engine.volume("jaco_net_data").await.unwrap(), None);
}

async fn wait_for_line(engine: &Engine, container: &str, text: &str) {
    use futures::StreamExt;
    let query = jaco_runtime::container::LogQuery { follow: true, ..Default::default() };
    let mut lines = engine.logs(container, &query).await.unwrap();
    let found = async {
        while let Some(line) = lines.next().await {
            if line.unwrap().text == text {
                return;
            }
        }
        panic!("{container} ended without writing {text:?}");
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.unwrap();
}

async fn command(name: &str) -> bool {
    let Ok(line) = std::env::var(name) else {
        eprintln!("SKIPPED: {name} holds no command; the engine is not stopped and started");
        return false;
    };
    let status = tokio::process::Command::new("sh").args(["-c", &line]).status().await.unwrap();
    assert!(status.success(), "{line}");
    true
}

/// Stops the engine for everybody: run it alone (`--ignored`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "stops the engine"]
async fn an_engine_that_is_stopped_and_started_gets_its_replicas_back() {
    let Some(engine) = docker::engine().await else { return };
    let ids: Vec<String> = (1..=5).map(|n| format!("back.web.{n}")).collect();
    let of = |id: &String| {
        sample::replica_of(id, 1, service("trap 'exit 0' TERM; while :; do sleep 1 & wait; done"))
    };
    let mut node = start(&engine, assignment(4, ids.iter().map(of)));
    for id in &ids {
        node.until_state(id, ReplicaState::Running).await;
    }
    let before = containers(&node).await;
    if !command("JACO_TEST_DOCKER_STOP").await {
        return clear(&mut node).await;
    }
    node.until("it is said", |n| {
        n.log.iter().any(|r| matches!(r.engine, EngineStatus::Down { .. }))
    })
    .await;
    node.pass(Duration::from_secs(3)).await;
    command("JACO_TEST_DOCKER_START").await;
    let began = Instant::now();
    node.until("it is up", |n| matches!(n.log.last().unwrap().engine, EngineStatus::Up(_))).await;
    node.until("all run again", |n| {
        ids.iter().all(|id| {
            let seen = n.seen(id).unwrap();
            seen.state == ReplicaState::Running && seen.restarts == 1
        })
    })
    .await;
    eprintln!("5 replicas running {:?} after the engine came back", began.elapsed());
    let downs = node.log.iter().filter(|r| matches!(r.engine, EngineStatus::Down { .. })).count();
    eprintln!("{downs} reports while it was away");
    let after = containers(&node).await;
    let ids = |all: &BTreeMap<String, Container>| -> Vec<String> {
        all.values().map(|c| c.id.clone()).collect()
    };
    assert_eq!(ids(&before), ids(&after), "started again, not made again");
    assert!(after.values().all(|c| c.labels != Labels::new()));
    for id in after.values().map(|c| c.labels["jaco.replica_id"].clone()) {
        assert!(!node.story(&id).contains(&ReplicaState::Failed));
    }
    clear(&mut node).await;
}

/// Fifty replicas that do nothing: what the agent costs then. Takes a minute (`--ignored`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes more than a minute"]
async fn fifty_idle_replicas_cost_next_to_nothing() {
    let Some(engine) = docker::engine().await else { return };
    let ids: Vec<String> = (1..=50).map(|n| format!("idle.web.{n}")).collect();
    let of = |id: &String| sample::replica_of(id, 1, service("exec sleep 100000"));
    let mut node = start(&engine, assignment(5, ids.iter().map(of)));
    for id in &ids {
        node.until_state(id, ReplicaState::Running).await;
    }
    node.pass(Duration::from_secs(5)).await;
    let (cpu, said) = (cpu_ticks(), node.log.len());
    node.pass(Duration::from_secs(60)).await;
    let used = cpu_ticks() - cpu;
    let rss = std::fs::read_to_string("/proc/self/status").unwrap();
    let rss = rss.lines().find(|l| l.starts_with("VmRSS")).unwrap_or_default().to_owned();
    eprintln!("idle minute with 50 replicas: {used} ticks of 10 ms, {rss}");
    assert_eq!(node.log.len(), said);
    assert!(used < 60, "{used} ticks of 10 ms in 60 s is 1 % of a core or more");
    clear(&mut node).await;
}

/// Processor time of this process in hundredths of a second.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

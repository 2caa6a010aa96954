//! Hooks of containers on the engine in memory, on tokio's paused clock.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared with the other tests")]
mod node;

use std::time::Duration;

use jaco_api::{error::ErrorCode, model::*};
use jaco_runtime::{
    RuntimeError,
    container::{Container, ContainerStatus},
    testing::{FakeRuntime, Op, sample},
};
use node::Node;
use tokio::time::Instant;

const WEB: &str = "shop.web.1";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn hook(script: &str) -> Hook {
    Hook { command: ["sh", "-c", script].map(str::to_owned).to_vec(), ..Hook::default() }
}

/// A service that ends when it is told to, with these hooks.
fn with(post_start: &[&str], pre_stop: &[&str]) -> ContainerSpec {
    let all = |scripts: &[&str]| scripts.iter().map(|script| hook(script)).collect();
    let command = ["sh", "-c", "trap 'exit 0' TERM; sleep infinity"].map(str::to_owned).to_vec();
    let (post_start, pre_stop, command) = (all(post_start), all(pre_stop), Some(command));
    ContainerSpec { post_start, pre_stop, command, ..sample::spec("app:1") }
}

fn start(engine: &FakeRuntime, spec: ContainerSpec) -> Node<FakeRuntime> {
    Node::start(engine, sample::assignment([sample::replica_of(WEB, 1, spec)]))
}

async fn running(engine: &FakeRuntime, spec: ContainerSpec) -> Node<FakeRuntime> {
    let mut node = start(engine, spec);
    node.until_state(WEB, ReplicaState::Running).await;
    node
}

fn container(node: &Node<FakeRuntime>) -> Container {
    node.engine.containers().pop().expect("there is a container")
}

fn file(node: &Node<FakeRuntime>, path: &str) -> String {
    let bytes = node.engine.file(&container(node).id, path).unwrap_or_default();
    String::from_utf8(bytes).unwrap()
}

/// What was asked of containers from the call of this number on, without looks.
fn asked(engine: &FakeRuntime, from: usize) -> Vec<Op> {
    let acts = [Op::Create, Op::Start, Op::Exec, Op::Stop, Op::Remove];
    engine.calls()[from..].iter().map(|call| call.op).filter(|op| acts.contains(op)).collect()
}

fn remove(node: &Node<FakeRuntime>) {
    node.change_replica(WEB, |r| r.intent = Intent::Remove);
}

async fn gone(node: &mut Node<FakeRuntime>) {
    node.until("no container is left", |n| n.engine.containers().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_runs_when_its_hooks_have_ended_in_their_order() {
    let engine = FakeRuntime::new();
    let mut spec = with(&["sleep 5; echo one >> /log", "echo $NAME >> /log; sleep 3"], &[]);
    spec.post_start[1].environment = [("NAME".to_owned(), "two".to_owned())].into();
    let mut node = start(&engine, spec);
    let began = Instant::now();
    let seen = node.until_state(WEB, ReplicaState::Running).await;
    assert!(began.elapsed() >= secs(8) && began.elapsed() < secs(9), "{:?}", began.elapsed());
    assert_eq!(node.story(WEB), [ReplicaState::Starting, ReplicaState::Running]);
    assert_eq!(file(&node, "/log"), "one\ntwo\n");
    assert_eq!((seen.reason, engine.count(Op::Exec)), (None, 2));
    node.pass(secs(300)).await;
    assert_eq!(asked(&engine, 0), [Op::Create, Op::Start, Op::Exec, Op::Exec]);
}

#[tokio::test(start_paused = true)]
async fn a_healthy_container_waits_for_its_hooks_too() {
    let engine = FakeRuntime::new();
    let check = Healthcheck::Check {
        test: vec!["CMD".to_owned(), "true".to_owned()],
        interval: Some(Span::secs(1)),
        timeout: None,
        start_period: None,
        start_interval: None,
        retries: None,
    };
    let spec = ContainerSpec { healthcheck: Some(check), ..with(&["sleep 20"], &[]) };
    let mut node = start(&engine, spec);
    let began = Instant::now();
    node.until_state(WEB, ReplicaState::Running).await;
    assert!(began.elapsed() >= secs(20), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_is_a_failed_start_with_its_words() {
    let engine = FakeRuntime::new();
    let mut node =
        start(&engine, with(&["true", "echo first; echo cannot migrate >&2; exit 4"], &[]));
    let seen = node.until_state(WEB, ReplicaState::Failed).await;
    let reason = seen.reason.unwrap();
    assert_eq!(reason.code, Some(ErrorCode::RestartExhausted));
    assert_eq!(
        reason.message,
        "failed 3 times in a row: post_start hook 2 ended with code 4: first\ncannot migrate"
    );
    assert!(!node.story(WEB).contains(&ReplicaState::Running), "{:?}", node.story(WEB));
    node.until("it is stopped", |n| container(n).status == ContainerStatus::Exited).await;
    assert_eq!((engine.count(Op::Start), engine.count(Op::Stop)), (3, 3));
    let told = node.log.iter().flat_map(|r| &r.replicas).filter_map(|r| r.observation.as_ref());
    let first = told.filter_map(|o| o.reason.clone()).next().unwrap();
    assert_eq!(first.code, Some(ErrorCode::HookFailed), "{first:?}");
    node.pass(secs(300)).await;
    assert_eq!(engine.count(Op::Start), 3);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_cannot_be_started_is_a_failed_start() {
    let engine = FakeRuntime::new();
    let mut spec = with(&[], &[]);
    spec.post_start = vec![Hook { command: vec!["frobnicate".to_owned()], ..Hook::default() }];
    spec.post_start[0].environment = [("TOKEN".to_owned(), "hunter2".to_owned())].into();
    let mut node = start(&engine, spec);
    node.change_replica(WEB, |r| r.restart.condition = RestartCondition::None);
    let seen = node.until_state(WEB, ReplicaState::Failed).await;
    let message = seen.reason.unwrap().message;
    assert!(message.starts_with("post_start hook 1 could not be run: "), "{message}");
    assert!(message.contains("frobnicate") && !message.contains("hunter2"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_hangs_has_a_little_less_than_a_rollout_waits() {
    let engine = FakeRuntime::new();
    let mut node = start(&engine, with(&["true", "echo begun; sleep infinity"], &[]));
    let began = Instant::now();
    let seen = node.until_state(WEB, ReplicaState::Degraded).await;
    assert!(began.elapsed() >= secs(54) && began.elapsed() < secs(56), "{:?}", began.elapsed());
    let message = seen.reason.unwrap().message;
    assert_eq!(message, "post_start hook 2 had not ended after 54s: begun");
    node.until("it is stopped", |n| n.engine.count(Op::Stop) == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_ends_while_a_hook_runs_is_the_reason() {
    let engine = FakeRuntime::new();
    let command = ["sh", "-c", "sleep 3; exit 9"].map(str::to_owned).to_vec();
    let spec = ContainerSpec { command: Some(command), ..with(&["sleep 60"], &["true"]) };
    let mut node = start(&engine, spec);
    let seen = node.until_state(WEB, ReplicaState::Degraded).await;
    let reason = seen.reason.unwrap();
    assert_eq!(reason.code, Some(ErrorCode::ContainerExited));
    assert_eq!((reason.message.as_str(), seen.exit_code), ("exited with code 9", Some(9)));
    let seen = node.until_state(WEB, ReplicaState::Failed).await;
    assert!(seen.reason.unwrap().message.contains("exited with code 9"));
    // It ended by itself: nothing is run in it and nothing stops it.
    assert_eq!((engine.count(Op::Exec), engine.count(Op::Stop)), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn hooks_run_again_for_a_daemon_that_did_not_see_their_end_and_never_after() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("agent/hooks");
    let engine = FakeRuntime::new();
    let spec = with(&["echo begun >> /log; sleep 10; echo ended >> /log"], &[]);
    let assignment = sample::assignment([sample::replica_of(WEB, 1, spec)]);
    let mut node = Node::start_in(&engine, assignment, Some(scratch.path().join("agent")));
    node.until("the hook has begun", |n| n.engine.count(Op::Exec) == 1).await;
    node.pass(secs(5)).await;
    node.restart().await;
    node.until("it has begun again", |n| n.engine.count(Op::Exec) == 2).await;
    node.until("the mark is there", |_| std::fs::read_dir(&directory).is_ok()).await;
    // Before anybody was told, so that state knows nothing of it.
    node.restart_with(|n| n.change_replica(WEB, |r| r.observed = Observation::default())).await;
    node.change_replica(WEB, |r| r.observed.generation = 1);
    node.until_state(WEB, ReplicaState::Running).await;
    node.pass(secs(60)).await;
    node.restart().await;
    node.pass(secs(60)).await;
    assert_eq!(engine.count(Op::Exec), 2);

    // Another start of the same container is another matter.
    let id = container(&node).id;
    engine.exit(&id, 1);
    node.until("it runs again", |n| n.engine.count(Op::Exec) == 3).await;
    node.until_state(WEB, ReplicaState::Running).await;
    assert_eq!(container(&node).id, id);
    remove(&node);
    gone(&mut node).await;
    node.pass(secs(40)).await;
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0, "the mark went with it");
}

#[tokio::test(start_paused = true)]
async fn hooks_begin_anew_when_the_engine_was_away() {
    let engine = FakeRuntime::new();
    let mut node = start(&engine, with(&["sleep 1; echo done >> /log"], &[]));
    node.until("the hook has begun", |n| n.engine.count(Op::Exec) == 1).await;
    engine.fail_next(
        Op::Exec,
        RuntimeError::Unreachable { endpoint: "memory".to_owned(), source: "away".into() },
    );
    engine.exit(&container(&node).id, 1);
    node.until_state(WEB, ReplicaState::Running).await;
    assert_eq!(engine.count(Op::Exec), 3, "once cut off, once refused, once to its end");
    assert!(node.seen(WEB).unwrap().restarts == 1);
}

#[tokio::test(start_paused = true)]
async fn hooks_of_the_old_document_run_before_an_old_container_is_stopped() {
    let engine = FakeRuntime::new();
    let mut node = running(&engine, with(&[], &["echo one >> /log", "sleep 3"])).await;
    let from = engine.calls().len();
    let began = Instant::now();
    node.advance(WEB, with(&[], &["echo of the new one"]));
    node.until("it is replaced", |n| n.seen(WEB).unwrap().state == ReplicaState::Running).await;
    assert_eq!(
        asked(&engine, from),
        [Op::Exec, Op::Exec, Op::Stop, Op::Remove, Op::Create, Op::Start]
    );
    assert!(began.elapsed() >= secs(3) && began.elapsed() < secs(6), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn hooks_of_the_old_document_are_known_to_a_daemon_that_never_had_it() {
    let engine = FakeRuntime::new();
    let mut node = running(&engine, with(&[], &["true", "true"])).await;
    let from = engine.calls().len();
    node.restart_with(|n| n.advance(WEB, with(&[], &[]))).await;
    node.until_state(WEB, ReplicaState::Running).await;
    assert_eq!(
        asked(&engine, from),
        [Op::Exec, Op::Exec, Op::Stop, Op::Remove, Op::Create, Op::Start]
    );
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_not_assigned_any_more_is_stopped_with_its_hooks() {
    let engine = FakeRuntime::new();
    let mut node = running(&engine, with(&[], &["true"])).await;
    let from = engine.calls().len();
    node.change(|a| a.replicas.clear());
    node.pass(secs(1)).await;
    assert_eq!(asked(&engine, from), [Op::Exec, Op::Stop, Op::Remove]);
}

#[tokio::test(start_paused = true)]
async fn hooks_and_stop_share_the_grace_period() {
    for (hooks, script, ends) in [
        // A hook that hangs is given up; what ignores its signal is killed soon after.
        (&["sleep infinity"][..], "sleep infinity", 30 + 2),
        (&["sleep 20", "sleep infinity"], "sleep infinity", 30 + 2),
        // The stop has what the hooks left.
        (&["sleep 20"], "sleep infinity", 30),
        (&["sleep 20"], "trap 'exit 0' TERM; sleep infinity", 20),
    ] {
        let engine = FakeRuntime::new();
        let mut spec = with(&[], hooks);
        spec.stop_grace_period = Some(Span::secs(30));
        spec.command = Some(["sh", "-c", script].map(str::to_owned).to_vec());
        let mut node = running(&engine, spec).await;
        let began = Instant::now();
        remove(&node);
        gone(&mut node).await;
        let took = began.elapsed();
        assert!(took >= secs(ends) && took < secs(ends + 1), "{hooks:?} {script}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_is_told_and_the_stop_goes_on() {
    let engine = FakeRuntime::new();
    let mut spec = with(&[], &["echo no peer; exit 2", "true"]);
    spec.command = Some(vec!["sleep".to_owned(), "infinity".to_owned()]);
    let mut node = running(&engine, spec).await;
    let from = engine.calls().len();
    remove(&node);
    gone(&mut node).await;
    node.pass(secs(1)).await;
    assert_eq!(asked(&engine, from), [Op::Exec, Op::Stop, Op::Remove]);
    let told = node.log.iter().flat_map(|r| &r.replicas).filter_map(|r| r.observation.as_ref());
    let told: Vec<_> = told
        .filter(|o| o.state == ReplicaState::Stopping)
        .filter_map(|o| o.reason.clone())
        .collect();
    assert_eq!(told[0].code, Some(ErrorCode::HookFailed));
    assert_eq!(told[0].message, "pre_stop hook 1 ended with code 2: no peer");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_fenced_waits_for_no_hook() {
    let engine = FakeRuntime::new();
    let mut spec = with(&[], &["sleep infinity"]);
    spec.stop_grace_period = Some(Span::secs(3600));
    let mut node = running(&engine, spec.clone()).await;
    node.change_replica(WEB, |r| r.fenced = true);
    let began = Instant::now();
    gone(&mut node).await;
    assert!(began.elapsed() < secs(1), "{:?}", began.elapsed());
    assert_eq!(engine.count(Op::Exec), 0);

    // The same in the middle of one.
    let engine = FakeRuntime::new();
    let mut node = running(&engine, spec).await;
    remove(&node);
    node.until("the hook runs", |n| n.engine.count(Op::Exec) == 1).await;
    node.pass(secs(10)).await;
    node.change_replica(WEB, |r| r.fenced = true);
    let began = Instant::now();
    gone(&mut node).await;
    assert!(began.elapsed() < secs(1), "{:?}", began.elapsed());
    assert_eq!(engine.count(Op::Stop), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_is_called_off_ends_its_hooks_and_the_next_one_begins_them_anew() {
    let engine = FakeRuntime::new();
    let mut node = running(&engine, with(&[], &["sleep 8"])).await;
    remove(&node);
    node.until("the hook runs", |n| n.engine.count(Op::Exec) == 1).await;
    node.pass(secs(3)).await;
    node.change_replica(WEB, |r| r.intent = Intent::Run);
    node.pass(secs(60)).await;
    assert_eq!((engine.count(Op::Exec), engine.count(Op::Stop)), (1, 0));
    assert_eq!(node.seen(WEB).unwrap().state, ReplicaState::Running);
    let began = Instant::now();
    remove(&node);
    gone(&mut node).await;
    assert!(began.elapsed() >= secs(8), "{:?}", began.elapsed());
    assert_eq!(engine.count(Op::Exec), 2);
}

#[tokio::test(start_paused = true)]
async fn a_newer_generation_ends_the_hooks_of_a_start() {
    let engine = FakeRuntime::new();
    let mut node = start(&engine, with(&["sleep infinity"], &["true"]));
    node.until("the hook runs", |n| n.engine.count(Op::Exec) == 1).await;
    node.pass(secs(5)).await;
    let began = Instant::now();
    node.advance(WEB, with(&["true"], &[]));
    node.until_state(WEB, ReplicaState::Running).await;
    assert!(began.elapsed() < secs(4), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_is_restarted_for_its_health_is_stopped_with_its_hooks() {
    let engine = FakeRuntime::new();
    let mut node = running(&engine, with(&[], &["true"])).await;
    let from = engine.calls().len();
    engine.set_health(&container(&node).id, Health::Unhealthy);
    node.until("it is started again", |n| n.engine.count(Op::Start) == 2).await;
    assert_eq!(asked(&engine, from), [Op::Exec, Op::Stop, Op::Start]);
}

#[tokio::test(start_paused = true)]
async fn what_ended_by_itself_is_removed_without_hooks() {
    let engine = FakeRuntime::new();
    let mut node = running(&engine, with(&[], &["true"])).await;
    node.change_replica(WEB, |r| r.restart.condition = RestartCondition::None);
    engine.exit(&container(&node).id, 1);
    node.until_state(WEB, ReplicaState::Failed).await;
    let from = engine.calls().len();
    remove(&node);
    gone(&mut node).await;
    assert_eq!(asked(&engine, from), [Op::Remove]);
}

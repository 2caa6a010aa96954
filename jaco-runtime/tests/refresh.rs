//! Images that are fetched again when they are old, on the engine in memory and tokio's paused clock.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared with the other tests")]
mod node;

use std::time::Duration;

use jaco_api::model::*;
use jaco_runtime::{
    RuntimeError,
    testing::{FakeRuntime, Op, sample},
};
use node::Node;

const WEB: &str = "shop.web.1";
const HOUR: Duration = Duration::from_secs(3600);

/// A service whose image may be a day old; `label` makes one document differ from another.
fn daily(label: &str) -> ContainerSpec {
    ContainerSpec {
        pull_policy: PullPolicy::Refresh(Span::secs(86_400)),
        labels: [("of".to_owned(), label.to_owned())].into(),
        ..sample::spec("app:1")
    }
}

fn start(engine: &FakeRuntime) -> Node<FakeRuntime> {
    Node::start(engine, sample::assignment([sample::replica_of(WEB, 1, daily("one"))]))
}

async fn renew(node: &mut Node<FakeRuntime>, label: &str) {
    node.advance(WEB, daily(label));
    node.until_state(WEB, ReplicaState::Running).await;
}

fn away() -> RuntimeError {
    RuntimeError::PullFailed { image: "app:1".to_owned(), message: "registry says 503".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn an_image_is_fetched_for_a_new_container_once_it_is_old() {
    let engine = FakeRuntime::new();
    engine.add_image("app:1");
    let mut node = start(&engine);
    node.until_state(WEB, ReplicaState::Running).await;
    assert_eq!(engine.count(Op::Pull), 0, "it is young");
    node.pass(23 * HOUR).await;
    renew(&mut node, "two").await;
    assert_eq!(engine.count(Op::Pull), 0, "it still is");
    node.pass(2 * HOUR).await;
    renew(&mut node, "three").await;
    assert_eq!(engine.count(Op::Pull), 1, "it was a day old");
    node.pass(HOUR).await;
    renew(&mut node, "four").await;
    assert_eq!(engine.count(Op::Pull), 1, "it is young again");
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_left_alone_however_old_its_image_is() {
    let engine = FakeRuntime::new();
    engine.add_image("app:1");
    let mut node = start(&engine);
    node.until_state(WEB, ReplicaState::Running).await;
    let before = engine.containers();
    node.pass(240 * HOUR).await;
    node.restart().await;
    node.pass(HOUR).await;
    assert_eq!((engine.containers(), engine.count(Op::Pull)), (before, 0));
    // The same container started again is no new one.
    engine.exit("jaco.shop.web.1", 1);
    node.until("it runs again", |n| n.engine.count(Op::Start) == 2).await;
    assert_eq!(engine.count(Op::Pull), 0);
}

#[tokio::test(start_paused = true)]
async fn an_old_image_serves_while_its_registry_is_away() {
    let engine = FakeRuntime::new();
    engine.add_image("app:1");
    let mut node = start(&engine);
    node.pass(48 * HOUR).await;
    engine.next_pull("app:1", Duration::from_secs(5), Err(away()));
    let said = node.log.len();
    renew(&mut node, "two").await;
    assert_eq!(engine.count(Op::Pull), 1);
    let told = node.log[said..].iter().flat_map(|r| &r.replicas);
    let failures: u32 = told.filter_map(|r| r.observation.as_ref()).map(|o| o.pull_failures).sum();
    assert_eq!(failures, 0, "nothing was in the way");

    // Without a copy it is as with any other policy.
    engine.drop_image("app:1").next_pull("app:1", Duration::ZERO, Err(away()));
    node.advance(WEB, daily("three"));
    node.until("a failure", |n| n.seen(WEB).unwrap().pull_failures == 1).await;
    node.until_state(WEB, ReplicaState::Running).await;
}

#[tokio::test(start_paused = true)]
async fn replicas_that_need_it_together_fetch_it_once() {
    let engine = FakeRuntime::new();
    engine.add_image("app:1").forget_age("app:1");
    engine.next_pull("app:1", Duration::from_secs(5), Ok(()));
    let ids: Vec<String> = (1..=4).map(|n| format!("shop.web.{n}")).collect();
    let replicas = ids.iter().map(|id| sample::replica_of(id, 1, daily("one")));
    let mut node = Node::start(&engine, sample::assignment(replicas));
    for id in &ids {
        node.until_state(id, ReplicaState::Running).await;
    }
    assert_eq!(engine.count(Op::Pull), 1);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_remembers_what_its_engine_does_not_tell() {
    let scratch = tempfile::tempdir().unwrap();
    let engine = FakeRuntime::new();
    engine.add_image("app:1").forget_age("app:1");
    let assignment = sample::assignment([sample::replica_of(WEB, 1, daily("one"))]);
    let mut node = Node::start_in(&engine, assignment, Some(scratch.path().join("agent")));
    node.until_state(WEB, ReplicaState::Running).await;
    assert_eq!(engine.count(Op::Pull), 1, "it may be of any age");
    engine.forget_age("app:1");
    node.restart().await;
    renew(&mut node, "two").await;
    assert_eq!(engine.count(Op::Pull), 1);
    engine.forget_age("app:1");
    node.pass(25 * HOUR).await;
    renew(&mut node, "three").await;
    assert_eq!(engine.count(Op::Pull), 2);
}

//! The agent on the engine in memory, on tokio's paused clock: time passes only when nothing else
//! can happen, so every wait is exact and none is real.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use jaco_api::{error::ErrorCode, model::*};
use jaco_runtime::{
    ContainerRuntime, EngineStatus, RuntimeError,
    container::{Container, ContainerStatus, Labels, NetworkRequest, VolumeRequest, label},
    testing::{FakeRuntime, Op, sample},
};

mod node;

use node::Node;

const WEB: &str = "shop.web.1";
const NAME: &str = "jaco.shop.web.1";

fn one(spec: ContainerSpec) -> Assignment {
    sample::assignment([sample::replica_of(WEB, 1, spec)])
}

fn container(node: &Node<FakeRuntime>, name: &str) -> Option<Container> {
    node.engine.containers().into_iter().find(|c| c.name == name)
}

async fn running(engine: &FakeRuntime) -> Node<FakeRuntime> {
    let mut node = Node::start(engine, one(sample::spec("app:1")));
    node.until_state(WEB, ReplicaState::Running).await;
    node
}

#[tokio::test(start_paused = true)]
async fn a_replica_is_fetched_started_and_running_after_two_seconds() {
    let engine = FakeRuntime::new();
    engine.next_pull("app:1", Duration::from_secs(5), Ok(()));
    let mut node = Node::start(&engine, one(sample::spec("app:1")));
    let began = tokio::time::Instant::now();
    let seen = node.until_state(WEB, ReplicaState::Running).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(7) && took < Duration::from_secs(8), "{took:?}");
    assert_eq!(
        node.story(WEB),
        [ReplicaState::Pulling, ReplicaState::Starting, ReplicaState::Running]
    );
    let container = container(&node, NAME).unwrap();
    assert_eq!(seen.container.as_ref(), Some(&container.id));
    assert_eq!(container.labels[label::GENERATION], "1");
    assert_eq!(engine.network_names(), ["jaco_shop_default"]);
}

#[tokio::test(start_paused = true)]
async fn a_new_agent_adopts_what_runs_and_says_nothing() {
    let engine = FakeRuntime::new();
    let mut node = running(&engine).await;
    node.pass(Duration::from_secs(60)).await;
    let before = engine.containers();
    let said = node.log.len();
    node.restart().await;
    node.pass(Duration::from_secs(120)).await;
    assert_eq!(engine.containers(), before);
    let news: Vec<_> = node.log[said..].iter().flat_map(|r| &r.replicas).collect();
    assert!(news.is_empty(), "{news:?}");
    assert_eq!((engine.count(Op::Create), engine.count(Op::Stop)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_idle_node_says_nothing_and_asks_little() {
    let engine = FakeRuntime::new();
    let ids: Vec<String> = (1..=50).map(|n| format!("shop.web.{n}")).collect();
    let replicas = ids.iter().map(|id| sample::replica(id, 1));
    let mut node = Node::start(&engine, sample::assignment(replicas));
    for id in &ids {
        node.until_state(id, ReplicaState::Running).await;
    }
    node.pass(Duration::from_secs(40)).await;
    let (said, asked) = (node.log.len(), engine.calls().len());
    node.pass(Duration::from_secs(600)).await;
    assert_eq!(node.log.len(), said);
    let asked = engine.calls().len() - asked;
    assert!(asked <= 2 * 21, "{asked} requests in ten idle minutes");
}

#[tokio::test(start_paused = true)]
async fn three_crashes_in_a_row_are_the_end_with_exit_code_and_last_lines() {
    let engine = FakeRuntime::new();
    engine.image_runs("app:1", "echo one; echo two; exit 3");
    let mut node = Node::start(&engine, one(sample::spec("app:1")));
    let began = tokio::time::Instant::now();
    let seen = node.until_state(WEB, ReplicaState::Failed).await;
    assert!(began.elapsed() >= Duration::from_secs(3), "pauses of 1 s and 2 s");
    let reason = seen.reason.unwrap();
    assert_eq!(reason.code, Some(ErrorCode::RestartExhausted));
    assert!(reason.message.contains("code 3"), "{}", reason.message);
    assert_eq!((seen.exit_code, seen.restarts), (Some(3), 2));
    let last = node.log.iter().flat_map(|r| &r.replicas).next_back().unwrap();
    assert_eq!(last.log_tail, ["one", "two"].repeat(3));

    let starts = engine.count(Op::Start);
    node.pass(Duration::from_secs(300)).await;
    node.restart().await;
    node.pass(Duration::from_secs(300)).await;
    assert_eq!(engine.count(Op::Start), starts, "failed stays failed");
    assert_eq!(node.seen(WEB).unwrap().state, ReplicaState::Failed);

    engine.image_runs("app:2", "sleep 100000");
    node.advance(WEB, sample::spec("app:2"));
    node.until_state(WEB, ReplicaState::Running).await;
}

#[tokio::test(start_paused = true)]
async fn ten_healthy_seconds_forgive_earlier_crashes() {
    let engine = FakeRuntime::new();
    engine.image_runs("app:1", "sleep 13; exit 1");
    let mut node = Node::start(&engine, one(sample::spec("app:1")));
    node.until("ten restarts", |n| n.seen(WEB).unwrap().restarts >= 10).await;
    assert!(!node.story(WEB).contains(&ReplicaState::Failed));
}

#[tokio::test(start_paused = true)]
async fn a_crash_counter_survives_a_new_agent() {
    let engine = FakeRuntime::new();
    engine.image_runs("app:1", "sleep 1; exit 1");
    let mut node = Node::start(&engine, one(sample::spec("app:1")));
    node.until("two restarts", |n| n.seen(WEB).unwrap().restarts == 2).await;
    node.restart().await;
    let starts = engine.count(Op::Start);
    node.until_state(WEB, ReplicaState::Failed).await;
    assert_eq!(engine.count(Op::Start), starts);
}

#[tokio::test(start_paused = true)]
async fn a_lack_of_memory_is_named() {
    let engine = FakeRuntime::new();
    let mut node = running(&engine).await;
    engine.out_of_memory(NAME);
    let seen = node.until_state(WEB, ReplicaState::Degraded).await;
    assert!(seen.oom_killed && seen.exit_code == Some(137));
    let reason = seen.reason.unwrap();
    assert_eq!(reason.code, Some(ErrorCode::ContainerExited));
    assert!(reason.message.contains("memory"), "{}", reason.message);
    node.until_state(WEB, ReplicaState::Running).await;
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_container_is_degraded_restarted_and_given_up_after_three() {
    let engine = FakeRuntime::new();
    let mut spec = sample::spec("app:1");
    spec.healthcheck = Some(Healthcheck::Check {
        test: vec!["CMD".into(), "false".into()],
        interval: Some(Span::secs(1)),
        timeout: None,
        start_period: None,
        start_interval: None,
        retries: Some(2),
    });
    let mut node = Node::start(&engine, one(spec));
    let seen = node.until_state(WEB, ReplicaState::Degraded).await;
    assert_eq!(seen.reason.unwrap().code, Some(ErrorCode::HealthcheckFailed));
    let seen = node.until_state(WEB, ReplicaState::Failed).await;
    let reason = seen.reason.unwrap();
    assert_eq!(reason.code, Some(ErrorCode::RestartExhausted));
    assert!(reason.message.contains("health check fails"), "{}", reason.message);
    assert_eq!(seen.restarts, 2);
    node.pass(Duration::from_secs(100)).await;
    assert_eq!(container(&node, NAME).unwrap().status, ContainerStatus::Exited);
    assert!(!node.story(WEB).contains(&ReplicaState::Running));
}

#[tokio::test(start_paused = true)]
async fn with_a_check_running_means_healthy() {
    let engine = FakeRuntime::new();
    engine.image_checks(
        "app:1",
        Healthcheck::Check {
            test: vec!["CMD".into(), "true".into()],
            interval: Some(Span::secs(20)),
            timeout: None,
            start_period: None,
            start_interval: None,
            retries: None,
        },
    );
    let mut node = Node::start(&engine, one(sample::spec("app:1")));
    let began = tokio::time::Instant::now();
    let seen = node.until_state(WEB, ReplicaState::Running).await;
    assert!(began.elapsed() >= Duration::from_secs(20));
    assert_eq!(seen.health, Health::Healthy);
    engine.delay(Op::Stop, Duration::from_secs(1));
    engine.set_health(NAME, Health::Unhealthy);
    let seen = node.until_state(WEB, ReplicaState::Degraded).await;
    assert_eq!(seen.health, Health::Unhealthy);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_does_not_exist_is_given_up_at_once_and_the_old_one_serves_on() {
    let engine = FakeRuntime::new();
    let mut node = running(&engine).await;
    engine.no_such_image("app:typo");
    node.advance(WEB, sample::spec("app:typo"));
    node.until("three failures", |n| n.seen(WEB).unwrap().pull_failures == 3).await;
    let seen = node.seen(WEB).unwrap();
    assert_eq!(seen.state, ReplicaState::Pulling);
    let reason = seen.reason.unwrap();
    assert_eq!(reason.code, Some(ErrorCode::ImagePullFailed));
    assert!(reason.message.contains("manifest unknown"), "{}", reason.message);
    let old = container(&node, NAME).unwrap();
    assert_eq!(
        (old.status, old.labels[label::GENERATION].as_str()),
        (ContainerStatus::Running, "1")
    );
    let said = node.log.len();
    node.pass(Duration::from_secs(3000)).await;
    assert_eq!(node.log.len(), said, "further attempts are no news");
}

#[tokio::test(start_paused = true)]
async fn a_weak_registry_is_asked_again_with_growing_pauses() {
    let engine = FakeRuntime::new();
    for _ in 0..4 {
        let message = "received unexpected HTTP status: 503".to_owned();
        let error = RuntimeError::PullFailed { image: "app:1".into(), message };
        engine.next_pull("app:1", Duration::from_millis(100), Err(error));
    }
    let mut node = Node::start(&engine, one(sample::spec("app:1")));
    let began = tokio::time::Instant::now();
    node.until("two failures", |n| n.seen(WEB).unwrap().pull_failures == 2).await;
    let seen = node.until_state(WEB, ReplicaState::Running).await;
    assert!(began.elapsed() >= Duration::from_secs(1 + 2 + 4 + 8));
    assert_eq!((seen.pull_failures, seen.reason), (0, None));
}

#[tokio::test(start_paused = true)]
async fn a_missing_image_that_must_not_be_fetched_is_given_up_at_once() {
    let engine = FakeRuntime::new();
    let mut spec = sample::spec("local:1");
    spec.pull_policy = PullPolicy::Never;
    let mut node = Node::start(&engine, one(spec));
    node.until("three failures", |n| n.seen(WEB).unwrap().pull_failures == 3).await;
    assert_eq!(engine.count(Op::Pull), 0);
}

#[tokio::test(start_paused = true)]
async fn a_replacement_stops_the_old_container_with_its_own_grace_before_the_new_one_is_made() {
    let engine = FakeRuntime::new();
    let mut spec = sample::spec("app:1");
    spec.command = Some(vec!["sleep".into(), "1000000".into()]);
    spec.stop_grace_period = Some(Span::secs(40));
    let mut node = Node::start(&engine, one(spec));
    node.until_state(WEB, ReplicaState::Running).await;
    let old = container(&node, NAME).unwrap();
    engine.next_pull("app:2", Duration::from_secs(9), Ok(()));
    let began = tokio::time::Instant::now();
    node.advance(WEB, sample::spec("app:2"));
    let seen = node.until_state(WEB, ReplicaState::Running).await;
    assert!(began.elapsed() >= Duration::from_secs(9 + 40 + 2), "{:?}", began.elapsed());
    assert_ne!(seen.container, Some(old.id));
    assert_eq!(engine.containers().len(), 1);
    let order: Vec<_> = engine
        .calls()
        .into_iter()
        .map(|c| c.op)
        .filter(|op| matches!(op, Op::Pull | Op::Stop | Op::Remove | Op::Create))
        .skip(2)
        .collect();
    assert_eq!(order, [Op::Pull, Op::Stop, Op::Remove, Op::Create]);
}

#[tokio::test(start_paused = true)]
async fn a_newer_generation_supersedes_a_stuck_pull_and_delays_nobody_else() {
    let engine = FakeRuntime::new();
    engine.next_pull("stuck:1", Duration::from_secs(1_000_000), Ok(()));
    let stuck = sample::replica_of(WEB, 1, sample::spec("stuck:1"));
    let other = sample::replica("shop.api.1", 1);
    let mut node = Node::start(&engine, sample::assignment([stuck, other]));
    node.until_state("shop.api.1", ReplicaState::Running).await;
    node.until_state(WEB, ReplicaState::Pulling).await;
    node.advance(WEB, sample::spec("app:2"));
    let began = tokio::time::Instant::now();
    node.until_state(WEB, ReplicaState::Running).await;
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn the_next_image_is_fetched_while_the_present_one_serves() {
    let engine = FakeRuntime::new();
    let mut node = running(&engine).await;
    let before = container(&node, NAME).unwrap();
    engine.next_pull("app:2", Duration::from_secs(30), Ok(()));
    engine.no_such_image("app:3");
    let prepare = |image: &str| Some(Arc::new(sample::spec(image)));
    let prepared = |n: &Node<FakeRuntime>| {
        n.assignment().replicas[&WEB.parse::<ReplicaId>().unwrap()].prepared.clone()
    };
    node.change_replica(WEB, |r| r.prepare = prepare("app:2"));
    node.until("it is there", |n| prepared(n) == Some(Ok(()))).await;
    node.change_replica(WEB, |r| (r.prepare, r.prepared) = (prepare("app:3"), None));
    node.until("it is not", |n| matches!(prepared(n), Some(Err(_)))).await;
    assert_eq!(container(&node, NAME), Some(before));
    assert_eq!(node.seen(WEB).unwrap().state, ReplicaState::Running);
    let pulls = engine.count(Op::Pull);
    node.advance(WEB, sample::spec("app:2"));
    node.until_state(WEB, ReplicaState::Running).await;
    assert_eq!(engine.count(Op::Pull), pulls, "it was there already");
}

#[tokio::test(start_paused = true)]
async fn a_removed_replica_goes_with_its_network_and_the_volumes_that_were_to_go() {
    let engine = FakeRuntime::new();
    let mut spec = sample::spec("app:1");
    spec.mounts.push(Mount {
        source: MountSource::Volume {
            name: "jaco_shop_db".into(),
            external: false,
            driver: String::new(),
            driver_opts: Default::default(),
            nocopy: false,
            subpath: None,
            labels: Default::default(),
        },
        target: "/data".into(),
        read_only: false,
    });
    let mut node = Node::start(&engine, one(spec));
    node.until_state(WEB, ReplicaState::Running).await;
    let foreign = VolumeRequest { name: "theirs".into(), ..Default::default() };
    engine.create_volume(&foreign).await.unwrap();
    engine.delay(Op::Stop, Duration::from_secs(1));
    node.change(|a| {
        a.replicas.values_mut().for_each(|r| (r.intent, r.spec) = (Intent::Remove, None));
        a.networks.clear();
        a.remove_volumes = ["jaco_shop_db".to_owned(), "theirs".to_owned()].into();
    });
    node.until("all rows are gone", |n| {
        let a = n.assignment();
        a.replicas.is_empty() && a.remove_volumes.is_empty()
    })
    .await;
    node.pass(Duration::from_secs(1)).await;
    assert!(engine.containers().is_empty() && engine.network_names().is_empty());
    assert_eq!(engine.volume_names(), ["theirs"]);
    assert_eq!(node.story(WEB).last(), Some(&ReplicaState::Stopping));
    assert_eq!(engine.count(Op::Stop), 1, "stopped, not killed");
}

/// A container of `cluster` for `replica`.
fn request(cluster: &str, replica: &str) -> jaco_runtime::container::ContainerRequest {
    let labels = [(label::CLUSTER, cluster), (label::REPLICA, replica), (label::GENERATION, "1")];
    jaco_runtime::container::ContainerRequest {
        name: format!("{cluster}-{replica}"),
        labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        spec: Arc::new(ContainerSpec { image: "app:1".into(), ..Default::default() }),
        networks: Vec::new(),
        files: Vec::new(),
        lead: None,
    }
}

#[tokio::test(start_paused = true)]
async fn orphans_go_only_when_caught_up_and_others_are_never_touched() {
    let engine = FakeRuntime::new();
    let ours = sample::cluster().to_string();
    for mut wanted in [
        request(&ours, "old.web.1"),
        request("another", "old.web.1"),
        request(&ours, "no replica"),
        request("unlabelled", "x.y.1"),
    ] {
        if wanted.name.starts_with("unlabelled") {
            wanted.labels.clear();
        }
        let id = engine.foreign(wanted).await.unwrap();
        engine.start(&id).await.unwrap();
    }
    let mut assignment = one(sample::spec("app:1"));
    assignment.caught_up = false;
    let mut node = Node::start(&engine, assignment);
    node.pass(Duration::from_secs(100)).await;
    assert_eq!(engine.containers().len(), 4, "nothing is done before it has caught up");
    node.change(|a| a.caught_up = true);
    node.until_state(WEB, ReplicaState::Running).await;
    node.pass(Duration::from_secs(60)).await;
    let left: Vec<_> = engine.containers().into_iter().map(|c| c.name).collect();
    let ours = format!("{ours}-no replica");
    assert_eq!(left, [ours.as_str(), "another-old.web.1", NAME, "unlabelled-x.y.1"]);
    assert!(engine.containers().iter().all(|c| c.status == ContainerStatus::Running));
}

#[tokio::test(start_paused = true)]
async fn of_two_containers_of_one_replica_one_is_kept() {
    let engine = FakeRuntime::new();
    let mut node = running(&engine).await;
    let kept = container(&node, NAME).unwrap();
    let id = engine.foreign(request(&sample::cluster().to_string(), WEB)).await.unwrap();
    engine.start(&id).await.unwrap();
    node.pass(Duration::from_secs(60)).await;
    assert_eq!(engine.containers().iter().map(|c| &c.id).collect::<Vec<_>>(), [&kept.id]);
}

#[tokio::test(start_paused = true)]
async fn a_container_with_our_name_that_is_not_ours_is_an_error_and_stays() {
    let engine = FakeRuntime::new();
    let mut foreign = request("x", "y");
    (foreign.name, foreign.labels) = (NAME.to_owned(), Labels::new());
    engine.foreign(foreign).await.unwrap();
    let mut node = Node::start(&engine, one(sample::spec("app:1")));
    let seen = node.until_state(WEB, ReplicaState::Degraded).await;
    let reason = seen.reason.unwrap();
    assert_eq!(reason.code, Some(ErrorCode::EngineError));
    assert!(reason.message.contains("already in use"), "{}", reason.message);
    node.until_state(WEB, ReplicaState::Failed).await;
    assert_eq!(engine.containers().len(), 1);
    assert_eq!(engine.count(Op::Remove), 0);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_network_is_an_error_and_stays_and_another_clusters_is_replaced() {
    let engine = FakeRuntime::new();
    let name = "jaco_shop_default".to_owned();
    let request = NetworkRequest { name, ..NetworkRequest::default() };
    engine.create_network(&request).await.unwrap();
    let mut node = Node::start(&engine, one(sample::spec("app:1")));
    let seen = node.until_state(WEB, ReplicaState::Degraded).await;
    assert_eq!(seen.reason.unwrap().code, Some(ErrorCode::EngineError));
    assert_eq!(engine.count(Op::RemoveNetwork), 0);

    let engine = FakeRuntime::new();
    let labels = Labels::from([(label::CLUSTER.to_owned(), "earlier".to_owned())]);
    engine.create_network(&NetworkRequest { labels, ..request }).await.unwrap();
    let mut node = Node::start(&engine, one(sample::spec("app:1")));
    node.until_state(WEB, ReplicaState::Running).await;
    let networks = engine.networks(&Labels::new()).await.unwrap();
    assert_eq!(networks[0].labels[label::CLUSTER], sample::cluster().to_string());
}

/// One replica whose network has these addresses.
fn addressed(prefix: &str) -> Assignment {
    let mut assignment = one(sample::spec("app:1"));
    set_addresses(&mut assignment, prefix);
    assignment
}

fn set_addresses(assignment: &mut Assignment, prefix: &str) {
    for network in assignment.networks.values_mut() {
        network.subnet = Some(sample::subnet(prefix));
    }
}

/// The labelled addresses of every network.
async fn addresses(engine: &FakeRuntime) -> Vec<Option<String>> {
    let networks = engine.networks(&Labels::new()).await.unwrap();
    networks.into_iter().map(|n| n.labels.get(label::SUBNET).cloned()).collect()
}

/// Index of the newest assignment by which there is no network too many.
fn tidied(node: &Node<FakeRuntime>) -> Option<u64> {
    node.agent.as_ref().and_then(|agent| agent.tidied().borrow().as_ref().map(|a| a.index))
}

#[tokio::test(start_paused = true)]
async fn a_network_has_the_addresses_it_is_assigned_and_its_end_is_told() {
    let engine = FakeRuntime::new();
    let mut node = Node::start(&engine, addressed("10.244.7.0/24"));
    node.until_state(WEB, ReplicaState::Running).await;
    assert_eq!(addresses(&engine).await, [Some("10.244.7.0/24".to_owned())]);
    let address = container(&node, NAME).unwrap().addresses["jaco_shop_default"];
    assert_eq!(address.to_string(), "10.244.7.2", "the first one is the bridge's");
    node.pass(Duration::from_secs(60)).await;
    assert_eq!(tidied(&node), Some(node.assignment().index));

    // A container of somebody else holds the network.
    let guest = sample::replica_of("guest.app.1", 1, sample::spec("app:1"));
    let mut request =
        jaco_runtime::spec::container(sample::cluster(), &guest, &Arc::new(sample::spec("app:1")));
    (request.labels, request.name) = (Labels::new(), "guest".to_owned());
    request.networks[0].network = "jaco_shop_default".to_owned();
    let guest = engine.foreign(request).await.unwrap();
    engine.start(&guest).await.unwrap();
    node.change(|a| {
        a.networks.clear();
        a.replicas.values_mut().for_each(|r| r.intent = Intent::Remove);
    });
    let without = node.assignment().index;
    node.until("it is gone", |n| n.seen(WEB).is_none()).await;
    node.pass(Duration::from_secs(100)).await;
    assert_eq!(engine.network_names().len(), 1);
    assert!(tidied(&node) < Some(without), "its addresses are not free yet");
    engine.remove_behind(&guest);
    node.pass(Duration::from_secs(100)).await;
    assert_eq!(engine.network_names().len(), 0);
    assert_eq!(tidied(&node), Some(node.assignment().index));
}

#[tokio::test(start_paused = true)]
async fn a_network_from_before_stays_while_its_deployment_has_containers() {
    let engine = FakeRuntime::new();
    let mut node = running(&engine).await;
    assert_eq!(addresses(&engine).await, [None]);
    let first = container(&node, NAME).unwrap().id;
    let second = "shop.api.1";
    node.change(|a| {
        set_addresses(a, "10.244.7.0/24");
        let replica = sample::replica(second, 1);
        a.replicas.insert(replica.id.clone(), replica);
    });
    node.until_state(second, ReplicaState::Running).await;
    node.pass(Duration::from_secs(100)).await;
    assert_eq!(container(&node, NAME).unwrap().id, first, "what runs runs on");
    assert_eq!(addresses(&engine).await, [None], "the new one has joined it");
    assert_eq!(tidied(&node), Some(node.assignment().index), "it holds no addresses of ours");

    for id in [WEB, second] {
        node.change_replica(id, |r| r.intent = Intent::Remove);
        node.until("it is gone", |n| n.seen(id).is_none()).await;
    }
    node.change(|a| {
        let replica = sample::replica("shop.web.2", 1);
        a.replicas.insert(replica.id.clone(), replica);
    });
    node.until_state("shop.web.2", ReplicaState::Running).await;
    assert_eq!(addresses(&engine).await, [Some("10.244.7.0/24".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn addresses_that_another_network_of_the_host_has_are_told_with_a_hint() {
    let engine = FakeRuntime::new();
    let prefix: ipnet::IpNet = "10.244.0.0/16".parse().unwrap();
    let other = NetworkRequest {
        name: "somebody".to_owned(),
        addresses: Some((prefix, prefix.hosts().next().unwrap())),
        ..NetworkRequest::default()
    };
    engine.create_network(&other).await.unwrap();
    let mut node = Node::start(&engine, addressed("10.244.7.0/24"));
    let reason = node.until_state(WEB, ReplicaState::Degraded).await.reason.unwrap();
    assert_eq!(reason.code, Some(ErrorCode::EngineError));
    for part in ["10.244.7.0/24", "overlaps", "address_pools"] {
        assert!(reason.message.contains(part), "{}", reason.message);
    }
    assert_eq!(engine.network_names(), ["somebody"]);
}

#[tokio::test(start_paused = true)]
async fn a_replica_waits_for_its_dependencies_and_says_so() {
    let engine = FakeRuntime::new();
    let mut assignment = one(sample::spec("app:1"));
    for replica in assignment.replicas.values_mut() {
        replica.waiting_on = vec!["db to be healthy".into()];
    }
    let mut node = Node::start(&engine, assignment);
    node.until("it says so", |n| n.seen(WEB).unwrap().reason.is_some()).await;
    let seen = node.seen(WEB).unwrap();
    assert_eq!(seen.state, ReplicaState::Pending);
    assert_eq!(seen.reason.unwrap().message, "waiting for db to be healthy");
    node.pass(Duration::from_secs(60)).await;
    assert!(engine.containers().is_empty());
    node.change_replica(WEB, |r| r.waiting_on.clear());
    node.until_state(WEB, ReplicaState::Running).await;
    node.change_replica(WEB, |r| r.waiting_on = vec!["db to be healthy".into()]);
    node.pass(Duration::from_secs(60)).await;
    assert_eq!(node.seen(WEB).unwrap().state, ReplicaState::Running, "what runs is left alone");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_goes_away_is_said_once_and_everything_resumes() {
    let engine = FakeRuntime::new();
    let mut node = running(&engine).await;
    node.pass(Duration::from_secs(20)).await;
    let said = node.log.len();
    engine.stop_engine();
    node.pass(Duration::from_secs(100)).await;
    let engine_news: Vec<_> = node.log[said..].iter().map(|r| &r.engine).collect();
    assert!(matches!(engine_news.as_slice(), [EngineStatus::Down { .. }]), "{engine_news:?}");
    assert_eq!(node.seen(WEB).unwrap().state, ReplicaState::Running, "nothing is known of it");
    engine.reconnect();
    node.until("it is up", |n| matches!(n.log.last().unwrap().engine, EngineStatus::Up(_))).await;
    node.until("it runs again", |n| {
        container(n, NAME).unwrap().status == ContainerStatus::Running
            && n.seen(WEB).unwrap().restarts == 1
            && n.seen(WEB).unwrap().state == ReplicaState::Running
    })
    .await;
    assert!(!node.story(WEB).contains(&ReplicaState::Failed));
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_away_at_the_start_is_waited_for() {
    let engine = FakeRuntime::new();
    engine.disconnect();
    let mut node = Node::start(&engine, one(sample::spec("app:1")));
    node.until("it says so", |n| {
        n.log.iter().any(|r| matches!(r.engine, EngineStatus::Down { .. }))
    })
    .await;
    engine.reconnect();
    node.until_state(WEB, ReplicaState::Running).await;
}

#[tokio::test(start_paused = true)]
async fn jobs_complete_and_are_not_run_again() {
    let engine = FakeRuntime::new();
    engine.image_runs("ok:1", "sleep 5; exit 0").image_runs("bad:1", "sleep 1; exit 4");
    let job = |id: &str, image: &str, condition| {
        let mut job = sample::replica_of(id, 1, sample::spec(image));
        (job.mode, job.restart.condition) = (Mode::Job, condition);
        job
    };
    let mut node = Node::start(
        &engine,
        sample::assignment([
            job("shop.ok.1", "ok:1", RestartCondition::OnFailure),
            job("shop.once.1", "bad:1", RestartCondition::None),
            job("shop.thrice.1", "bad:1", RestartCondition::OnFailure),
        ]),
    );
    let seen = node.until_state("shop.ok.1", ReplicaState::Completed).await;
    assert_eq!(seen.exit_code, Some(0));
    let seen = node.until_state("shop.once.1", ReplicaState::Failed).await;
    assert_eq!(seen.reason.unwrap().code, Some(ErrorCode::ContainerExited));
    let seen = node.until_state("shop.thrice.1", ReplicaState::Failed).await;
    assert_eq!((seen.reason.unwrap().code, seen.restarts), (Some(ErrorCode::RestartExhausted), 2));
    engine.remove_behind("jaco.shop.ok.1");
    let starts = engine.count(Op::Start);
    node.restart().await;
    node.pass(Duration::from_secs(100)).await;
    assert_eq!(engine.count(Op::Start), starts, "what is over stays over");
}

#[tokio::test(start_paused = true)]
async fn a_container_removed_behind_our_back_is_made_again() {
    let engine = FakeRuntime::new();
    let mut node = running(&engine).await;
    let old = container(&node, NAME).unwrap();
    engine.remove_behind(NAME);
    node.until("another one runs", |n| {
        let seen = n.seen(WEB).unwrap();
        seen.state == ReplicaState::Running && seen.container.is_some_and(|c| c != old.id)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_the_engine_refuses_counts_as_a_failure_in_its_words() {
    let engine = FakeRuntime::new();
    let mut spec = sample::spec("app:1");
    spec.command = Some(vec!["/nonexistent/server".into()]);
    let mut node = Node::start(&engine, one(spec));
    let seen = node.until_state(WEB, ReplicaState::Failed).await;
    let reason = seen.reason.unwrap();
    assert_eq!(reason.code, Some(ErrorCode::RestartExhausted));
    assert!(reason.message.contains("no such file or directory"), "{}", reason.message);
    assert_eq!(engine.count(Op::Start), 3);
}

#[tokio::test(start_paused = true)]
async fn a_difference_is_told_again_until_state_has_it() {
    let engine = FakeRuntime::new();
    let mut node = Node::start(&engine, one(sample::spec("app:1")));
    let mut told = 0;
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    while let Ok(Some(report)) = tokio::time::timeout_at(end, node.reports.recv()).await {
        told += report
            .replicas
            .iter()
            .filter(|r| r.observation.as_ref().unwrap().state == ReplicaState::Running)
            .count();
    }
    assert!((4..=8).contains(&told), "{told} times in a minute");
}

#[tokio::test(start_paused = true)]
async fn ten_replicas_start_side_by_side() {
    let engine = FakeRuntime::new();
    engine.delay(Op::Create, Duration::from_secs(1)).delay(Op::Start, Duration::from_secs(1));
    let ids: Vec<String> = (1..=10).map(|n| format!("shop.web.{n}")).collect();
    let replicas = ids.iter().map(|id| sample::replica(id, 1));
    let mut node = Node::start(&engine, sample::assignment(replicas));
    let began = tokio::time::Instant::now();
    for id in &ids {
        node.until_state(id, ReplicaState::Running).await;
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(engine.count(Op::Pull), 1, "one fetch serves all");
    assert_eq!(engine.count(Op::CreateNetwork), 1);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_flaps_is_given_up_after_three_and_one_that_holds_is_not() {
    let check = Healthcheck::Check {
        test: vec!["CMD".into(), "true".into()],
        interval: Some(Span::secs(1)),
        timeout: None,
        start_period: None,
        start_interval: None,
        retries: None,
    };
    for (healthy_for, expected) in [(5, ReplicaState::Failed), (15, ReplicaState::Running)] {
        let engine = FakeRuntime::new();
        engine.image_checks("app:1", check.clone());
        let mut node = Node::start(&engine, one(sample::spec("app:1")));
        for _ in 0..3 {
            node.until_state(WEB, ReplicaState::Running).await;
            node.pass(Duration::from_secs(healthy_for)).await;
            engine.set_health(NAME, Health::Unhealthy);
            node.until("it is out of routing", |n| {
                n.seen(WEB).unwrap().state != ReplicaState::Running
            })
            .await;
        }
        node.pass(Duration::from_secs(30)).await;
        let seen = node.seen(WEB).unwrap();
        assert_eq!(seen.state, expected, "healthy for {healthy_for} s: {seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_hangs_counts_as_away_and_is_found_again() {
    let engine = FakeRuntime::new();
    let mut node = running(&engine).await;
    let hang = Duration::from_secs(100_000);
    engine.delay(Op::List, hang);
    node.until("it is said", |n| matches!(n.log.last().unwrap().engine, EngineStatus::Down { .. }))
        .await;
    engine.delay(Op::List, Duration::ZERO);
    node.until("it is up", |n| matches!(n.log.last().unwrap().engine, EngineStatus::Up(_))).await;
    node.pass(Duration::from_secs(100)).await;
    assert_eq!(node.seen(WEB).unwrap().state, ReplicaState::Running);
    assert_eq!((engine.count(Op::Create), engine.count(Op::Stop)), (1, 0));
}

const VPN: &str = "shop.vpn.1";

/// A lead and a companion that shares this with it.
fn pair(share: impl FnOnce(&mut Sharing)) -> Assignment {
    let mut sharing = Sharing::with("vpn".parse().unwrap());
    share(&mut sharing);
    let spec =
        ContainerSpec { networks: Vec::new(), beside: Some(sharing), ..sample::spec("app:1") };
    let replica = VPN.parse().unwrap();
    let beside = Some(Beside { replica, generation: 1 });
    let web = AssignedReplica { beside, ..sample::replica_of(WEB, 1, spec) };
    sample::assignment([sample::replica_of(VPN, 1, sample::spec("vpn:1")), web])
}

async fn running_pair(engine: &FakeRuntime, share: impl FnOnce(&mut Sharing)) -> Node<FakeRuntime> {
    let mut node = Node::start(engine, pair(share));
    node.until_state(VPN, ReplicaState::Running).await;
    node.until_state(WEB, ReplicaState::Running).await;
    node
}

/// Whether the companion's container shares what the lead's has now.
fn is_beside(node: &Node<FakeRuntime>) -> bool {
    let (Some(lead), Some(own)) = (container(node, "jaco.shop.vpn.1"), container(node, NAME))
    else {
        return false;
    };
    own.labels[label::LEAD] == lead.id && own.started_at >= lead.started_at
}

#[tokio::test(start_paused = true)]
async fn a_companion_is_made_beside_the_container_of_its_lead() {
    let engine = FakeRuntime::new();
    engine.next_pull("vpn:1", Duration::from_secs(20), Ok(()));
    let node = running_pair(&engine, |s| s.network = true).await;
    assert!(is_beside(&node));
    assert_eq!(engine.count(Op::Create), 2);
}

#[tokio::test(start_paused = true)]
async fn when_the_container_of_its_lead_ends_a_companion_is_started_again_with_it() {
    for pid in [false, true] {
        let engine = FakeRuntime::new();
        let mut node = running_pair(&engine, |s| (s.network, s.pid) = (true, pid)).await;
        for round in 1..=5 {
            engine.exit("jaco.shop.vpn.1", 137);
            node.until_state(WEB, ReplicaState::Degraded).await;
            node.until_state(VPN, ReplicaState::Running).await;
            node.until_state(WEB, ReplicaState::Running).await;
            assert!(is_beside(&node), "round {round}");
            // Long enough to forgive the lead, which did fail.
            node.pass(Duration::from_secs(15)).await;
        }
        let seen = node.seen(WEB).unwrap();
        assert_eq!(seen.restarts, 0, "no failure of its own");
        assert_eq!(node.seen(VPN).unwrap().restarts, 5);
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_container_of_its_lead_is_another_one_a_companion_is_made_anew() {
    let engine = FakeRuntime::new();
    let mut node = running_pair(&engine, |s| s.network = true).await;
    let before = container(&node, NAME).unwrap().id;
    engine.remove_behind("jaco.shop.vpn.1");
    node.until("the lead runs again", |n| container(n, "jaco.shop.vpn.1").is_some()).await;
    node.until("it is beside it", is_beside).await;
    node.until_state(WEB, ReplicaState::Running).await;
    assert_ne!(container(&node, NAME).unwrap().id, before);
    assert_eq!(node.seen(WEB).unwrap().restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_new_agent_finds_a_pair_as_it_is() {
    let engine = FakeRuntime::new();
    let mut node = running_pair(&engine, |s| s.network = true).await;
    node.pass(Duration::from_secs(60)).await;
    let before = engine.containers();
    node.restart().await;
    node.pass(Duration::from_secs(120)).await;
    assert_eq!(engine.containers(), before);
    // What ended with the host starts in order.
    node.restart().await;
    engine.exit(NAME, 137);
    engine.exit("jaco.shop.vpn.1", 137);
    node.until_state(WEB, ReplicaState::Running).await;
    node.until("it is beside it", is_beside).await;
}

#[tokio::test(start_paused = true)]
async fn the_next_generation_of_both_is_one_beside_the_other() {
    let engine = FakeRuntime::new();
    let mut node = running_pair(&engine, |s| s.network = true).await;
    let own = node.assignment().replicas[&WEB.parse().unwrap()].spec.clone().unwrap();
    node.change(|a| {
        let lead = a.replicas.get_mut(&VPN.parse().unwrap()).unwrap();
        lead.generation = 2;
        lead.observed = Observation { generation: 2, ..Observation::default() };
        let replica = a.replicas.get_mut(&WEB.parse().unwrap()).unwrap();
        replica.generation = 2;
        replica.observed = Observation { generation: 2, ..Observation::default() };
        replica.beside.as_mut().unwrap().generation = 2;
        replica.spec = Some(own);
        replica.waiting_on = vec!["shop.vpn.1 to start".to_owned()];
    });
    node.until_state(VPN, ReplicaState::Running).await;
    node.change_replica(WEB, |r| r.waiting_on.clear());
    node.until_state(WEB, ReplicaState::Running).await;
    assert!(is_beside(&node));
    let generation = |name: &str| container(&node, name).unwrap().labels[label::GENERATION].clone();
    assert_eq!((generation(NAME), generation("jaco.shop.vpn.1")), ("2".into(), "2".into()));
}

#[tokio::test(start_paused = true)]
async fn a_companion_is_stopped_before_its_lead() {
    let engine = FakeRuntime::new();
    // It takes its whole grace.
    engine.image_runs("app:1", "trap '' TERM; sleep 100000");
    let mut node = running_pair(&engine, |s| s.network = true).await;
    let id = |name: &str| container(&node, name).unwrap().id;
    let (own, lead) = (id(NAME), id("jaco.shop.vpn.1"));
    node.change(|a| a.replicas.values_mut().for_each(|r| r.intent = Intent::Remove));
    node.until("both are gone", |n| n.assignment().replicas.is_empty()).await;
    assert!(engine.containers().is_empty());
    let calls = engine.calls();
    let at = |op, subject: &str| calls.iter().position(|c| c.op == op && c.subject == subject);
    assert!(at(Op::Remove, &own) < at(Op::Stop, &lead), "{calls:?}");
}

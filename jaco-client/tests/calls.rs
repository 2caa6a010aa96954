//! Calls over every kind of connection, against the cluster in memory.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{sync::Arc, time::Duration};

use futures::TryStreamExt as _;
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{
        DeploymentState, DeploymentStatus, Health, Reason, ReplicaId, ReplicaState, ReplicaStatus,
        Role, RolloutPhase, RolloutStatus, ServiceStatus, Timestamp,
    },
};
use jaco_client::{
    Apply, AuditFilter, Client, Error, EventQuery, Goal, IssueToken, LogQuery, Notice, StatusQuery,
    Wait, WaitResult, testing::FakeCluster,
};

fn deployment(revision: u64, state: DeploymentState, running: u32) -> DeploymentStatus {
    DeploymentStatus {
        name: "shop".parse().unwrap(),
        revision,
        state,
        reason: None,
        services: vec![ServiceStatus {
            name: "web".parse().unwrap(),
            image: "web:1".into(),
            desired: 2,
            running,
            updated: 2,
            state,
            reason: None,
            cron: None,
        }],
        rollout: None,
        routes: Vec::new(),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }
}

fn replica(id: &str, state: ReplicaState) -> ReplicaStatus {
    ReplicaStatus {
        id: id.parse::<ReplicaId>().unwrap(),
        node: "node-a".parse().unwrap(),
        state,
        health: Health::None,
        reason: None,
        generation: 1,
        revision: 1,
        image: "web:1".into(),
        container: None,
        restarts: 0,
        exit_code: None,
        oom_killed: false,
        started_at: None,
        since: Timestamp(0),
        log_tail: Vec::new(),
        tick: None,
    }
}

fn wait(goal: Goal, revision: Option<u64>) -> Wait {
    let deployment = "shop".parse().unwrap();
    Wait { deployment, service: None, goal, revision, timeout: Duration::from_secs(20) }
}

#[tokio::test]
async fn the_socket_carries_every_service() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jaco.sock");
    let fake = FakeCluster::default();
    fake.insert(deployment(1, DeploymentState::Active, 2));
    let server = fake.serve_unix(&path).unwrap();
    let client = Client::builder().socket(&path).connect().await.unwrap();

    assert_eq!(client.cluster_init("admin").await.unwrap().token.len(), 64);
    assert!(client.cluster_status().await.unwrap().initialized);
    assert!(client.nodes().await.unwrap().is_empty());
    let shop = "shop".parse().unwrap();
    assert_eq!(client.rollback(&shop, None).await.unwrap().restored, 0);
    assert!(client.stop(&shop).await.unwrap().changed);
    assert!(!client.stop(&shop).await.unwrap().changed);
    assert!(client.restart(&shop, &[]).await.unwrap().changed);
    assert!(client.history(&shop).await.unwrap().is_empty());
    assert_eq!(client.set_setting("a", "b").await.unwrap()["a"], "b");
    let issue = IssueToken {
        identity: "ci".parse().unwrap(),
        role: Role::Deployer,
        deployments: vec!["shop-*".into()],
        allow_privileged: false,
        ttl: Some(Duration::from_secs(60)),
        rotate: false,
    };
    assert_eq!(client.issue_token(&issue).await.unwrap().token.len(), 64);
    let again = client.issue_token(&issue).await.unwrap_err();
    assert_eq!(again.code(), Some(ErrorCode::Conflict));
    client.revoke_token(&issue.identity).await.unwrap();
    assert!(client.tokens().await.unwrap()[0].revoked_at.is_some());
    let events = client.events(&EventQuery::default()).await.unwrap();
    assert!(events.try_collect::<Vec<_>>().await.unwrap().is_empty());
    let logs = client.logs(&LogQuery::default()).await.unwrap();
    assert!(logs.try_collect::<Vec<_>>().await.unwrap().is_empty());
    let audit = client.audit(&AuditFilter::default()).await.unwrap();
    assert!(audit.try_collect::<Vec<_>>().await.unwrap().is_empty());
    // On the socket nobody needs a token.
    assert!(fake.read(|t| t.authorizations.iter().all(Option::is_none)));
    server.abort();
}

#[tokio::test]
async fn no_daemon_is_a_connect_error_with_a_hint() {
    let error = Client::builder().socket("/nonexistent/jaco.sock").connect().await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("jacod"), "{:?}", error.hint());
}

#[tokio::test]
async fn errors_keep_code_and_details() {
    let fake = FakeCluster::default();
    fake.refuse(ApiError::new(ErrorCode::PortConflict, "port 8080 is taken").with("owner", "blog"));
    let error = fake.client().apply(Apply::default()).await.unwrap_err();
    let Error::Api(error) = error else { panic!("{error:?}") };
    assert_eq!(error.code, ErrorCode::PortConflict);
    assert_eq!(error.details["owner"], "blog");
}

#[tokio::test]
async fn an_election_is_sat_out_with_one_request_id() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jaco.sock");
    let fake = FakeCluster::default();
    let _server = fake.serve_unix(&path).unwrap();
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let hook = Arc::clone(&heard);
    let client = Client::builder()
        .socket(&path)
        .on_notice(move |n| hook.lock().unwrap().push(n))
        .connect()
        .await
        .unwrap();
    for _ in 0..3 {
        fake.refuse(ApiError::new(ErrorCode::NoLeader, "no leader"));
    }
    let apply = Apply { jaco: "deployment: shop".into(), ..Apply::default() };
    assert_eq!(client.apply(apply).await.unwrap().revision, 1);
    let calls = fake.calls();
    assert_eq!(calls.len(), 4);
    assert!(calls.iter().all(|c| *c == calls[0] && c.len() > 20), "one request id: {calls:?}");
    assert_eq!(*heard.lock().unwrap(), [Notice::NoLeader]);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_without_a_leader_fails_after_ten_seconds() {
    let fake = FakeCluster::default();
    for _ in 0..100 {
        fake.refuse(ApiError::new(ErrorCode::NoLeader, "no leader"));
    }
    let begun = tokio::time::Instant::now();
    let error = fake.client().cluster_status().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NoLeader));
    let took = begun.elapsed();
    assert!((Duration::from_secs(9)..=Duration::from_secs(10)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn waiting_ends_when_everything_runs() {
    let fake = FakeCluster::default();
    fake.insert(deployment(2, DeploymentState::Pending, 0));
    let client = fake.client();
    let mut seen = Vec::new();
    let goal = wait(Goal::Running, Some(2));
    let waiting = client.wait(&goal, |view| {
        let running = view.deployment(&goal.deployment).unwrap().services[0].running;
        seen.push(running);
        // Each picture brings the next step about.
        match running {
            0 => fake.insert(deployment(2, DeploymentState::Pending, 1)),
            1 => fake.insert(deployment(2, DeploymentState::Active, 2)),
            _ => {}
        }
    });
    assert_eq!(waiting.await.unwrap(), WaitResult::Reached);
    assert_eq!(seen, [0, 1, 2]);
}

#[tokio::test]
async fn waiting_survives_a_stream_that_ends() {
    let fake = FakeCluster::default();
    fake.insert(deployment(1, DeploymentState::Pending, 0));
    fake.insert_replica(replica("shop.web.1", ReplicaState::Starting));
    let client = fake.client();
    let mut pictures = 0;
    let goal = wait(Goal::Running, None);
    let waiting = client.wait(&goal, |view| {
        pictures += 1;
        if pictures == 1 {
            // The replica goes while nobody is listening.
            fake.edit(|t| {
                t.cut += 1;
                t.replicas.clear();
                let shop = deployment(1, DeploymentState::Active, 2);
                t.deployments.insert(shop.name.clone(), shop);
            });
        } else {
            assert_eq!(view.replicas().len(), 0, "a new stream replaces everything");
        }
    });
    assert_eq!(waiting.await.unwrap(), WaitResult::Reached);
    assert_eq!(pictures, 2);
}

#[tokio::test]
async fn a_failed_replica_ends_waiting_with_its_reason() {
    let fake = FakeCluster::default();
    fake.insert(deployment(1, DeploymentState::Failed, 0));
    let mut failed = replica("shop.web.1", ReplicaState::Failed);
    failed.reason = Some(Reason {
        code: Some(ErrorCode::ContainerExited),
        message: "exited with code 1".into(),
    });
    fake.insert_replica(failed);
    let result = fake.client().wait(&wait(Goal::Running, Some(1)), |_| ()).await.unwrap();
    let WaitResult::Failed(reasons) = result else { panic!("{result:?}") };
    assert_eq!(reasons, ["shop.web.1 on node-a is failed: container_exited: exited with code 1"]);
}

#[tokio::test]
async fn a_rollout_that_was_rolled_back_is_a_failure_though_everything_runs() {
    let fake = FakeCluster::default();
    let mut shop = deployment(3, DeploymentState::Active, 2);
    shop.rollout = Some(RolloutStatus {
        from: 1,
        to: 2,
        phase: RolloutPhase::Failed,
        reason: Some("web never became healthy".into()),
    });
    fake.insert(shop);
    let client = fake.client();
    let why = "web never became healthy".to_owned();
    let end = "revision 2 was given up, revision 3 restores what was before".to_owned();
    let result = client.wait(&wait(Goal::Running, Some(2)), |_| ()).await.unwrap();
    assert_eq!(result, WaitResult::Failed(vec![why.clone(), end]));
    let result = client.wait(&wait(Goal::Rollout, None), |_| ()).await.unwrap();
    assert_eq!(result, WaitResult::Failed(vec![why]));
    // What was restored does run.
    for revision in [None, Some(3)] {
        let result = client.wait(&wait(Goal::Running, revision), |_| ()).await.unwrap();
        assert_eq!(result, WaitResult::Reached);
    }
}

#[tokio::test]
async fn a_revision_that_somebody_replaced_is_not_waited_for() {
    let fake = FakeCluster::default();
    fake.insert(deployment(5, DeploymentState::Active, 2));
    let result = fake.client().wait(&wait(Goal::Running, Some(4)), |_| ()).await.unwrap();
    assert_eq!(result, WaitResult::Failed(vec!["revision 4 was replaced by revision 5".into()]));
}

#[tokio::test]
async fn removal_ends_when_the_row_is_gone() {
    let fake = FakeCluster::default();
    fake.insert(deployment(1, DeploymentState::Deleting, 1));
    let client = fake.client();
    let goal = wait(Goal::Removed, None);
    let waiting = client.wait(&goal, |view| {
        if view.deployments().len() > 0 {
            fake.edit(|t| t.deployments.clear());
        }
    });
    assert_eq!(waiting.await.unwrap(), WaitResult::Reached);
    // And when it was gone before anybody looked.
    assert_eq!(client.wait(&goal, |_| ()).await.unwrap(), WaitResult::Reached);
    let error = client.wait(&wait(Goal::Running, None), |_| ()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::DeploymentNotFound));
}

#[tokio::test]
async fn status_is_one_consistent_view() {
    let fake = FakeCluster::default();
    fake.insert(deployment(1, DeploymentState::Active, 2));
    fake.insert_replica(replica("shop.web.1", ReplicaState::Running));
    let view = fake.client().status(&StatusQuery::default()).await.unwrap();
    assert!(view.is_synced());
    assert_eq!((view.deployments().len(), view.replicas().len()), (1, 1));
}

#[tokio::test]
async fn runs_that_ended_are_in_nobodys_way() {
    let fake = FakeCluster::default();
    fake.insert(deployment(1, DeploymentState::Scheduled, 0));
    for (id, state) in
        [("shop.web.1", ReplicaState::Failed), ("shop.web.2", ReplicaState::Completed)]
    {
        fake.insert_replica(ReplicaStatus { tick: Some(Timestamp(60_000)), ..replica(id, state) });
    }
    let client = fake.client();
    let up = client.wait(&wait(Goal::Running, Some(1)), |_| ()).await.unwrap();
    assert_eq!(up, WaitResult::Reached);
    fake.insert(deployment(1, DeploymentState::Stopped, 0));
    let stopped = client.wait(&wait(Goal::Stopped, None), |_| ()).await.unwrap();
    assert_eq!(stopped, WaitResult::Reached, "they are kept");
    let short = Wait { timeout: Duration::from_millis(50), ..wait(Goal::Removed, None) };
    let removed = client.wait(&short, |_| ()).await.unwrap();
    assert!(matches!(removed, WaitResult::TimedOut(_)), "{removed:?}");
}

//! Services that run at times, and their runs.

use jaco_api::model::{
    Concurrency, CronStatus, DeploymentState, DeploymentStatus, ReplicaState, RunState, RunStatus,
    ServiceStatus, Timestamp,
};
use jaco_client::testing::FakeCluster;

use crate::{ago, replica, said, service};

fn run(tick: Timestamp, state: RunState, index: u32) -> RunStatus {
    RunStatus {
        tick,
        state,
        replica: Some(format!("shop.backup.{index}").parse().unwrap()),
        node: Some("node-a".parse().unwrap()),
        started_at: Some(Timestamp(tick.0 + 400)),
        ended_at: Some(Timestamp(tick.0 + 12_900)),
        exit_code: Some(0),
        reason: None,
    }
}

/// A shop with a backup that runs, one that was skipped, one that failed and one that ended well.
fn shop() -> FakeCluster {
    let fake = FakeCluster::default();
    let running =
        RunStatus { ended_at: None, exit_code: None, ..run(ago(600), RunState::Running, 9) };
    let skipped = RunStatus {
        replica: None,
        node: None,
        started_at: None,
        ended_at: None,
        exit_code: None,
        reason: Some("an earlier run had not ended".into()),
        ..run(ago(300), RunState::Skipped, 1)
    };
    let failed = RunStatus {
        exit_code: Some(3),
        reason: Some("container_exited: exited with code 3".into()),
        ..run(ago(900), RunState::Failed, 8)
    };
    let cron = CronStatus {
        expression: "*/5 * * * *".into(),
        timezone: "Europe/Berlin".into(),
        concurrency: Concurrency::Forbid,
        next: Some(Timestamp(ago(0).0 + 300_000)),
        runs: vec![skipped, running, failed, run(ago(1200), RunState::Completed, 7)],
    };
    let backup = ServiceStatus {
        reason: Some("the run of 1970-01-01T23:50:00.000Z goes on".into()),
        cron: Some(cron.clone()),
        ..service("backup", DeploymentState::Scheduled, 1, 1)
    };
    let report = ServiceStatus {
        cron: Some(CronStatus { next: None, runs: Vec::new(), ..cron }),
        ..service("report", DeploymentState::Scheduled, 0, 0)
    };
    fake.insert(DeploymentStatus {
        name: "shop".parse().unwrap(),
        revision: 1,
        state: DeploymentState::Active,
        reason: None,
        services: vec![backup, report, service("web", DeploymentState::Active, 1, 1)],
        rollout: None,
        routes: Vec::new(),
        created_at: ago(50),
        updated_at: ago(50),
    });
    fake.insert_replica(replica("shop.backup.9", "node-a", ReplicaState::Running));
    fake
}

#[tokio::test]
async fn schedules_and_runs_as_tables_and_data() {
    let fake = shop();
    let mut all = String::new();
    for args in [
        &["get", "schedules"][..],
        &["get", "runs"],
        &["get", "runs", "shop/report"],
        &["get", "runs", "shop/backup", "-o", "json"],
        &["get", "schedules", "shop", "-o", "yaml"],
        &["status", "shop/backup"],
        &["get", "runs", "nope"],
        &["get", "runs", "shop/nope"],
    ] {
        all.push_str(&format!("$ jaco {}\n{}\n", args.join(" "), said(&fake, args).await));
    }
    insta::assert_snapshot!(all);
}

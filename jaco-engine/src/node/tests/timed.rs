use futures::TryStreamExt as _;
use jaco_api::model::{DeploymentState, RunState};
use jaco_client::{Apply, Goal, LogQuery, StatusQuery};

use super::{
    deploying::{reach, shop},
    *,
};

/// Every second, and what has ended is kept for a while.
fn every_second(greeting: &str) -> Apply {
    Apply {
        jaco:
            "deployment: shop\nservices:\n  - name: backup\n    schedule: { cron: \"* * * * * *\", \
               history: 2 }\n"
                .to_owned(),
        compose: format!(
            "services:\n  backup:\n    image: backup:1\n    command: [sh, -c, echo {greeting}]\n"
        ),
        jaco_name: "jaco.yaml".to_owned(),
        compose_name: "compose.yaml".to_owned(),
        ..Apply::default()
    }
}

#[tokio::test]
async fn a_schedule_runs_shows_its_runs_and_keeps_their_output() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = Arc::new(FakeRuntime::new());
    let node = start(dir.path(), &runtime).await;
    node.init(&"admin".parse().unwrap()).await.unwrap();
    let client = node.client();
    let foreseen = client.apply(Apply { dry_run: true, ..every_second("done") }).await.unwrap();
    let effect = foreseen.differences[0].effect.as_deref();
    assert_eq!(effect, Some("runs at * * * * * * (UTC)"));
    client.apply(every_second("done")).await.unwrap();
    reach(&client, Goal::Running, Some(1)).await;

    let newest = |client: Client| async move {
        let view = client.status(&StatusQuery::default()).await.unwrap();
        let service = view.deployment(&shop())?.services[0].clone();
        assert_eq!(service.state, DeploymentState::Scheduled);
        let cron = service.cron?;
        let mut runs = cron.runs.into_iter();
        runs.find(|run| run.state == RunState::Completed && cron.next > Some(run.tick))
    };
    let run = eventually(&client, "a run to complete", newest).await;
    assert_eq!((run.exit_code, run.tick.0 % 1000), (Some(0), 0));
    let query = LogQuery { replica: run.replica.clone(), ..LogQuery::default() };
    let lines: Vec<_> = client.logs(&query).await.unwrap().try_collect().await.unwrap();
    let said: Vec<_> = lines.into_iter().flat_map(|b| b.lines).map(|l| l.text).collect();
    assert_eq!(said, ["done"]);

    let foreseen = client.apply(Apply { dry_run: true, ..every_second("other") }).await.unwrap();
    assert_eq!(foreseen.differences[0].effect.as_deref(), Some("from the next run on"));
    let later = |client: Client| async move {
        let view = client.status(&StatusQuery::default()).await.unwrap();
        let runs = &view.deployment(&shop())?.services[0].cron.as_ref()?.runs;
        // The first one is not kept any more.
        (runs.len() >= 2 && runs.iter().all(|r| r.tick > run.tick)).then_some(())
    };
    eventually(&client, "it to be forgotten", later).await;
    assert!(runtime.containers().len() <= 4, "{:?}", runtime.containers());
    client.stop(&shop()).await.unwrap();
    reach(&client, Goal::Stopped, None).await;
    client.delete(&shop(), false).await.unwrap();
    reach(&client, Goal::Removed, None).await;
    assert_eq!(runtime.containers().len(), 0);
    node.shutdown().await.unwrap();
}

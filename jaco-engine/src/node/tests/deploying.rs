use futures::{StreamExt as _, TryStreamExt as _};
use jaco_api::model::{Change, DeploymentName, DeploymentState, ReplicaState};
use jaco_client::{Apply, Goal, LogQuery, StatusQuery, Wait, WaitResult};

use super::*;

pub(super) fn shop() -> DeploymentName {
    "shop".parse().unwrap()
}

pub(super) fn stack(greeting: &str, replicas: u32) -> Apply {
    Apply {
        jaco: "deployment: shop\n".to_owned(),
        compose: format!(
            "services:\n  web:\n    image: web:1\n    environment:\n      GREETING: {greeting}\n    \
             deploy:\n      replicas: {replicas}\n  worker:\n    image: worker:1\n"
        ),
        jaco_name: "jaco.yaml".to_owned(),
        compose_name: "compose.yaml".to_owned(),
        ..Apply::default()
    }
}

pub(super) async fn reach(client: &Client, goal: Goal, revision: Option<u64>) {
    let wait = Wait { deployment: shop(), service: None, goal, revision, timeout: BOUND };
    let result = client.wait(&wait, |_| ()).await.unwrap();
    if !matches!(result, WaitResult::Reached) {
        let view = client.status(&StatusQuery::default()).await;
        panic!("{goal:?} was not reached: {result:?}; {view:#?}");
    }
}

async fn founded(dir: &Path) -> (Node, Arc<FakeRuntime>) {
    let runtime = Arc::new(FakeRuntime::new());
    let node = start(dir, &runtime).await;
    node.init(&"admin".parse().unwrap()).await.unwrap();
    (node, runtime)
}

#[tokio::test]
async fn a_deployment_lives_from_apply_to_delete() {
    let dir = tempfile::tempdir().unwrap();
    let (node, runtime) = founded(dir.path()).await;
    let client = node.client();

    let first = client.apply(stack("hello", 2)).await.unwrap();
    assert_eq!((first.revision, first.changed), (1, true));
    reach(&client, Goal::Running, Some(1)).await;
    assert_eq!(runtime.containers().len(), 3);
    let nope = Some("nope".parse().unwrap());
    let goal = Goal::Running;
    let wait = Wait { deployment: shop(), service: nope, goal, revision: None, timeout: BOUND };
    let error = client.wait(&wait, |_| ()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::ServiceNotFound), "{error}");
    let again = client.apply(stack("hello", 2)).await.unwrap();
    assert_eq!((again.revision, again.changed), (1, false));

    let foreseen = client.apply(Apply { dry_run: true, ..stack("servus", 2) }).await.unwrap();
    assert_eq!((foreseen.revision, foreseen.changed), (1, true));
    let web = foreseen.differences.iter().find(|d| d.subject == "service web").unwrap();
    assert_eq!(web.change, Change::Changed);
    assert_eq!(web.effect.as_deref(), Some("2 replicas replaced, start-first"));
    assert!(!format!("{web:?}").contains("servus"), "a dry run shows an environment value");

    let second = client.apply(stack("servus", 2)).await.unwrap();
    assert_eq!((second.revision, second.changed), (2, true));
    reach(&client, Goal::Rollout, Some(2)).await;
    reach(&client, Goal::Running, Some(2)).await;
    let view = client.status(&StatusQuery::default()).await.unwrap();
    let deployment = view.deployment(&shop()).unwrap();
    assert_eq!((deployment.revision, deployment.state), (2, DeploymentState::Active));

    let back = client.rollback(&shop(), None).await.unwrap();
    assert_eq!((back.restored, back.revision), (1, 3));
    reach(&client, Goal::Running, Some(3)).await;
    let fetched = client.deployment(&shop(), None, true).await.unwrap();
    assert!(format!("{:?}", fetched.document).contains("hello"));
    let masked = client.deployment(&shop(), None, false).await.unwrap();
    assert!(!format!("{:?}", masked.document).contains("hello"));
    let history = client.history(&shop()).await.unwrap();
    assert_eq!(history.iter().map(|r| r.number).collect::<Vec<_>>(), [3, 2, 1]);

    client.scale(&shop(), &[("web".parse().unwrap(), 4)].into()).await.unwrap();
    reach(&client, Goal::Running, Some(4)).await;
    assert_eq!(runtime.containers().len(), 5);

    client.delete(&shop(), true).await.unwrap();
    reach(&client, Goal::Removed, None).await;
    eventually(&client, "the networks go", |_| {
        let left = (runtime.containers().len(), runtime.network_names().len());
        async move { (left == (0, 0)).then_some(()) }
    })
    .await;
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn passwords_of_routes_are_shown_to_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (node, _) = founded(dir.path()).await;
    let client = node.client();
    let guarded = |password: &str| Apply {
        jaco: format!(
            "deployment: shop\nroutes:\n  - {{domain: shop.example, service: web, port: 80, strip_path: no, basic_auth: {{ann: {password}}}}}\n"
        ),
        ..stack("hello", 1)
    };
    assert_eq!(client.apply(guarded("hunter2")).await.unwrap().revision, 1);
    assert!(!client.apply(guarded("hunter2")).await.unwrap().changed);
    let show = Apply { dry_run: true, show_secrets: true, ..guarded("hunter3") };
    let foreseen = client.apply(show).await.unwrap();
    assert!(foreseen.changed && !foreseen.differences.is_empty());
    assert!(!format!("{:?}", foreseen.differences).contains("hunter"));
    for show_secrets in [false, true] {
        let got = client.deployment(&shop(), None, show_secrets).await.unwrap();
        let text = serde_json::to_string(&got.document).unwrap();
        assert!(
            text.contains(r#""basic_auth":{"ann":"•••"}"#) && !text.contains("hunter"),
            "{text}"
        );
    }
    let view = client.status(&StatusQuery::default()).await.unwrap();
    let routes = &view.deployment(&shop()).unwrap().routes;
    assert_eq!(routes[0].options.basic_auth.keys().collect::<Vec<_>>(), ["ann"]);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn refused_manifests_tell_every_problem_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (node, _) = founded(dir.path()).await;
    let client = node.client();
    let broken = Apply {
        compose: "services:\n  web:\n    imagge: web:1\n    ports: [x]\n".to_owned(),
        ..stack("", 1)
    };
    let Err(Error::Api(error)) = client.apply(broken).await else { panic!("it was accepted") };
    assert!(error.diagnostics.len() >= 2, "{error:?}");
    let pinned = Apply {
        jaco: "deployment: shop\nservices:\n  - name: web\n    placement: hosts\n    hosts: [nowhere]\n".to_owned(),
        ..stack("x", 1)
    };
    assert_eq!(code(client.apply(pinned).await), ErrorCode::UnknownHost);
    assert_eq!(code(client.history(&shop()).await), ErrorCode::DeploymentNotFound);
    assert_eq!(code(client.rollback(&shop(), None).await), ErrorCode::DeploymentNotFound);
    assert_eq!(code(client.delete(&shop(), false).await), ErrorCode::DeploymentNotFound);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn logs_follow_replicas_that_come_later() {
    let dir = tempfile::tempdir().unwrap();
    let (node, runtime) = founded(dir.path()).await;
    let client = node.client();
    client.apply(stack("hello", 1)).await.unwrap();
    reach(&client, Goal::Running, Some(1)).await;
    let first: Vec<_> = runtime.containers().into_iter().map(|c| c.id).collect();
    for id in &first {
        runtime.write_line(id, "early");
    }
    let query = LogQuery {
        deployment: Some(shop()),
        service: None,
        replica: None,
        follow: true,
        since: None,
        tail: None,
    };
    let lines = client.logs(&query).await.unwrap();
    let mut lines = lines
        .map_ok(|b| futures::stream::iter(b.lines.into_iter().map(Ok::<_, Error>)))
        .try_flatten();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.push(lines.next().await.unwrap().unwrap().text);
    }
    client.scale(&shop(), &[("web".parse().unwrap(), 2)].into()).await.unwrap();
    reach(&client, Goal::Running, Some(2)).await;
    let new = runtime.containers().into_iter().map(|c| c.id).find(|id| !first.contains(id));
    runtime.write_line(&new.unwrap(), "late");
    let late = tokio::time::timeout(BOUND, lines.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(late.replica.to_string(), "shop.web.2");
    drop(lines);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn logs_end_with_what_there_is_unless_they_are_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (node, runtime) = founded(dir.path()).await;
    let client = node.client();
    client.apply(stack("hello", 1)).await.unwrap();
    reach(&client, Goal::Running, Some(1)).await;
    let query = LogQuery { deployment: Some(shop()), ..LogQuery::default() };
    let read = |query: LogQuery| {
        let client = client.clone();
        async move {
            let all = client.logs(&query).await.unwrap().try_collect::<Vec<_>>();
            let batches = tokio::time::timeout(BOUND, all).await.expect("it ends").unwrap();
            batches.into_iter().flat_map(|b| b.lines).map(|l| l.text).collect::<Vec<_>>()
        }
    };
    assert_eq!(read(query.clone()).await, Vec::<String>::new());
    let web = runtime.containers()[0].id.clone();
    for n in 0..600 {
        runtime.write_line(&web, &n.to_string());
    }
    assert_eq!(read(query.clone()).await.len(), 600);
    assert_eq!(read(LogQuery { tail: Some(2), ..query }).await, ["598", "599"]);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_follower_of_logs_stays_with_a_container_that_is_restarted() {
    let dir = tempfile::tempdir().unwrap();
    let (node, runtime) = founded(dir.path()).await;
    let client = node.client();
    client.apply(stack("hello", 1)).await.unwrap();
    reach(&client, Goal::Running, Some(1)).await;
    let replica = "shop.web.1".parse().unwrap();
    let container = client.replica(&replica).await.unwrap().container.unwrap();
    let query = LogQuery { replica: Some(replica.clone()), follow: true, ..LogQuery::default() };
    let lines = client.logs(&query).await.unwrap();
    let mut lines = lines
        .map_ok(|b| futures::stream::iter(b.lines.into_iter().map(Ok::<_, Error>)))
        .try_flatten();
    runtime.write_line(&container, "before");
    assert_eq!(lines.next().await.unwrap().unwrap().text, "before");
    runtime.exit(&container, 1);
    eventually(&client, "the restart", |c| {
        let replica = replica.clone();
        async move {
            let seen = c.replica(&replica).await.unwrap();
            (seen.restarts == 1 && seen.state == ReplicaState::Running).then_some(())
        }
    })
    .await;
    runtime.write_line(&container, "after");
    let next = tokio::time::timeout(BOUND, lines.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(next.text, "after");
    drop(lines);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_follower_of_status_gets_what_changes() {
    let dir = tempfile::tempdir().unwrap();
    let (node, _) = founded(dir.path()).await;
    let client = node.client();
    let mut batches = client.watch(&StatusQuery::default()).await.unwrap();
    let mut view = jaco_client::StatusView::default();
    let mut rounds = 0;
    client.apply(stack("hello", 300)).await.unwrap();
    let all = async {
        while let Some(batch) = batches.next().await {
            let batch = batch.unwrap();
            assert!(batch.replicas.len() <= 256 && batch.deployments.len() <= 256);
            rounds += u32::from(batch.synced);
            view.apply(batch);
            let running = view.replicas().filter(|r| r.state == ReplicaState::Running).count();
            if running == 301 {
                return;
            }
        }
    };
    tokio::time::timeout(BOUND, all).await.unwrap();
    assert!(rounds > 1);
    drop(batches);
    node.shutdown().await.unwrap();
}

use bytes::Bytes;
use futures::StreamExt as _;
use jaco_api::{
    error::ErrorCode,
    model::{ExecCommand, ReplicaState, Signal, TerminalSize},
};
use jaco_client::{Error, ExecEvent};
use jaco_runtime::testing::Op;

use super::*;

fn script(text: &str) -> ExecCommand {
    let command = ["sh", "-c", text].map(str::to_owned).to_vec();
    ExecCommand { command, stdin: true, ..ExecCommand::default() }
}

/// Either node's replicas run commands, whichever node is asked.
const REPLICAS: [(&str, &str); 2] = [("shop.web.1", "node-a"), ("shop.web.2", "node-b")];

#[tokio::test]
async fn a_command_runs_here_and_on_the_other_node_alike() {
    let pair = Pair::new().await;
    for (replica, node) in REPLICAS {
        let command = script("read name; echo hello $name; echo oops >&2; exit 7");
        let exec = pair.client.exec(&target(replica), &command).await.unwrap();
        assert_eq!(
            (exec.place.replica.to_string().as_str(), exec.place.node.as_str()),
            (replica, node)
        );
        exec.input.write(Bytes::from_static(b"world\n")).await.unwrap();
        exec.input.end().await.unwrap();
        let (text, end) = to_the_end(exec.output).await;
        assert_eq!((text.as_str(), end.unwrap()), ("hello world\noops\n", 7), "{replica}");
    }
}

#[tokio::test]
async fn a_terminal_is_resized_and_a_signal_ends_a_command() {
    let pair = Pair::new().await;
    for (replica, _) in REPLICAS {
        let terminal = Some(TerminalSize { rows: 24, columns: 80 });
        let command =
            ExecCommand { terminal, ..script("stty size; read x; stty size; sleep 1000") };
        let mut exec = pair.client.exec(&target(replica), &command).await.unwrap();
        let mut seen = String::new();
        let mut until = async |text: &str| {
            while !seen.contains(text) {
                let Some(Ok(ExecEvent::Stdout(bytes))) = exec.output.next().await else {
                    panic!("it ended after {seen:?}");
                };
                seen.push_str(&String::from_utf8_lossy(&bytes));
            }
        };
        soon("the first size", until("24 80\r\n")).await;
        exec.input.resize(TerminalSize { rows: 50, columns: 132 }).await.unwrap();
        exec.input.write(Bytes::from_static(b"\r")).await.unwrap();
        soon("the second size", until("50 132\r\n")).await;
        exec.input.signal(Signal::Terminate).await.unwrap();
        assert_eq!(to_the_end(exec.output).await.1.unwrap(), 143);
    }
}

#[tokio::test]
async fn who_goes_away_leaves_no_command_behind() {
    let pair = Pair::new().await;
    for (replica, _) in REPLICAS {
        let engine = pair.engine_of(replica);
        // The command tells by a file that it was let go on.
        let command = script("echo up; sleep 0.3; echo still > /tmp/still; sleep 1000");
        let mut exec = pair.client.exec(&target(replica), &command).await.unwrap();
        soon("the start", exec.output.next()).await.unwrap().unwrap();
        let hangups = engine.count(Op::Signal);
        drop(exec);
        soon("the hangup", async {
            while engine.count(Op::Signal) == hangups {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        assert_eq!(engine.file(&pair.container_of(replica), "/tmp/still"), None, "{replica}");
    }
}

#[tokio::test]
async fn what_cannot_be_run_is_told_apart() {
    let mut pair = Pair::new().await;
    let code = |end: Result<i32, Error>| match end {
        Err(Error::Api(error)) => (error.code, error.details.get("exit_code").cloned()),
        other => panic!("{other:?}"),
    };
    for (replica, _) in REPLICAS {
        let command = ExecCommand { command: vec!["frobnicate".into()], ..ExecCommand::default() };
        let exec = pair.client.exec(&target(replica), &command).await.unwrap();
        let (text, end) = to_the_end(exec.output).await;
        assert_eq!(text, "");
        assert_eq!(code(end), (ErrorCode::ExecFailed, Some("127".to_owned())), "{replica}");
    }
    let refused = async |pair: &Pair, target: &ReplicaTarget| {
        super::super::code(pair.client.exec(target, &script("true")).await.map(drop))
    };
    assert_eq!(refused(&pair, &target("shop.web.9")).await, ErrorCode::ReplicaNotFound);
    let nowhere = ReplicaTarget::Service("shop".parse().unwrap(), "db".parse().unwrap());
    assert_eq!(refused(&pair, &nowhere).await, ErrorCode::ServiceNotFound);
    for (replica, _) in REPLICAS {
        let container = pair.container_of(replica);
        pair.engine_of(replica).exit(&container, 1);
        assert_eq!(refused(&pair, &target(replica)).await, ErrorCode::ReplicaNotRunning);
        pair.observe(replica, ReplicaState::Failed, None, 3);
        assert_eq!(refused(&pair, &target(replica)).await, ErrorCode::ReplicaNotRunning);
    }
    assert_eq!(refused(&pair, &web()).await, ErrorCode::ReplicaNotRunning);
}

#[tokio::test]
async fn a_service_is_run_by_a_replica_that_runs_the_nearest_first() {
    let mut pair = Pair::new().await;
    let place = async |pair: &Pair| {
        let exec = pair.client.exec(&web(), &script("true")).await.unwrap();
        exec.place.replica.to_string()
    };
    assert_eq!(place(&pair).await, "shop.web.1");
    let container = Some(pair.container_of("shop.web.1"));
    pair.observe("shop.web.1", ReplicaState::Degraded, container, 0);
    assert_eq!(place(&pair).await, "shop.web.2");
    pair.observe("shop.web.2", ReplicaState::Failed, None, 3);
    assert_eq!(place(&pair).await, "shop.web.1", "one that is not well can be looked into");
}

#[tokio::test]
async fn a_node_that_is_gone_is_an_error_and_a_broken_connection_too() {
    let mut pair = Pair::new().await;
    let mut exec =
        pair.client.exec(&target("shop.web.2"), &script("echo up; sleep 1000")).await.unwrap();
    soon("the start", exec.output.next()).await.unwrap().unwrap();
    pair.pull();
    let lost = to_the_end(exec.output).await.1.unwrap_err();
    assert_eq!(lost.code(), Some(ErrorCode::NodeUnreachable), "{lost}");
    let gone = pair.client.exec(&target("shop.web.2"), &script("true")).await.unwrap_err();
    assert_eq!(gone.code(), Some(ErrorCode::NodeUnreachable), "{gone}");
    assert!(gone.to_string().contains("node-b"), "{gone}");
}

#[tokio::test]
async fn the_audit_log_keeps_the_program_and_never_its_arguments() {
    let pair = Pair::new().await;
    let command = ExecCommand {
        command: ["mysql", "-phunter2", "shop"].map(str::to_owned).to_vec(),
        environment: [("TOKEN".to_owned(), "hunter2".to_owned())].into(),
        ..ExecCommand::default()
    };
    let exec = pair.client.exec(&target("shop.web.2"), &command).await.unwrap();
    drop(exec);
    let noted = pair.noted();
    let [(identity, node, payload)] = noted.as_slice() else { panic!("{noted:?}") };
    assert_eq!((identity.as_str(), node.as_str()), ("local", "node-a"));
    let fact = |key: &str| payload.get(key).map(String::as_str);
    assert_eq!(fact("program"), Some("mysql"));
    assert_eq!(fact("arguments"), Some("2"));
    assert_eq!((fact("replica"), fact("on")), (Some("shop.web.2"), Some("node-b")));
    assert!(!format!("{payload:?}").contains("hunter2"), "{payload:?}");
}

#[tokio::test]
async fn another_members_word_is_needed_and_only_for_the_named_replica() {
    use jaco_api::pb::{self, relay_client::RelayClient};
    let mut pair = Pair::new().await;
    let cluster = cluster(&pair.world);
    let ask = async |pair: &mut Pair, member, replica: &str, container: &str| {
        let (dial, incoming) = mpsc::channel(1);
        pair.serve_far(incoming, member);
        let header = pb::RelayHeader {
            identity: "ada".into(),
            node: "node-a".into(),
            replica: replica.into(),
            container: container.into(),
            ..pb::RelayHeader::default()
        };
        let request = pb::RelayPath { header: Some(header), path: "/tmp".into() };
        let answer = RelayClient::new(rpc::client(dial)).path(request).await;
        answer.map(drop).map_err(|status| ApiError::from(status).code)
    };
    let container = pair.container_of("shop.web.2");
    let other = "0f0e0d0c-0b0a-4009-8807-060504030201".parse().unwrap();
    let denied = Err(ErrorCode::PermissionDenied);
    assert_eq!(
        ask(&mut pair, member(cluster, "node-a", 1), "shop.web.2", &container).await,
        Ok(())
    );
    assert_eq!(
        ask(&mut pair, member(cluster, "stranger", 3), "shop.web.2", &container).await,
        denied
    );
    assert_eq!(ask(&mut pair, member(other, "node-a", 1), "shop.web.2", &container).await, denied);
    // One of this name was a member before.
    let former = member(cluster, "node-a", 7);
    assert_eq!(ask(&mut pair, former, "shop.web.2", &container).await, denied);
    let not_found = Err(ErrorCode::ReplicaNotFound);
    assert_eq!(
        ask(&mut pair, member(cluster, "node-a", 1), "shop.web.1", &container).await,
        not_found
    );
    let mut foreign = jaco_runtime::testing::sample::spec("db:1");
    foreign.networks.clear();
    let request = ContainerRequest {
        name: "somebody-elses".into(),
        labels: Default::default(),
        spec: Arc::new(foreign),
        networks: Vec::new(),
        files: Vec::new(),
        lead: None,
    };
    let foreign = pair.engines["node-b"].foreign(request).await.unwrap();
    assert_eq!(
        ask(&mut pair, member(cluster, "node-a", 1), "shop.web.2", &foreign).await,
        not_found
    );
}

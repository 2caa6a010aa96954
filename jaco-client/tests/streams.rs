//! Streams: those that go on where they broke off, and those to and from containers.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use jaco_api::model::{
    Actor, AuditEvent, AuditKind, ExecCommand, Identity, ReplicaEvent, ReplicaState, Signal,
    TerminalSize, Timestamp,
};
use jaco_client::{
    AuditFilter, Client, Error, ErrorCode, EventQuery, ExecEvent, LogQuery, Notice, ReplicaTarget,
    testing::{FakeCluster, pb},
};
use tokio::{net::TcpListener, task::JoinHandle};

const BOUND: Duration = Duration::from_secs(20);

async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(BOUND, work).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen in time"),
    }
}

fn event(sequence: u64) -> ReplicaEvent {
    ReplicaEvent {
        sequence,
        at: Timestamp(sequence),
        replica: "shop.web.1".parse().unwrap(),
        node: "node-a".parse().unwrap(),
        generation: 1,
        state: ReplicaState::Running,
        reason: None,
        exit_code: None,
    }
}

fn audited(sequence: u64) -> AuditEvent {
    AuditEvent {
        sequence,
        at: Timestamp(sequence),
        kind: AuditKind::Apply,
        actor: Actor { identity: Identity::local(), uid: None, node: None },
        payload: Default::default(),
    }
}

fn line(replica: &str, at: u64, text: &str) -> pb::LogLine {
    pb::LogLine {
        replica: replica.into(),
        node: "node-a".into(),
        at,
        stderr: false,
        text: text.into(),
        generation: 1,
    }
}

/// Two servers of one cluster; the first one ends when its task is aborted.
struct TwoServers {
    fake: FakeCluster,
    client: Client,
    first: JoinHandle<()>,
    lost: Arc<AtomicUsize>,
}

impl TwoServers {
    async fn new() -> Self {
        let fake = FakeCluster::default();
        fake.edit(|t| t.stays = true);
        let (ca, config) = tls();
        let mut addresses = Vec::new();
        let mut tasks = Vec::new();
        for _ in 0..2 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.push(listener.local_addr().unwrap().to_string());
            tasks.push(fake.serve_tls(listener, Arc::clone(&config)));
        }
        let lost = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&lost);
        let client = Client::builder()
            .servers(addresses)
            .token("ab".repeat(32))
            .trust(jaco_client::Trust::CaPem(ca))
            .on_notice(move |notice| {
                if notice == Notice::StreamLost {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            })
            .connect()
            .await
            .unwrap();
        Self { fake, client, first: tasks.remove(0), lost }
    }

    /// Reads `count` items; then the connection breaks, later the server ends.
    async fn read<T: Clone>(
        &self,
        mut stream: impl Stream<Item = Result<T, Error>> + Unpin,
        mut more: impl FnMut(&FakeCluster, u64),
        count: u64,
    ) -> Vec<T> {
        let mut read = Vec::new();
        for n in 1..=count {
            more(&self.fake, n);
            read.push(soon("an item", stream.next()).await.unwrap().unwrap());
            if n == 2 {
                self.fake.edit(|t| t.cut += 1);
            }
            if n == 4 {
                self.first.abort();
                self.fake.edit(|t| t.cut += 1);
            }
        }
        assert_eq!(self.lost.load(Ordering::SeqCst), 2, "each outage is told once");
        read
    }
}

/// A CA and a server of it.
fn tls() -> (String, Arc<rustls::ServerConfig>) {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose,
        SanType,
    };
    let key = || KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca = CertifiedIssuer::self_signed(params, key()).unwrap();
    let leaf_key = key();
    let mut params = CertificateParams::default();
    let uri = "jaco://0f0e0d0c-0b0a-4009-8807-060504030201/node/node-a";
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    let leaf = params.signed_by(&leaf_key, &ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone(), ca.der().clone()],
            rustls_pki_types::PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into()),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    (ca.pem(), Arc::new(config))
}

#[tokio::test]
async fn events_go_on_where_they_were_on_the_next_server_too() {
    let two = TwoServers::new().await;
    let query = EventQuery { follow: true, ..EventQuery::default() };
    let events = two.client.events(&query).await.unwrap();
    let more = |fake: &FakeCluster, n| fake.edit(|t| t.events.push(event(n)));
    let read = two.read(events, more, 7).await;
    assert_eq!(read.iter().map(|e| e.sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
}

#[tokio::test]
async fn audit_events_go_on_where_they_were() {
    let two = TwoServers::new().await;
    let filter = AuditFilter { follow: true, ..AuditFilter::default() };
    let events = two.client.audit(&filter).await.unwrap();
    let more = |fake: &FakeCluster, n| fake.edit(|t| t.audit.push(audited(n)));
    let read = two.read(events, more, 7).await;
    assert_eq!(read.iter().map(|e| e.sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
}

#[tokio::test]
async fn log_lines_go_on_where_they_were_without_repeating_any() {
    let two = TwoServers::new().await;
    let query =
        LogQuery { deployment: Some("shop".parse().unwrap()), follow: true, ..Default::default() };
    let batches = two.client.logs(&query).await.unwrap().try_filter(|batch| {
        // A stream that is opened again begins with batches that were read.
        std::future::ready(!batch.lines.is_empty())
    });
    // Two lines of each replica in the same millisecond, over and over.
    let more = |fake: &FakeCluster, n: u64| {
        let texts = [format!("{n}a"), format!("{n}b")];
        let lines = ["shop.web.1", "shop.web.2"]
            .iter()
            .flat_map(|replica| texts.iter().map(|text| line(replica, 5 + n / 3, text)))
            .collect();
        fake.edit(|t| t.logs.push(pb::LogBatch { lines, gaps: Vec::new() }));
    };
    let read = two.read(Box::pin(batches), more, 7).await;
    let texts: Vec<_> = read
        .into_iter()
        .flat_map(|b| b.lines)
        .filter(|l| l.replica == "shop.web.2".parse().unwrap())
        .map(|l| l.text)
        .collect();
    let expected: Vec<_> = (1..=7).flat_map(|n| [format!("{n}a"), format!("{n}b")]).collect();
    assert_eq!(texts, expected);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_given_up_when_nobody_answers_for_long() {
    let fake = FakeCluster::default();
    fake.edit(|t| {
        t.stays = true;
        t.events.push(event(1));
    });
    let query = EventQuery { follow: true, ..EventQuery::default() };
    let mut events = fake.client().events(&query).await.unwrap();
    events.next().await.unwrap().unwrap();
    // From now on every stream breaks as soon as it is open.
    let cutting = async {
        loop {
            fake.edit(|t| t.cut += 1);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let began = tokio::time::Instant::now();
    let end = tokio::select! {
        end = events.next() => end,
        () = cutting => None,
    };
    assert!(matches!(end, Some(Err(Error::Transport { .. }))), "{end:?}");
    assert!(began.elapsed() >= Duration::from_secs(9), "{:?}", began.elapsed());
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn what_is_not_found_any_more_ends_a_stream() {
    let fake = FakeCluster::default();
    fake.edit(|t| {
        t.stays = true;
        t.logs.push(pb::LogBatch { lines: vec![line("shop.web.1", 1, "x")], gaps: Vec::new() });
    });
    let query =
        LogQuery { deployment: Some("shop".parse().unwrap()), follow: true, ..Default::default() };
    let mut batches = fake.client().logs(&query).await.unwrap();
    batches.next().await.unwrap().unwrap();
    fake.refuse(jaco_client::ApiError::new(ErrorCode::DeploymentNotFound, "gone"));
    fake.edit(|t| t.cut += 1);
    let end = soon("the end", batches.next()).await.unwrap().unwrap_err();
    assert_eq!(end.code(), Some(ErrorCode::DeploymentNotFound));
}

fn with_replica() -> FakeCluster {
    let fake = FakeCluster::default();
    fake.insert_replica(jaco_api::model::ReplicaStatus {
        id: "shop.web.1".parse().unwrap(),
        node: "node-a".parse().unwrap(),
        state: ReplicaState::Running,
        health: jaco_api::model::Health::None,
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
    });
    fake
}

fn output(output: pb::exec_output::Output) -> pb::ExecOutput {
    pb::ExecOutput { output: Some(output) }
}

#[tokio::test]
async fn a_command_hears_what_it_is_sent_in_order() {
    use pb::exec_output::Output;
    let fake = with_replica();
    fake.edit(|t| {
        t.command = vec![
            output(Output::Stdout(Bytes::from_static(b"out"))),
            output(Output::Stderr(Bytes::from_static(b"err"))),
            output(Output::ExitCode(3)),
        ];
    });
    let target = ReplicaTarget::Service("shop".parse().unwrap(), "web".parse().unwrap());
    let command = ExecCommand {
        command: vec!["sh".into(), "-c".into(), "exit 3".into()],
        terminal: Some(TerminalSize { rows: 24, columns: 80 }),
        stdin: true,
        ..ExecCommand::default()
    };
    let exec = fake.client().exec(&target, &command).await.unwrap();
    assert_eq!(exec.place.replica.to_string(), "shop.web.1");
    exec.input.write(Bytes::from_static(b"hello")).await.unwrap();
    exec.input.resize(TerminalSize { rows: 50, columns: 132 }).await.unwrap();
    exec.input.signal(Signal::Interrupt).await.unwrap();
    exec.input.end().await.unwrap();
    let events: Vec<_> = soon("the end", exec.output.try_collect()).await.unwrap();
    assert_eq!(
        events,
        [
            ExecEvent::Stdout(Bytes::from_static(b"out")),
            ExecEvent::Stderr(Bytes::from_static(b"err")),
            ExecEvent::Exited(3),
        ]
    );
    let typed = fake.read(|t| t.typed.clone());
    assert_eq!(typed, ["hello", "(size 50x132)", "(signal 2)", "(end)"]);
    assert_eq!(fake.calls(), [r#"exec shop/web ["sh", "-c", "exit 3"] 24x80"#]);
}

#[tokio::test]
async fn archives_go_both_ways_and_a_broken_one_is_refused() {
    let fake = with_replica();
    let client = fake.client();
    let replica = "shop.web.1".parse().unwrap();
    let content = b"0123456789".repeat(10_000);
    let pieces = |content: &[u8]| {
        let pieces: Vec<_> = content.chunks(7_000).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
        futures::stream::iter(pieces)
    };
    client.copy_in(&replica, "/srv", pieces(&content)).await.unwrap();
    let back: Vec<Bytes> =
        client.copy_out(&replica, "/srv").await.unwrap().try_collect().await.unwrap();
    assert!(back.concat() == content);
    let lost = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let broken = pieces(&content).chain(futures::stream::iter([Err(lost)]));
    let error = client.copy_in(&replica, "/half", broken).await.unwrap_err();
    assert!(matches!(error, Error::Archive { .. }), "{error:?}");
    assert!(!fake.read(|t| t.archives.contains_key("/half")));
}

#[tokio::test]
async fn a_forwarded_connection_carries_bytes_until_both_ends_close() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let fake = with_replica();
    let target = ReplicaTarget::Replica("shop.web.1".parse().unwrap());
    let forwarded = fake.client().forward(&target, 80).await.unwrap();
    let (mut near, far) = tokio::io::duplex(64);
    let carried = tokio::spawn(forwarded.carry(far));
    near.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    soon("the echo", near.read_exact(&mut answer)).await.unwrap();
    near.shutdown().await.unwrap();
    let mut rest = Vec::new();
    soon("the end", near.read_to_end(&mut rest)).await.unwrap();
    assert_eq!((&answer, rest.len()), (b"ping", 0));
    soon("the end of carrying", carried).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_nodes_use_is_put_together_from_pages() {
    let fake = FakeCluster::default();
    let replica = |id: &str| pb::ReplicaMeasurement {
        replica: id.into(),
        usage: Some(pb::ReplicaUsage { cpu_millis: 250, ..pb::ReplicaUsage::default() }),
        error: None,
    };
    let page = |node: &str, replicas, more| pb::UsageReport {
        node: node.into(),
        assigned: 2,
        usage: Some(pb::NodeUsage { cpu_permille: 10, ..pb::NodeUsage::default() }),
        error: None,
        replicas,
        more,
    };
    let dead = pb::UsageReport {
        node: "node-a".into(),
        error: Some("does not answer".into()),
        ..pb::UsageReport::default()
    };
    fake.edit(|t| {
        t.usage = vec![
            page("node-b", vec![replica("shop.web.2")], true),
            page("node-b", vec![replica("shop.web.1")], false),
            dead,
        ];
    });
    let top = fake.client().top(Duration::from_millis(500)).await.unwrap();
    assert_eq!(top.nodes.iter().map(|n| n.node.as_str()).collect::<Vec<_>>(), ["node-a", "node-b"]);
    assert_eq!(top.nodes[0].error.as_deref(), Some("does not answer"));
    let replicas: Vec<_> = top.replicas.iter().map(|r| r.replica.to_string()).collect();
    assert_eq!(replicas, ["shop.web.1", "shop.web.2"]);
    assert_eq!(fake.calls(), ["usage 500"]);
}

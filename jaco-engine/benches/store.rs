//! What a durable write costs: the log alone, and a command through a group of one.
//!
//! Every sample ends with an fsync, on the disk that `TMPDIR` points to.

use std::{collections::BTreeMap, io::Write as _, net::SocketAddr, sync::Arc};

use divan::{Bencher, counter::ItemsCount};
use jaco_api::model::{Actor, AuditKind, NodeId};
use jaco_engine::{
    clock::SystemClock,
    command::{Command, RecordAudit},
    raft::{
        DiskStorage, GrpcTransport, Member, NoDesk, Raft, RaftOptions, RaftStorage, RaftTiming,
        storage::Record,
    },
    submit::Submitter,
};
use tokio::{runtime::Runtime, sync::oneshot};

fn main() {
    divan::main();
}

/// The floor: a plain append of 1 KiB and a flush.
#[divan::bench(sample_count = 200)]
fn plain(bencher: Bencher<'_, '_>) {
    let mut file = tempfile::tempfile().expect("a file");
    bencher.bench_local(|| {
        file.write_all(&[7; 1024]).expect("it is written");
        file.sync_data().expect("it is flushed");
    });
}

/// Appends entries of 1 KiB, each with a call of its own, and waits until all are durable.
#[divan::bench(args = [1, 16, 64, 256], sample_count = 200)]
fn append(bencher: Bencher<'_, '_>, entries: u64) {
    let dir = tempfile::tempdir().expect("a directory");
    let storage = DiskStorage::open(dir.path()).expect("a fresh log");
    let mut next = 0;
    bencher.counter(ItemsCount::new(entries)).bench_local(|| {
        let mut waiting = Vec::new();
        for index in next..next + entries {
            let (done, durable) = oneshot::channel();
            let record = Record { index, bytes: vec![7; 1024].into() };
            storage.append(vec![record], Box::new(move |r| drop(done.send(r))));
            waiting.push(durable);
        }
        next += entries;
        for durable in waiting {
            durable.blocking_recv().expect("an answer").expect("it is durable");
        }
    });
}

/// Submits commands at the same time and waits until all are applied.
#[divan::bench(args = [1, 16, 64, 256], sample_count = 100)]
fn submit(bencher: Bencher<'_, '_>, commands: u64) {
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = Runtime::new().expect("a runtime");
    let raft = runtime.block_on(alone(&dir));
    let submitter = raft.submitter();
    bencher.counter(ItemsCount::new(commands)).bench_local(|| {
        runtime.block_on(async {
            let writes = (0..commands).map(|_| tokio::spawn(write(submitter.clone())));
            for write in writes.collect::<Vec<_>>() {
                write.await.expect("it ends");
            }
        });
    });
}

async fn write(submitter: Submitter) {
    let payload = BTreeMap::from([("key".to_owned(), "x".repeat(200))]);
    let command = Command::RecordAudit(RecordAudit { kind: AuditKind::SettingsChanged, payload });
    // Without a cluster in the state every command is refused, after it was committed: what is
    // measured is the way through the log.
    let _ = submitter.submit(Actor::system(None), None, command).await;
}

async fn alone(dir: &tempfile::TempDir) -> Raft {
    let options = RaftOptions {
        id: NodeId(1),
        storage: Arc::new(DiskStorage::open(dir.path()).expect("a fresh log")),
        transport: Arc::new(GrpcTransport::new()),
        clock: Arc::new(SystemClock),
        timing: RaftTiming::default(),
        desk: Arc::new(NoDesk),
    };
    let raft = Raft::start(options).await.expect("it starts");
    let addr = SocketAddr::from(([127, 0, 0, 1], 1));
    let name = "node-1".parse().expect("a name");
    raft.initialize(Member { name, raft_addr: addr, api_addr: addr }).await.expect("it forms");
    raft.status().wait_for(|s| s.is_leader).await.expect("it leads");
    raft
}

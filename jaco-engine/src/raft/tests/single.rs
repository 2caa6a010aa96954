//! One node on disk.

use std::{sync::Arc, time::Duration};

use jaco_api::error::ErrorCode;
use tokio::time::Instant;

use super::nodes::{init, mark, marks, member, start, write};
use crate::{
    raft::{DiskStorage, GrpcTransport, Raft, RaftError, RaftTiming},
    state::snapshot,
};

const PATIENCE: Duration = Duration::from_secs(10);

fn timing() -> RaftTiming {
    RaftTiming::default()
}

async fn open(dir: &tempfile::TempDir, timing: RaftTiming) -> Raft {
    let storage = Arc::new(DiskStorage::open(dir.path()).unwrap());
    start(1, storage, Arc::new(GrpcTransport::new()), timing).await
}

#[tokio::test]
async fn everything_acknowledged_is_there_after_a_restart_and_the_node_leads_within_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let raft = open(&dir, timing()).await;
    assert!(!raft.status().borrow().initialized);
    raft.initialize(member(1)).await.unwrap();
    raft.initialize(member(1)).await.unwrap();
    write(&raft, init()).await.unwrap();
    for n in 0..20 {
        write(&raft, mark(n)).await.unwrap();
    }
    let before = raft.state().newest();
    raft.shutdown(PATIENCE).await.unwrap();
    assert!(write(&raft, mark("late")).await.is_err());

    let began = Instant::now();
    let seconds = Duration::from_secs;
    let slow = RaftTiming { heartbeat: seconds(1), election: (seconds(5), seconds(6)), ..timing() };
    let raft = open(&dir, slow).await;
    raft.caught_up().await.unwrap();
    raft.status().wait_for(|s| s.is_leader).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let after = raft.present().await.unwrap();
    assert_eq!(marks(&after).len(), 20);
    let same = |state| snapshot::write(state);
    assert_eq!(same(&before.at_index(0)), same(&after.at_index(0)));
    raft.shutdown(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn snapshots_and_purges_leave_the_same_state() {
    let dir = tempfile::tempdir().unwrap();
    let timing = RaftTiming { snapshot_every: 10, keep: 3, ..timing() };
    let raft = open(&dir, timing.clone()).await;
    raft.initialize(member(1)).await.unwrap();
    write(&raft, init()).await.unwrap();
    for n in 0..55 {
        write(&raft, mark(n)).await.unwrap();
    }
    raft.status().wait_for(|s| s.snapshot >= 40).await.unwrap();
    raft.shutdown(PATIENCE).await.unwrap();
    let raft = open(&dir, timing).await;
    let state = raft.present_soon().await;
    let expected: Vec<String> = (0..55).map(|n| n.to_string()).collect();
    assert_eq!(marks(&state), expected);
    raft.shutdown(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_node_that_belongs_to_no_group_says_no_leader() {
    let dir = tempfile::tempdir().unwrap();
    let raft = open(&dir, timing()).await;
    assert_eq!(raft.read_index().await.unwrap_err().code, ErrorCode::NoLeader);
    raft.shutdown(PATIENCE).await.unwrap();
}

impl Raft {
    /// The present state, once the node leads itself again.
    async fn present_soon(&self) -> Arc<crate::state::State> {
        self.caught_up().await.unwrap();
        self.present().await.unwrap()
    }
}

/// A file system that really fills up. Needs the right to mount; without it the same is tested with
/// a writer that is told it has no room.
#[tokio::test]
async fn a_node_on_a_full_disk_refuses_writes_and_goes_on_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "jaco-test"])
        .arg(dir.path())
        .stderr(std::process::Stdio::null())
        .status();
    if !mounted.is_ok_and(|s| s.success()) {
        println!("SKIPPED: a small tmpfs cannot be mounted here");
        return;
    }
    let _unmount = Unmount(dir.path().to_owned());
    let raft = open(&dir, timing()).await;
    raft.initialize(member(1)).await.unwrap();
    write(&raft, init()).await.unwrap();
    write(&raft, mark("kept")).await.unwrap();
    let ballast = dir.path().join("ballast");
    std::fs::write(&ballast, vec![0; 1 << 20]).unwrap_err();

    let stuck = tokio::spawn({
        let raft = raft.clone();
        async move { write(&raft, mark("z".repeat(8_000))).await }
    });
    raft.status().wait_for(|s| s.fault.is_some() || s.applied > 4).await.unwrap();
    let fault = loop {
        if let Some(fault) = raft.status().borrow().fault.clone() {
            break fault;
        }
        tokio::task::yield_now().await;
    };
    assert!(matches!(&*fault, RaftError::Storage(e) if e.passes()), "{fault:?}");
    let error = write(&raft, mark("refused")).await.unwrap_err();
    assert!(error.message.contains("no space is left"), "{error}");
    assert_eq!(marks(&raft.state().newest()), ["kept"], "reading goes on");

    std::fs::remove_file(&ballast).unwrap();
    stuck.await.unwrap().unwrap();
    raft.status().wait_for(|s| s.fault.is_none() && s.is_leader).await.unwrap();
    write(&raft, mark("after")).await.unwrap();
    raft.shutdown(PATIENCE).await.unwrap();
    let raft = open(&dir, timing()).await;
    let state = raft.present_soon().await;
    assert_eq!(marks(&state).len(), 3);
    assert_eq!(marks(&state)[2], "after");
    raft.shutdown(PATIENCE).await.unwrap();
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

//! One node on disk.

use std::{sync::Arc, time::Duration};

use jaco_api::error::ErrorCode;
use tokio::time::Instant;

use super::nodes::{init, mark, marks, member, start, write};
use crate::{
    raft::{DiskStorage, GrpcTransport, Raft, RaftTiming},
    state::snapshot,
};

const PATIENCE: Duration = Duration::from_secs(10);

async fn open(dir: &tempfile::TempDir, timing: RaftTiming) -> Raft {
    let storage = Arc::new(DiskStorage::open(dir.path()).unwrap());
    start(1, storage, Arc::new(GrpcTransport::new()), timing).await
}

#[tokio::test]
async fn everything_acknowledged_is_there_after_a_restart_and_the_node_leads_within_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let raft = open(&dir, RaftTiming::default()).await;
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
    let raft = open(&dir, RaftTiming::default()).await;
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
    let timing = RaftTiming { snapshot_every: 10, keep: 3, ..RaftTiming::default() };
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
    let raft = open(&dir, RaftTiming::default()).await;
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

//! This node's session with the leader: a sign of life every second, and the lease that the answers
//! extend.
//!
//! The lease is counted by this node's own monotonic clock from when the sign of life was sent. The
//! leader counts from when it came: it never believes a lease to be over before this node does.

use std::{sync::Arc, time::Duration};

use jaco_api::{error::ApiError, pb};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::{
    control::{HEARTBEAT, LEASE},
    raft::{Ask, Peer, Told},
    rpc::Membership,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(900);
/// How long before the end of its lease a node stops what must not run twice: time enough to kill it.
const MARGIN: Duration = Duration::from_secs(1);

/// What this node was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    /// When the sign of life was sent that was answered last.
    pub(crate) granted: Instant,
    /// What the leader had committed then: what this node owns is certain once it has applied that.
    pub(crate) commit: u64,
}

impl Lease {
    /// The lease of a node that has just started: what runs there runs on for now.
    pub(crate) fn at_start() -> Self {
        Self { granted: Instant::now(), commit: 0 }
    }

    /// When what must not run twice is to be stopped.
    pub(crate) fn fence_at(&self) -> Instant {
        self.granted + LEASE - MARGIN
    }
}

/// Gives signs of life until the node stops, or is told that it was removed.
pub(crate) async fn keep_session(
    membership: Arc<Membership>,
    lease: watch::Sender<Lease>,
    load: watch::Receiver<pb::NodeLoad>,
    removed: CancellationToken,
) {
    let mut pulse = tokio::time::interval(HEARTBEAT);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turn = 0_usize;
    loop {
        pulse.tick().await;
        let sent = Instant::now();
        let beat = pb::HeartbeatRequest { load: Some(load.borrow().clone()) };
        match beat_to(&membership, turn, Ask::Heartbeat(beat)).await {
            Ok(Told::Heartbeat(reply)) if reply.removed => {
                tracing::warn!("this node was removed from the cluster");
                removed.cancel();
                return;
            }
            Ok(Told::Heartbeat(reply)) => {
                lease.send_replace(Lease { granted: sent, commit: reply.commit });
            }
            Ok(_) => {}
            Err(error) => {
                turn = turn.wrapping_add(1);
                tracing::debug!(%error, "a sign of life was not answered");
            }
        }
    }
}

/// To the leader; while none is known, to one member after the other: this node may have been removed
/// and be the only one that does not know.
async fn beat_to(membership: &Membership, turn: usize, beat: Ask) -> Result<Told, ApiError> {
    let raft = &membership.raft;
    if raft.leader().is_some() {
        return raft.ask_leader(beat, PATIENCE).await;
    }
    let status = raft.status().borrow().clone();
    let others: Vec<_> = status.members.iter().filter(|(id, _)| **id != membership.id).collect();
    let Some((id, seen)) = others.get(turn % others.len().max(1)) else {
        return raft.ask_leader(beat, PATIENCE).await;
    };
    let peer = Peer { id: **id, member: seen.member.clone() };
    raft.ask(&peer, beat, PATIENCE).await
}

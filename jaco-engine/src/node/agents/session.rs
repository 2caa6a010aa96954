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
    control::{HEARTBEAT, Lease},
    raft::{Ask, Peer, Told},
    rpc::Membership,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(900);
/// Gives signs of life until the node stops, or is told that it was removed.
pub(crate) async fn keep_session(
    membership: Arc<Membership>,
    lease: Arc<watch::Sender<Lease>>,
    load: watch::Receiver<pb::NodeLoad>,
    confirmed: impl Fn(pb::NodeLoad) -> pb::NodeLoad,
    removed: CancellationToken,
) {
    let mut pulse = tokio::time::interval(HEARTBEAT);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turn = 0_usize;
    loop {
        pulse.tick().await;
        let sent = Instant::now();
        let load = confirmed(load.borrow().clone());
        let beat = pb::HeartbeatRequest { load: Some(load) };
        match beat_to(&membership, turn, Ask::Heartbeat(beat)).await {
            Ok(Told::Heartbeat(reply)) if reply.removed => {
                tracing::warn!("this node was removed from the cluster");
                removed.cancel();
                return;
            }
            Ok(Told::Heartbeat(reply)) => {
                turn = 0;
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

/// To the leader; while none is known or it does not answer, every other time to one member after the
/// other: this node may have been removed, or not have heard of who leads now.
async fn beat_to(membership: &Membership, turn: usize, beat: Ask) -> Result<Told, ApiError> {
    let raft = &membership.raft;
    if raft.leader().is_some() && turn.is_multiple_of(2) {
        return raft.ask_leader(beat, PATIENCE).await;
    }
    let turn = turn / 2;
    let others = others(membership);
    match others.get(turn % others.len().max(1)) {
        Some(other) => raft.ask(other, beat, PATIENCE).await,
        None => raft.ask_leader(beat, PATIENCE).await,
    }
}

/// The other members by the log or, before that has told of any, those of when this node was admitted:
/// it may have been removed before the leader ever reached it.
fn others(membership: &Membership) -> Vec<Peer> {
    let status = membership.raft.status();
    let status = status.borrow();
    let by_log = status.members.iter().map(|(id, seen)| (*id, seen.member.clone()));
    let at_first = membership.others.iter().map(|(id, member)| (*id, member.clone()));
    let all: Vec<_> = if status.initialized { by_log.collect() } else { at_first.collect() };
    let others = all.into_iter().filter(|(id, _)| *id != membership.id);
    others.map(|(id, member)| Peer { id, member }).collect()
}

//! The submitter's log: proposes here when this node leads, else at the leader.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::future::join_all;
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::NodeId,
};
use openraft::{
    async_runtime::WatchReceiver as _,
    errors::{ClientWriteError, RaftError as OpenraftError},
};
use tokio::time::Instant;

use super::{
    desk::Ask,
    error::RaftError,
    handle::Group,
    network::Network,
    status::minority_since,
    storage::RaftStorage,
    transport::{PeerReply, PeerRequest, TransportError},
    types::{Peer, Proposal},
};
use crate::{
    clock::Clock,
    command::{self, Envelope},
    submit::{Applied, Failed, LogWriter},
};

/// A call to the leader that takes longer is made again.
const FORWARD_PATIENCE: Duration = Duration::from_secs(4);
/// Who was heard of within this time is there. The leader calls twice in it.
const JUST_NOW: Duration = Duration::from_millis(500);

/// Where this node's commands become log entries.
pub(super) struct Writer {
    pub(super) raft: Group,
    pub(super) network: Network,
    pub(super) storage: Arc<dyn RaftStorage>,
    pub(super) halt: super::machine::Halt,
    pub(super) clock: Arc<dyn Clock>,
    /// Which member is asked next when no leader is known.
    pub(super) turn: AtomicUsize,
}

impl Writer {
    /// Proposes on this node, which must lead.
    pub(super) async fn propose_here(&self, envelope: Envelope) -> Result<Applied, Failed> {
        match self.write(&envelope).await? {
            Here::Applied(applied) => Ok(applied),
            Here::LedBy(_) => Err(Failed::Again),
        }
    }

    /// Proposes here or at the leader this node knows, for a member that knows none.
    pub(super) async fn pass_on(
        &self,
        caller: NodeId,
        envelope: Envelope,
    ) -> Result<Applied, Failed> {
        match self.write(&envelope).await? {
            Here::Applied(applied) => Ok(applied),
            Here::LedBy(Some(leader)) if leader.id != caller && leader.id != self.network.me => {
                self.forward(&leader, &envelope, false).await
            }
            Here::LedBy(_) => Err(Failed::Again),
        }
    }

    /// Through another member, one after the other: this node knows no leader that answers it, as
    /// when its own address has changed and the leader cannot reach it.
    async fn relay(&self, leader: Option<NodeId>, envelope: &Envelope) -> Result<Applied, Failed> {
        let others: Vec<Peer> = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            let members = metrics.membership_config.membership().nodes();
            let peers = members.map(|(id, m)| Peer { id: NodeId(*id), member: m.clone() });
            peers.filter(|p| p.id != self.network.me && Some(p.id) != leader).collect()
        };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        match others.get(turn % others.len().max(1)) {
            Some(other) => self.forward(other, envelope, true).await,
            None => Err(Failed::Again),
        }
    }

    async fn write(&self, envelope: &Envelope) -> Result<Here, Failed> {
        self.fit()?;
        let proposal = Proposal(command::encode(envelope).into());
        match self.raft.client_write(proposal).await {
            Ok(response) => response.data.applied.map(Here::Applied).ok_or(Failed::Again),
            Err(OpenraftError::APIError(ClientWriteError::ForwardToLeader(forward))) => {
                let leader = forward.leader_id.zip(forward.leader_node);
                Ok(Here::LedBy(leader.map(|(id, member)| Peer { id: NodeId(id), member })))
            }
            Err(_) => Err(self.fit().err().unwrap_or(Failed::Again)),
        }
    }

    /// Whether this node can write at all.
    fn fit(&self) -> Result<(), Failed> {
        if let Some(error) = self.halt.get() {
            let code = match **error {
                RaftError::Entry { .. } | RaftError::Snapshot(_) => ErrorCode::VersionMismatch,
                _ => ErrorCode::Internal,
            };
            return Err(Failed::ForGood(refusal(code, &**error)));
        }
        match self.storage.fault() {
            Some(fault) if fault.passes() => Err(Failed::ForGood(
                refusal(ErrorCode::Internal, &*fault)
                    .with("hint", "free some space; writes go on by themselves"),
            )),
            Some(fault) => Err(Failed::ForGood(refusal(ErrorCode::Internal, &*fault))),
            None => Ok(()),
        }
    }

    async fn forward(
        &self,
        to: &Peer,
        envelope: &Envelope,
        relayed: bool,
    ) -> Result<Applied, Failed> {
        if !self.is_there(to).await {
            return Err(Failed::Again);
        }
        let envelope = command::encode(envelope).into();
        let request = PeerRequest::Propose { envelope, relayed };
        // A leader that is cut off never answers, and somebody else has taken over meanwhile.
        let answer = tokio::select! {
            answer = self.network.call(to, request, FORWARD_PATIENCE) => answer,
            () = self.replaced(to.id), if !relayed => return Err(Failed::Again),
        };
        match answer {
            Ok(PeerReply::Applied { index, outcome }) => {
                let outcome = command::decode_outcome(&outcome)
                    .map_err(|e| refusal(ErrorCode::VersionMismatch, &e))?;
                Ok(Applied { index, outcome })
            }
            Err(TransportError::Refused { source, .. }) if !is_passing(source.code) => {
                Err(Failed::ForGood(source))
            }
            Ok(_) | Err(_) => Err(Failed::Again),
        }
    }

    /// Whether a member answers. What is sent into a cut cable arrives when that is mended, long after
    /// the caller was told that it did not: only members that were heard of just now are sent commands.
    async fn is_there(&self, peer: &Peer) -> bool {
        if self.network.contacts.heard_within(peer.id, JUST_NOW) {
            return true;
        }
        // Any answer will do: most members refuse this one, at once.
        let answer = self.network.call(peer, PeerRequest::Ask(Ask::Overview), JUST_NOW).await;
        matches!(answer, Ok(_) | Err(TransportError::Refused { .. }))
    }

    /// Waits until this node no longer takes `leader` for the leader.
    async fn replaced(&self, leader: NodeId) {
        let mut metrics = self.raft.metrics();
        while metrics.borrow_watched().current_leader == Some(leader.0) {
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }
}

enum Here {
    Applied(Applied),
    LedBy(Option<Peer>),
}

/// Refusals of a leader that was about to step down, or cannot reach the others just now.
fn is_passing(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NoLeader | ErrorCode::QuorumLost)
}

fn refusal(code: ErrorCode, cause: &(dyn std::error::Error + 'static)) -> ApiError {
    let mut error = ApiError::new(code, cause.to_string());
    if let Some(source) = cause.source() {
        error = error.with("cause", source);
    }
    error
}

#[async_trait]
impl LogWriter for Writer {
    async fn propose(&self, envelope: Envelope) -> Result<Applied, Failed> {
        match self.write(&envelope).await? {
            Here::Applied(applied) => Ok(applied),
            Here::LedBy(Some(leader)) if leader.id != self.network.me => {
                match self.forward(&leader, &envelope, false).await {
                    Err(Failed::Again) => self.relay(Some(leader.id), &envelope).await,
                    result => result,
                }
            }
            // Just elected and not yet confirmed.
            Here::LedBy(Some(_)) => Err(Failed::Again),
            Here::LedBy(None) => self.relay(None, &envelope).await,
        }
    }

    fn obstacle(&self) -> ApiError {
        if let Err(Failed::ForGood(error)) = self.fit() {
            return error;
        }
        match self.minority_since() {
            None => ApiError::new(ErrorCode::NoLeader, "no leader accepted the write in time"),
            Some(_) => ApiError::new(
                ErrorCode::QuorumLost,
                "too few voters are reachable to accept a write",
            ),
        }
    }

    fn minority_since(&self) -> Option<Instant> {
        let metrics = self.raft.metrics().borrow_watched().clone();
        minority_since(&metrics, self.network.me, &self.network.contacts)
    }

    async fn look_around(&self) {
        let voters: Vec<Peer> = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            let membership = metrics.membership_config.membership();
            let voters: BTreeSet<u64> = membership.voter_ids().collect();
            let voters = membership.nodes().filter(|(id, _)| voters.contains(id));
            let voters = voters.map(|(id, m)| Peer { id: NodeId(*id), member: m.clone() });
            voters.filter(|p| p.id != self.network.me).collect()
        };
        join_all(voters.iter().map(|voter| self.is_there(voter))).await;
    }
}

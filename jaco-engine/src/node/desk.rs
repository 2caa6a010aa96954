//! What this node answers to other members besides raft.

use std::sync::Arc;

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::NodeId,
    pb,
};
use tokio::time::Instant;

use super::NodeError;
use crate::{
    clock::Clock,
    control::Sessions,
    enrol,
    raft::{Ask, Desk, RaftStatus, Told},
    seal::Keyring,
    state::State,
};

/// Answers members from this node's memory, keys and state.
pub(crate) struct NodeDesk {
    pub(crate) keyring: Keyring,
    pub(crate) sessions: Sessions,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Desk for NodeDesk {
    fn answer(
        &self,
        caller: NodeId,
        ask: Ask,
        state: &State,
        group: &RaftStatus,
    ) -> Result<Told, ApiError> {
        match ask {
            Ask::Heartbeat(beat) => self.heartbeat(caller, beat, state, group),
            Ask::Sign(request) => {
                let node = state.node(caller).ok_or_else(|| stranger(caller))?;
                let (keyring, clock) = (&self.keyring, &*self.clock);
                let cert_pem = enrol::sign(state, keyring, node, &request.csr_pem, clock)?;
                Ok(Told::Signed(pb::SignReply { cert_pem }))
            }
            Ask::DataKeys => {
                Ok(Told::DataKeys(pb::DataKeysReply { keys: enrol::keys(&self.keyring) }))
            }
            Ask::OfferKey(key) => {
                self.keyring.import([enrol::data_key(key)?]).map_err(NodeError::from)?;
                Ok(Told::KeyTaken)
            }
            Ask::Overview => self.overview(state, group),
            Ask::HandOver(_) => Err(ApiError::new(ErrorCode::Internal, "raft hands over itself")),
        }
    }
}

impl NodeDesk {
    fn heartbeat(
        &self,
        caller: NodeId,
        beat: pb::HeartbeatRequest,
        state: &State,
        group: &RaftStatus,
    ) -> Result<Told, ApiError> {
        let commit = group.commit;
        // A number is never given out again: whoever has applied its removal knows for good.
        let given_out = state.cluster().is_some_and(|cluster| caller.0 <= cluster.last_node);
        if given_out && state.node(caller).is_none() {
            return Ok(Told::Heartbeat(pb::HeartbeatReply { removed: true, commit }));
        }
        if !group.is_leader {
            return Err(ApiError::new(ErrorCode::NoLeader, "another node leads"));
        }
        if state.node(caller).is_some() {
            self.sessions.heard(caller, beat.load.unwrap_or_default());
            return Ok(Told::Heartbeat(pb::HeartbeatReply { removed: false, commit }));
        }
        Err(stranger(caller))
    }

    fn overview(&self, state: &State, group: &RaftStatus) -> Result<Told, ApiError> {
        if !group.is_leader {
            return Err(ApiError::new(ErrorCode::NoLeader, "another node leads"));
        }
        let (sessions, now) = (self.sessions.all(), Instant::now());
        let view = |id: NodeId| {
            let session = sessions.get(&id);
            let heard = session.map(|s| now.saturating_duration_since(s.heard).as_millis());
            pb::MemberView {
                id: id.0,
                lag: group.members.get(&id).and_then(|m| m.lag),
                heard_ms: heard.map(|ms| u64::try_from(ms).unwrap_or(u64::MAX)),
                load: session.map(|s| s.load.clone()),
            }
        };
        let members = state.nodes().map(|n| view(n.id)).collect();
        Ok(Told::Overview(pb::OverviewReply { members }))
    }
}

fn stranger(caller: NodeId) -> ApiError {
    ApiError::new(ErrorCode::PermissionDenied, format!("node {caller} is no member"))
}

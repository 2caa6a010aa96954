//! Calls between members: the `PeerTransport` seam.
//!
//! A transport carries bytes to one named member and brings its answer back. It knows no consensus
//! and retries nothing: openraft and the submitter do.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use jaco_api::{error::ApiError, model::NodeId, pb};

use super::{
    desk::{Ask, Told},
    service::PeerService,
    types::Peer,
};
use crate::pki::CaPin;

/// What one member asks of another.
#[derive(Debug, Clone)]
pub enum PeerRequest {
    /// Entries, or a heartbeat.
    AppendEntries(Bytes),
    /// A vote.
    Vote(Bytes),
    /// Whether a vote would be given.
    PreVote(Bytes),
    /// To take over the lead.
    TransferLeader(Bytes),
    /// To take over a whole state.
    Snapshot {
        /// Vote and meta data.
        header: Bytes,
        /// The state.
        data: Bytes,
    },
    /// To propose a command.
    Propose {
        /// The encoded envelope.
        envelope: Bytes,
        /// The caller knows no leader that answers: whoever is asked may pass it on, once.
        relayed: bool,
    },
    /// How far a state must have got to hold everything that is committed now.
    ReadIndex,
    /// Anything else.
    Ask(Ask),
}

/// What comes back.
#[derive(Debug, Clone)]
pub enum PeerReply {
    /// openraft's answer.
    Message(Bytes),
    /// A command was applied.
    Applied {
        /// At this place in the log.
        index: u64,
        /// With this encoded outcome.
        outcome: Bytes,
    },
    /// Everything through this place in the log is committed.
    ReadIndex(u64),
    /// The answer to anything else.
    Told(Told),
}

/// A call that did not come through, or was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The member cannot be reached.
    #[error("node {peer} cannot be reached")]
    Unreachable {
        /// Which one.
        peer: NodeId,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The member has not answered in time.
    #[error("node {peer} has not answered within {after:?}")]
    TimedOut {
        /// Which one.
        peer: NodeId,
        /// How long was waited.
        after: Duration,
    },
    /// The member answered with an error.
    #[error("node {peer} refuses")]
    Refused {
        /// Which one.
        peer: NodeId,
        /// Its answer.
        source: ApiError,
    },
}

/// Carries calls to members.
#[async_trait]
pub trait PeerTransport: Send + Sync + 'static {
    /// One call to one member, answered within `patience` or failed.
    async fn call(
        &self,
        to: &Peer,
        request: PeerRequest,
        patience: Duration,
    ) -> Result<PeerReply, TransportError>;

    /// Asks a member at this address to admit this node, which is none yet. The secret in the
    /// request must not be sent before the other end has proved that it belongs to the CA of `pin`.
    ///
    /// # Errors
    /// `ca_mismatch`, `peer_unreachable`, or the member's refusal.
    async fn enrol(
        &self,
        address: &str,
        pin: &CaPin,
        request: pb::EnrolRequest,
    ) -> Result<pb::EnrolReply, ApiError>;

    /// Whether members are called through this node's TLS ports. A transport that needs none leaves
    /// them closed: the node has the configured addresses in name only.
    fn needs_ports(&self) -> bool {
        true
    }
    /// This node is a member from now on and answers there. Transports that are called through a
    /// listening port need not know.
    fn attached(&self, _me: &Peer, _calls: PeerService, _admits: Arc<dyn Admits>) {}
    /// This node answers no more.
    fn detached(&self) {}
}

/// Admits nodes that are no members yet.
#[async_trait]
pub trait Admits: Send + Sync {
    /// Admits the node that asks, or says why not.
    ///
    /// # Errors
    /// The refusal.
    async fn admit(&self, request: pb::EnrolRequest) -> Result<pb::EnrolReply, ApiError>;
}

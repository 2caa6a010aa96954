//! What members ask of each other besides raft itself: the seam between the transport, which knows
//! who asks, and the node, which knows the answers.

use std::fmt;

use jaco_api::{error::ApiError, model::NodeId, pb};

use super::status::RaftStatus;
use crate::state::State;

/// A question of one member to another.
#[derive(Clone)]
pub enum Ask {
    /// A sign of life, for the leader.
    Heartbeat(pb::HeartbeatRequest),
    /// A new certificate for the caller.
    Sign(pb::SignRequest),
    /// The data keys of the cluster.
    DataKeys,
    /// A new data key to keep, before it is used.
    OfferKey(pb::DataKey),
    /// What the leader knows of the members that is in nobody's state.
    Overview,
    /// That the leader hands over to this voter.
    HandOver(NodeId),
}

/// The answer.
#[derive(Clone)]
pub enum Told {
    /// To a sign of life.
    Heartbeat(pb::HeartbeatReply),
    /// A certificate.
    Signed(pb::SignReply),
    /// Data keys.
    DataKeys(pb::DataKeysReply),
    /// The key is kept.
    KeyTaken,
    /// What the leader knows.
    Overview(pb::OverviewReply),
    /// The voter was asked to take over.
    HandingOver,
}

// Keys and certificates are not printed.
impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Heartbeat(_) => "Heartbeat",
            Self::Sign(_) => "Sign",
            Self::DataKeys => "DataKeys",
            Self::OfferKey(_) => "OfferKey",
            Self::Overview => "Overview",
            Self::HandOver(_) => "HandOver",
        })
    }
}
impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Heartbeat(_) => "Heartbeat",
            Self::Signed(_) => "Signed",
            Self::DataKeys(_) => "DataKeys",
            Self::KeyTaken => "KeyTaken",
            Self::Overview(_) => "Overview",
            Self::HandingOver => "HandingOver",
        })
    }
}

/// Answers members. Who asks was authenticated before.
pub trait Desk: Send + Sync + 'static {
    /// One answer, from this node's state and its view of the group.
    ///
    /// # Errors
    /// `no_leader` when only the leader can answer, or why the question is refused.
    fn answer(
        &self,
        caller: NodeId,
        ask: Ask,
        state: &State,
        group: &RaftStatus,
    ) -> Result<Told, ApiError>;
}

/// Answers nothing: for groups without nodes around them.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoDesk;

impl Desk for NoDesk {
    fn answer(&self, _: NodeId, _: Ask, _: &State, _: &RaftStatus) -> Result<Told, ApiError> {
        use jaco_api::error::ErrorCode;
        Err(ApiError::new(ErrorCode::Internal, "nobody answers members here"))
    }
}

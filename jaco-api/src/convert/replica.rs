//! Replicas, their reasons and events.

use super::{InvalidMessage, millis, parse};
use crate::{model, model::Timestamp, pb};

impl From<model::Reason> for pb::Reason {
    fn from(r: model::Reason) -> Self {
        Self { code: r.code.map(|c| c.as_str().to_owned()), message: r.message }
    }
}
impl TryFrom<pb::Reason> for model::Reason {
    type Error = InvalidMessage;
    fn try_from(r: pb::Reason) -> Result<Self, InvalidMessage> {
        Ok(Self {
            code: r.code.as_deref().map(|c| parse("code", c)).transpose()?,
            message: r.message,
        })
    }
}

impl From<model::ReplicaStatus> for pb::ReplicaStatus {
    fn from(r: model::ReplicaStatus) -> Self {
        Self {
            id: r.id.to_string(),
            node: r.node.into(),
            state: pb::ReplicaState::from(r.state).into(),
            health: pb::Health::from(r.health).into(),
            reason: r.reason.map(Into::into),
            generation: r.generation,
            revision: r.revision,
            image: r.image,
            container: r.container,
            restarts: r.restarts,
            exit_code: r.exit_code,
            oom_killed: r.oom_killed,
            started_at: millis(r.started_at),
            since: r.since.0,
            log_tail: r.log_tail,
            tick: millis(r.tick),
        }
    }
}
impl TryFrom<pb::ReplicaStatus> for model::ReplicaStatus {
    type Error = InvalidMessage;
    fn try_from(r: pb::ReplicaStatus) -> Result<Self, InvalidMessage> {
        Ok(Self {
            state: r.state().try_into()?,
            health: r.health().try_into()?,
            id: parse("id", &r.id)?,
            node: parse("node", &r.node)?,
            reason: r.reason.map(TryInto::try_into).transpose()?,
            generation: r.generation,
            revision: r.revision,
            image: r.image,
            container: r.container,
            restarts: r.restarts,
            exit_code: r.exit_code,
            oom_killed: r.oom_killed,
            started_at: r.started_at.map(Timestamp),
            since: Timestamp(r.since),
            log_tail: r.log_tail,
            tick: r.tick.map(Timestamp),
        })
    }
}

impl From<model::ReplicaEvent> for pb::ReplicaEvent {
    fn from(e: model::ReplicaEvent) -> Self {
        Self {
            sequence: e.sequence,
            at: e.at.0,
            replica: e.replica.to_string(),
            node: e.node.into(),
            generation: e.generation,
            state: pb::ReplicaState::from(e.state).into(),
            reason: e.reason.map(Into::into),
            exit_code: e.exit_code,
        }
    }
}
impl TryFrom<pb::ReplicaEvent> for model::ReplicaEvent {
    type Error = InvalidMessage;
    fn try_from(e: pb::ReplicaEvent) -> Result<Self, InvalidMessage> {
        Ok(Self {
            state: e.state().try_into()?,
            sequence: e.sequence,
            at: Timestamp(e.at),
            replica: parse("replica", &e.replica)?,
            node: parse("node", &e.node)?,
            generation: e.generation,
            reason: e.reason.map(TryInto::try_into).transpose()?,
            exit_code: e.exit_code,
        })
    }
}

//! Audit events.

use super::{InvalidMessage, parse, required};
use crate::{model, model::Timestamp, pb};

impl From<model::AuditEvent> for pb::AuditEvent {
    fn from(e: model::AuditEvent) -> Self {
        Self {
            sequence: e.sequence,
            at: e.at.0,
            r#type: e.kind.as_str().to_owned(),
            actor: Some(e.actor.into()),
            payload: e.payload,
        }
    }
}
impl TryFrom<pb::AuditEvent> for model::AuditEvent {
    type Error = InvalidMessage;
    fn try_from(e: pb::AuditEvent) -> Result<Self, InvalidMessage> {
        Ok(Self {
            sequence: e.sequence,
            at: Timestamp(e.at),
            kind: parse("type", &e.r#type)?,
            actor: required("actor", e.actor)?.try_into()?,
            payload: e.payload,
        })
    }
}

//! Actors and operator tokens.

use super::{InvalidMessage, millis, parse};
use crate::{model, model::Timestamp, pb};

impl From<model::Actor> for pb::Actor {
    fn from(a: model::Actor) -> Self {
        Self { identity: a.identity.into(), uid: a.uid, node: a.node.map(Into::into) }
    }
}
impl TryFrom<pb::Actor> for model::Actor {
    type Error = InvalidMessage;
    fn try_from(a: pb::Actor) -> Result<Self, InvalidMessage> {
        Ok(Self {
            identity: parse("identity", &a.identity)?,
            uid: a.uid,
            node: a.node.as_deref().map(|n| parse("node", n)).transpose()?,
        })
    }
}

impl From<model::OperatorToken> for pb::OperatorToken {
    /// The hash stays behind: it is nobody's business outside the cluster.
    fn from(t: model::OperatorToken) -> Self {
        Self {
            identity: t.identity.into(),
            role: pb::Role::from(t.role).into(),
            deployments: t.deployments,
            allow_privileged: t.allow_privileged,
            issued_at: t.issued_at.0,
            expires_at: millis(t.expires_at),
            revoked_at: millis(t.revoked_at),
        }
    }
}
impl TryFrom<pb::OperatorToken> for model::OperatorToken {
    type Error = InvalidMessage;
    fn try_from(t: pb::OperatorToken) -> Result<Self, InvalidMessage> {
        Ok(Self {
            role: t.role().try_into()?,
            identity: parse("identity", &t.identity)?,
            hash: None,
            deployments: t.deployments,
            allow_privileged: t.allow_privileged,
            issued_at: Timestamp(t.issued_at),
            expires_at: t.expires_at.map(Timestamp),
            revoked_at: t.revoked_at.map(Timestamp),
        })
    }
}

//! Schedules and runs.

use super::{InvalidMessage, parse};
use crate::{model, model::Timestamp, pb};

impl From<model::CronStatus> for pb::CronStatus {
    fn from(c: model::CronStatus) -> Self {
        Self {
            expression: c.expression,
            timezone: c.timezone,
            concurrency: pb::Concurrency::from(c.concurrency).into(),
            next: c.next.map(|t| t.0),
            runs: c.runs.into_iter().map(Into::into).collect(),
        }
    }
}
impl TryFrom<pb::CronStatus> for model::CronStatus {
    type Error = InvalidMessage;
    fn try_from(c: pb::CronStatus) -> Result<Self, InvalidMessage> {
        Ok(Self {
            concurrency: c.concurrency().try_into()?,
            expression: c.expression,
            timezone: c.timezone,
            next: c.next.map(Timestamp),
            runs: c.runs.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

impl From<model::RunStatus> for pb::RunStatus {
    fn from(r: model::RunStatus) -> Self {
        Self {
            tick: r.tick.0,
            state: pb::RunState::from(r.state).into(),
            replica: r.replica.map(|id| id.to_string()),
            node: r.node.map(Into::into),
            started_at: r.started_at.map(|t| t.0),
            ended_at: r.ended_at.map(|t| t.0),
            exit_code: r.exit_code,
            reason: r.reason,
        }
    }
}
impl TryFrom<pb::RunStatus> for model::RunStatus {
    type Error = InvalidMessage;
    fn try_from(r: pb::RunStatus) -> Result<Self, InvalidMessage> {
        Ok(Self {
            state: r.state().try_into()?,
            tick: Timestamp(r.tick),
            replica: r.replica.map(|id| parse("replica", &id)).transpose()?,
            node: r.node.map(|name| parse("node", &name)).transpose()?,
            started_at: r.started_at.map(Timestamp),
            ended_at: r.ended_at.map(Timestamp),
            exit_code: r.exit_code,
            reason: r.reason,
        })
    }
}

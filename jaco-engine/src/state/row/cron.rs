//! Ticks and runs.

use jaco_api::{
    convert::{InvalidMessage, parse},
    model::{NodeId, Run, RunFate, Ticks, Timestamp},
    pb,
};

use super::{Row, enumeration};

impl Row for Ticks {
    type Message = pb::TicksRow;
    fn write(&self) -> pb::TicksRow {
        pb::TicksRow { last: self.last.0, runs: self.runs.iter().map(Row::write).collect() }
    }
    fn read(m: pb::TicksRow) -> Result<Self, InvalidMessage> {
        let runs = m.runs.into_iter().map(Row::read).collect::<Result<_, _>>()?;
        Ok(Self { last: Timestamp(m.last), runs })
    }
}

impl Row for Run {
    type Message = pb::RunRow;
    fn write(&self) -> pb::RunRow {
        let (fate, reason) = match &self.fate {
            RunFate::Wanted => (pb::RunFate::Wanted, ""),
            RunFate::Skipped => (pb::RunFate::Skipped, ""),
            RunFate::Missed => (pb::RunFate::Missed, ""),
            RunFate::Cancelled(reason) => (pb::RunFate::Cancelled, reason.as_str()),
        };
        pb::RunRow {
            tick: self.tick.0,
            decided_at: self.decided_at.0,
            fate: fate.into(),
            reason: reason.to_owned(),
            replica: self.replica.as_ref().map(ToString::to_string),
            node: self.node.map(|n| n.0),
        }
    }
    fn read(m: pb::RunRow) -> Result<Self, InvalidMessage> {
        let fate = match enumeration("fate", m.fate)? {
            pb::RunFate::Wanted => RunFate::Wanted,
            pb::RunFate::Skipped => RunFate::Skipped,
            pb::RunFate::Missed => RunFate::Missed,
            pb::RunFate::Cancelled => RunFate::Cancelled(m.reason),
            pb::RunFate::Unspecified => return Err(InvalidMessage::new("fate", "is missing")),
        };
        Ok(Self {
            tick: Timestamp(m.tick),
            decided_at: Timestamp(m.decided_at),
            fate,
            replica: m.replica.map(|id| parse("replica", &id)).transpose()?,
            node: m.node.map(NodeId),
        })
    }
}

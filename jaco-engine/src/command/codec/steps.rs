//! The steps of the scheduler and the reports of nodes.

use jaco_api::{
    convert::{InvalidMessage, parse},
    model::{NodeId, Observation, Reason, ReplicaReport, Report, Timestamp},
    pb,
};

use crate::{
    command::{Action, RolloutEnd},
    state::row::{Row, digest, enumeration, optional, required},
};

impl Row for Action {
    type Message = pb::Action;
    fn write(&self) -> pb::Action {
        use pb::action::{
            Accompany, Action as Wire, CancelRun, CountFailure, Create, DropRun, Move, StartRun,
            Unplaced,
        };
        let action = match self {
            Self::Create { service, node, slot } => Wire::Create(Create {
                service: service.to_string(),
                node: node.0,
                slot: slot.as_ref().map(ToString::to_string),
            }),
            Self::Address { service } => Wire::Address(service.to_string()),
            Self::Accompany { service, lead } => {
                Wire::Accompany(Accompany { service: service.to_string(), lead: lead.to_string() })
            }
            Self::Prepare { replica } => Wire::Prepare(replica.to_string()),
            Self::Advance { replica } => Wire::Advance(replica.to_string()),
            Self::Remove { replica } => Wire::Remove(replica.to_string()),
            Self::Move { replica, to, reason } => {
                Wire::Move(Move { replica: replica.to_string(), to: to.0, reason: reason.clone() })
            }
            Self::Unplaced { service, reason } => {
                Wire::Unplaced(Unplaced { service: service.to_string(), reason: reason.clone() })
            }
            Self::CountFailure { service, reason } => Wire::CountFailure(CountFailure {
                service: service.to_string(),
                reason: reason.clone(),
            }),
            Self::EndRollout(end) => Wire::EndRollout(end.write()),
            Self::StartRun { service, tick, node } => Wire::StartRun(StartRun {
                service: service.to_string(),
                tick: tick.0,
                node: node.0,
            }),
            Self::CancelRun { service, tick, reason } => Wire::CancelRun(CancelRun {
                service: service.to_string(),
                tick: tick.0,
                reason: reason.clone(),
            }),
            Self::DropRun { service, tick } => {
                Wire::DropRun(DropRun { service: service.to_string(), tick: tick.0 })
            }
        };
        pb::Action { action: Some(action) }
    }
    fn read(m: pb::Action) -> Result<Self, InvalidMessage> {
        use pb::action::Action as Wire;
        Ok(match required("action", m.action)? {
            Wire::Create(m) => Self::Create {
                service: parse("service", &m.service)?,
                node: NodeId(m.node),
                slot: m.slot.map(|n| parse("slot", &n)).transpose()?,
            },
            Wire::Address(service) => Self::Address { service: parse("address", &service)? },
            Wire::Accompany(m) => Self::Accompany {
                service: parse("service", &m.service)?,
                lead: parse("lead", &m.lead)?,
            },
            Wire::Prepare(id) => Self::Prepare { replica: parse("prepare", &id)? },
            Wire::Advance(id) => Self::Advance { replica: parse("advance", &id)? },
            Wire::Remove(id) => Self::Remove { replica: parse("remove", &id)? },
            Wire::Move(m) => Self::Move {
                replica: parse("replica", &m.replica)?,
                to: NodeId(m.to),
                reason: m.reason,
            },
            Wire::Unplaced(m) => {
                Self::Unplaced { service: parse("service", &m.service)?, reason: m.reason }
            }
            Wire::CountFailure(m) => {
                Self::CountFailure { service: parse("service", &m.service)?, reason: m.reason }
            }
            Wire::EndRollout(m) => Self::EndRollout(RolloutEnd::read(m)?),
            Wire::StartRun(m) => Self::StartRun {
                service: parse("service", &m.service)?,
                tick: Timestamp(m.tick),
                node: NodeId(m.node),
            },
            Wire::CancelRun(m) => Self::CancelRun {
                service: parse("service", &m.service)?,
                tick: Timestamp(m.tick),
                reason: m.reason,
            },
            Wire::DropRun(m) => {
                Self::DropRun { service: parse("service", &m.service)?, tick: Timestamp(m.tick) }
            }
        })
    }
}

impl Row for RolloutEnd {
    type Message = pb::action::EndRollout;
    fn write(&self) -> pb::action::EndRollout {
        let (result, reason) = match self {
            Self::Completed => (pb::RolloutResult::Completed, ""),
            Self::Paused { reason } => (pb::RolloutResult::Paused, reason.as_str()),
            Self::RolledBack { reason } => (pb::RolloutResult::RolledBack, reason.as_str()),
            Self::Failed { reason } => (pb::RolloutResult::Failed, reason.as_str()),
        };
        pb::action::EndRollout { result: result.into(), reason: reason.to_owned() }
    }
    fn read(m: pb::action::EndRollout) -> Result<Self, InvalidMessage> {
        let reason = m.reason;
        match enumeration("result", m.result)? {
            pb::RolloutResult::Completed => Ok(Self::Completed),
            pb::RolloutResult::Paused => Ok(Self::Paused { reason }),
            pb::RolloutResult::RolledBack => Ok(Self::RolledBack { reason }),
            pb::RolloutResult::Failed => Ok(Self::Failed { reason }),
            pb::RolloutResult::Unspecified => Err(InvalidMessage::new("result", "is missing")),
        }
    }
}

impl Row for Report {
    type Message = pb::Report;
    fn write(&self) -> pb::Report {
        pb::Report {
            node: self.node.0,
            replicas: self.replicas.iter().map(Row::write).collect(),
            removed_volumes: self.removed_volumes.clone(),
        }
    }
    fn read(m: pb::Report) -> Result<Self, InvalidMessage> {
        Ok(Self {
            node: NodeId(m.node),
            replicas: m.replicas.into_iter().map(Row::read).collect::<Result<_, _>>()?,
            removed_volumes: m.removed_volumes,
        })
    }
}

impl Row for ReplicaReport {
    type Message = pb::ReplicaReport;
    fn write(&self) -> pb::ReplicaReport {
        pb::ReplicaReport {
            id: self.id.to_string(),
            observation: self.observation.as_ref().map(Row::write),
            prepared: self.prepared.as_ref().map(|(_, result)| result.write()),
            log_tail: self.log_tail.as_ref().map(Row::write),
            prepared_container: self.prepared.as_ref().map(|(of, _)| of.0.to_vec()),
        }
    }
    fn read(m: pb::ReplicaReport) -> Result<Self, InvalidMessage> {
        let result = optional::<Result<(), Reason>>(m.prepared)?;
        let of = m.prepared_container.as_deref();
        let of = of.map(|bytes| digest("prepared_container", bytes)).transpose()?;
        Ok(Self {
            id: parse("id", &m.id)?,
            observation: optional::<Observation>(m.observation)?,
            prepared: of.zip(result),
            log_tail: optional(m.log_tail)?,
        })
    }
}

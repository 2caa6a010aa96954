//! Log entries and outcomes as bytes: versioned protobuf (`log.proto`).
//!
//! An entry is read in full or not at all: a command or field that this version does not know is an
//! error that stops the node, because skipping it would make its state differ from the others'.

use std::collections::BTreeMap;

use jaco_api::{
    convert::{InvalidMessage, parse},
    model::{
        ClusterId, NodeId, Observation, OperatorToken, Reason, ReplicaReport, Report, Sealed,
        Timestamp,
    },
    pb,
};
use prost::Message as _;

use super::{
    Action, ApplyDeployment, Command, DeleteDeployment, Envelope, HoldDeployment, InitCluster,
    IssueToken, Outcome, Reconcile, RecordAudit, RestartDeployment, RevokeToken,
    RollbackDeployment, RolloutEnd, ScaleDeployment, SetSetting, UpdateNode,
};
use crate::state::{
    Content,
    row::{Row, enumeration, from_json, json, named_keys, optional, required, text_keys},
};

/// Why bytes are no log entry or outcome of this version.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not protobuf.
    #[error("a log entry cannot be read")]
    Malformed(#[from] prost::DecodeError),
    /// A newer version of JACO wrote a command this one does not have.
    #[error(
        "the log holds command {number}, which this version of JACO does not know: upgrade this node"
    )]
    UnknownCommand {
        /// Its field number in `LogEntry`; 0 when the entry holds no command at all.
        number: u32,
    },
    /// A newer version of JACO wrote a field this one does not have.
    #[error("a log entry holds a field that this version of JACO does not know: upgrade this node")]
    UnknownField,
    /// A value in it breaks a rule of the model.
    #[error("a log entry holds an invalid value")]
    Invalid(#[from] InvalidMessage),
}

/// A log entry as bytes.
#[must_use]
pub fn encode(envelope: &Envelope) -> Vec<u8> {
    pb::LogEntry {
        at: envelope.at.0,
        actor: Some(envelope.actor.clone().into()),
        request_id: envelope.request_id.clone(),
        command: Some(envelope.command.write()),
    }
    .encode_to_vec()
}

/// Reads [`encode`].
///
/// # Errors
/// [`DecodeError`]; the entry must then not be skipped.
pub fn decode(bytes: &[u8]) -> Result<Envelope, DecodeError> {
    let m = pb::LogEntry::decode(bytes)?;
    let len = m.encoded_len();
    let Some(command) = m.command else {
        return Err(DecodeError::UnknownCommand { number: command_number(bytes) });
    };
    if len != bytes.len() {
        return Err(DecodeError::UnknownField);
    }
    Ok(Envelope {
        at: Timestamp(m.at),
        actor: required("actor", m.actor)?.try_into()?,
        request_id: m.request_id,
        command: Command::read(command)?,
    })
}

/// The first field number of an entry that is a command's.
fn command_number(mut bytes: &[u8]) -> u32 {
    use prost::encoding::{DecodeContext, decode_key, skip_field};
    while let Ok((number, wire)) = decode_key(&mut bytes) {
        if number >= 16 {
            return number;
        }
        if skip_field(wire, number, &mut bytes, DecodeContext::default()).is_err() {
            break;
        }
    }
    0
}

/// An outcome as bytes.
#[must_use]
pub fn encode_outcome(outcome: &Outcome) -> Vec<u8> {
    use pb::log_outcome::{Deleted, Done, Outcome as Wire, RevisionInForce, RolledBack};
    let wire = match outcome {
        Outcome::Done => Wire::Done(Done {}),
        Outcome::Revision { number, changed } => {
            Wire::Revision(RevisionInForce { number: *number, changed: *changed })
        }
        Outcome::RolledBack { restored, number } => {
            Wire::RolledBack(RolledBack { restored: *restored, number: *number })
        }
        Outcome::Deleted { volumes } => Wire::Deleted(Deleted { volumes: volumes.clone() }),
        Outcome::Rejected(error) => Wire::Rejected(json(error)),
    };
    pb::LogOutcome { outcome: Some(wire) }.encode_to_vec()
}

/// Reads [`encode_outcome`].
///
/// # Errors
/// [`DecodeError`] when the bytes are none, or of a newer version.
pub fn decode_outcome(bytes: &[u8]) -> Result<Outcome, DecodeError> {
    use pb::log_outcome::Outcome as Wire;
    let m = pb::LogOutcome::decode(bytes)?;
    if m.encoded_len() != bytes.len() {
        return Err(DecodeError::UnknownField);
    }
    Ok(match required("outcome", m.outcome)? {
        Wire::Done(_) => Outcome::Done,
        Wire::Revision(r) => Outcome::Revision { number: r.number, changed: r.changed },
        Wire::RolledBack(r) => Outcome::RolledBack { restored: r.restored, number: r.number },
        Wire::Deleted(d) => Outcome::Deleted { volumes: d.volumes },
        Wire::Rejected(bytes) => Outcome::Rejected(from_json("rejected", &bytes)?),
    })
}

impl Row for Command {
    type Message = pb::log_entry::Command;
    fn write(&self) -> pb::log_entry::Command {
        use pb::log_entry::Command as Wire;
        match self {
            Self::InitCluster(c) => Wire::InitCluster(c.write()),
            Self::UpdateNode(c) => Wire::UpdateNode(c.write()),
            Self::IssueToken(c) => {
                Wire::IssueToken(pb::IssueToken { token: Some(c.token.write()), rotate: c.rotate })
            }
            Self::RevokeToken(c) => {
                Wire::RevokeToken(pb::RevokeToken { identity: c.identity.to_string() })
            }
            Self::SetSetting(c) => {
                Wire::SetSetting(pb::SetSetting { key: c.key.clone(), value: c.value.clone() })
            }
            Self::ApplyDeployment(c) => Wire::ApplyDeployment(c.write()),
            Self::RollbackDeployment(c) => Wire::RollbackDeployment(pb::RollbackDeployment {
                deployment: c.deployment.to_string(),
                to: c.to,
            }),
            Self::DeleteDeployment(c) => Wire::DeleteDeployment(pb::DeleteDeployment {
                deployment: c.deployment.to_string(),
                volumes: c.volumes,
            }),
            Self::ScaleDeployment(c) => Wire::ScaleDeployment(pb::ScaleDeployment {
                deployment: c.deployment.to_string(),
                replicas: text_keys(&c.replicas, |n| *n),
            }),
            Self::RestartDeployment(c) => Wire::RestartDeployment(pb::RestartDeployment {
                deployment: c.deployment.to_string(),
                services: c.services.iter().map(ToString::to_string).collect(),
            }),
            Self::HoldDeployment(c) => Wire::HoldDeployment(pb::HoldDeployment {
                deployment: c.deployment.to_string(),
                stopped: c.stopped,
            }),
            Self::Reconcile(c) => Wire::Reconcile(pb::Reconcile {
                deployment: c.deployment.to_string(),
                version: c.version,
                actions: c.actions.iter().map(Row::write).collect(),
            }),
            Self::Report(r) => Wire::Report(r.write()),
            Self::RecordAudit(c) => Wire::RecordAudit(pb::RecordAudit {
                r#type: c.kind.to_string(),
                payload: c.payload.clone(),
            }),
        }
    }
    fn read(m: pb::log_entry::Command) -> Result<Self, InvalidMessage> {
        use pb::log_entry::Command as Wire;
        Ok(match m {
            Wire::InitCluster(m) => Self::InitCluster(Box::new(InitCluster::read(m)?)),
            Wire::UpdateNode(m) => Self::UpdateNode(UpdateNode::read(m)?),
            Wire::IssueToken(m) => Self::IssueToken(IssueToken {
                token: OperatorToken::read(required("token", m.token)?)?,
                rotate: m.rotate,
            }),
            Wire::RevokeToken(m) => {
                Self::RevokeToken(RevokeToken { identity: parse("identity", &m.identity)? })
            }
            Wire::SetSetting(m) => Self::SetSetting(SetSetting { key: m.key, value: m.value }),
            Wire::ApplyDeployment(m) => Self::ApplyDeployment(Box::new(ApplyDeployment::read(m)?)),
            Wire::RollbackDeployment(m) => Self::RollbackDeployment(RollbackDeployment {
                deployment: parse("deployment", &m.deployment)?,
                to: m.to,
            }),
            Wire::DeleteDeployment(m) => Self::DeleteDeployment(DeleteDeployment {
                deployment: parse("deployment", &m.deployment)?,
                volumes: m.volumes,
            }),
            Wire::ScaleDeployment(m) => Self::ScaleDeployment(ScaleDeployment {
                deployment: parse("deployment", &m.deployment)?,
                replicas: named_keys("replicas", m.replicas, Ok)?,
            }),
            Wire::RestartDeployment(m) => Self::RestartDeployment(RestartDeployment {
                deployment: parse("deployment", &m.deployment)?,
                services: m
                    .services
                    .iter()
                    .map(|s| parse("services", s))
                    .collect::<Result<_, _>>()?,
            }),
            Wire::HoldDeployment(m) => Self::HoldDeployment(HoldDeployment {
                deployment: parse("deployment", &m.deployment)?,
                stopped: m.stopped,
            }),
            Wire::Reconcile(m) => Self::Reconcile(Reconcile {
                deployment: parse("deployment", &m.deployment)?,
                version: m.version,
                actions: m.actions.into_iter().map(Row::read).collect::<Result<_, _>>()?,
            }),
            Wire::Report(m) => Self::Report(Report::read(m)?),
            Wire::RecordAudit(m) => Self::RecordAudit(RecordAudit {
                kind: parse("type", &m.r#type)?,
                payload: m.payload,
            }),
        })
    }
}

impl Row for InitCluster {
    type Message = pb::InitCluster;
    fn write(&self) -> pb::InitCluster {
        pb::InitCluster {
            cluster: self.cluster.to_string(),
            ca_pem: self.ca_pem.clone(),
            ca_key: Some(self.ca_key.write()),
            node: Some(self.node.clone().into()),
            token: Some(self.token.write()),
        }
    }
    fn read(m: pb::InitCluster) -> Result<Self, InvalidMessage> {
        Ok(Self {
            cluster: parse::<ClusterId>("cluster", &m.cluster)?,
            ca_pem: m.ca_pem,
            ca_key: Sealed::read(required("ca_key", m.ca_key)?)?,
            node: required("node", m.node)?.try_into()?,
            token: OperatorToken::read(required("token", m.token)?)?,
        })
    }
}

impl Row for UpdateNode {
    type Message = pb::UpdateNode;
    fn write(&self) -> pb::UpdateNode {
        pb::UpdateNode {
            node: self.node.0,
            facts: self.facts.clone().map(Into::into),
            status: self.status.as_ref().map(|(status, reason)| pb::update_node::StatusChange {
                status: pb::NodeStatus::from(*status).into(),
                reason: reason.clone(),
            }),
        }
    }
    fn read(m: pb::UpdateNode) -> Result<Self, InvalidMessage> {
        let status = match m.status {
            Some(change) => Some((change.status().try_into()?, change.reason)),
            None => None,
        };
        Ok(Self {
            node: NodeId(m.node),
            facts: m.facts.map(TryInto::try_into).transpose()?,
            status,
        })
    }
}

impl Row for ApplyDeployment {
    type Message = pb::ApplyDeployment;
    fn write(&self) -> pb::ApplyDeployment {
        let documents = self.documents.iter().map(|(digest, sealed)| (*digest, sealed.clone()));
        let reasons =
            |reasons: &Vec<String>| pb::apply_deployment::Reasons { reasons: reasons.clone() };
        pb::ApplyDeployment {
            deployment: self.deployment.to_string(),
            content: Some(self.content(None).write()),
            documents: documents.map(|d| d.write()).collect(),
            privileged: text_keys(&self.privileged, reasons),
        }
    }
    fn read(m: pb::ApplyDeployment) -> Result<Self, InvalidMessage> {
        let content = Content::read(required("content", m.content)?)?;
        let services = content.services.into_iter();
        Ok(Self {
            deployment: parse("deployment", &m.deployment)?,
            services: services.map(|(k, s)| (k, (s.schedule, s.container))).collect(),
            networks: content.networks,
            volumes: content.volumes,
            routes: content.routes,
            documents: m
                .documents
                .into_iter()
                .map(Row::read)
                .collect::<Result<BTreeMap<_, _>, _>>()?,
            privileged: named_keys("privileged", m.privileged, |r| Ok(r.reasons))?,
        })
    }
}

impl Row for Action {
    type Message = pb::Action;
    fn write(&self) -> pb::Action {
        use pb::action::{Action as Wire, CountFailure, Create, Unplaced};
        let action = match self {
            Self::Create { service, node, slot } => Wire::Create(Create {
                service: service.to_string(),
                node: node.0,
                slot: slot.as_ref().map(ToString::to_string),
            }),
            Self::Prepare { replica } => Wire::Prepare(replica.to_string()),
            Self::Advance { replica } => Wire::Advance(replica.to_string()),
            Self::Remove { replica } => Wire::Remove(replica.to_string()),
            Self::Unplaced { service, reason } => {
                Wire::Unplaced(Unplaced { service: service.to_string(), reason: reason.clone() })
            }
            Self::CountFailure { service, reason } => Wire::CountFailure(CountFailure {
                service: service.to_string(),
                reason: reason.clone(),
            }),
            Self::EndRollout(end) => Wire::EndRollout(end.write()),
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
            Wire::Prepare(id) => Self::Prepare { replica: parse("prepare", &id)? },
            Wire::Advance(id) => Self::Advance { replica: parse("advance", &id)? },
            Wire::Remove(id) => Self::Remove { replica: parse("remove", &id)? },
            Wire::Unplaced(m) => {
                Self::Unplaced { service: parse("service", &m.service)?, reason: m.reason }
            }
            Wire::CountFailure(m) => {
                Self::CountFailure { service: parse("service", &m.service)?, reason: m.reason }
            }
            Wire::EndRollout(m) => Self::EndRollout(RolloutEnd::read(m)?),
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
            prepared: self.prepared.as_ref().map(Row::write),
            log_tail: self.log_tail.as_ref().map(Row::write),
        }
    }
    fn read(m: pb::ReplicaReport) -> Result<Self, InvalidMessage> {
        Ok(Self {
            id: parse("id", &m.id)?,
            observation: optional::<Observation>(m.observation)?,
            prepared: optional::<Result<(), Reason>>(m.prepared)?,
            log_tail: optional(m.log_tail)?,
        })
    }
}

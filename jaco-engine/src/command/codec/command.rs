//! The commands: which message each one is.

use jaco_api::{
    convert::{InvalidMessage, parse},
    model::{JoinToken, NodeId, OperatorToken, Report, Timestamp},
    pb,
};

use crate::{
    command::{
        AdmitNode, ApplyDeployment, Command, DeleteCertificate, DeleteDeployment, DeleteFile,
        HoldDeployment, HurryIssuance, ImportCertificate, InitCluster, IssueJoinToken, IssueToken,
        LabelNode, Reconcile, RecordAudit, ReleaseSubnets, RemoveNode, ReserveKey,
        RestartDeployment, RevokeToken, RollbackDeployment, RotateKey, ScaleDeployment,
        SetAvailability, SetFile, SetSetting, Tick, UpdateNode,
    },
    state::row::{Row, named_keys, required, text_keys},
};

impl Row for Command {
    type Message = pb::log_entry::Command;
    fn write(&self) -> pb::log_entry::Command {
        use pb::log_entry::Command as Wire;
        match self {
            Self::InitCluster(c) => Wire::InitCluster(c.write()),
            Self::UpdateNode(c) => Wire::UpdateNode(c.write()),
            Self::IssueJoinToken(c) => {
                Wire::IssueJoinToken(pb::IssueJoinToken { token: Some(c.token.write()) })
            }
            Self::AdmitNode(c) => Wire::AdmitNode(c.write()),
            Self::SetAvailability(c) => Wire::SetAvailability(c.write()),
            Self::LabelNode(c) => Wire::LabelNode(c.write()),
            Self::RemoveNode(c) => Wire::RemoveNode(pb::RemoveNode { node: c.node.0 }),
            Self::ReserveKey(ReserveKey) => Wire::ReserveKey(pb::ReserveKey {}),
            Self::RotateKey(c) => Wire::RotateKey(c.write()),
            Self::IssueToken(c) => {
                Wire::IssueToken(pb::IssueToken { token: Some(c.token.write()), rotate: c.rotate })
            }
            Self::RevokeToken(c) => {
                Wire::RevokeToken(pb::RevokeToken { identity: c.identity.to_string() })
            }
            Self::SetSetting(c) => {
                Wire::SetSetting(pb::SetSetting { key: c.key.clone(), value: c.value.clone() })
            }
            Self::SetFile(c) => Wire::SetFile(c.write()),
            Self::DeleteFile(c) => Wire::DeleteFile(pb::DeleteFile { id: c.id.to_string() }),
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
            Self::ReleaseSubnets(c) => Wire::ReleaseSubnets(pb::ReleaseSubnets {
                subnets: c.subnets.iter().map(Row::write).collect(),
            }),
            Self::Tick(c) => Wire::Tick(pb::Tick {
                deployment: c.deployment.to_string(),
                service: c.service.to_string(),
                revision: c.revision,
                tick: c.tick.0,
            }),
            Self::AdvanceIssuance(c) => Wire::AdvanceIssuance(c.write()),
            Self::PublishChallenge(c) => Wire::PublishChallenge(c.write()),
            Self::WithdrawChallenge(c) => Wire::WithdrawChallenge(c.write()),
            Self::KeepAccount(c) => Wire::KeepAccount(c.write()),
            Self::ImportCertificate(c) => Wire::ImportCertificate(pb::ImportCertificate {
                certificate: Some(c.certificate.write()),
            }),
            Self::DeleteCertificate(c) => {
                Wire::DeleteCertificate(pb::DeleteCertificate { domain: c.domain.to_string() })
            }
            Self::HurryIssuance(c) => {
                Wire::HurryIssuance(pb::HurryIssuance { domain: c.domain.to_string() })
            }
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
            Wire::IssueJoinToken(m) => Self::IssueJoinToken(IssueJoinToken {
                token: JoinToken::read(required("token", m.token)?)?,
            }),
            Wire::AdmitNode(m) => Self::AdmitNode(Box::new(AdmitNode::read(m)?)),
            Wire::SetAvailability(m) => Self::SetAvailability(SetAvailability::read(m)?),
            Wire::LabelNode(m) => Self::LabelNode(LabelNode::read(m)?),
            Wire::RemoveNode(m) => Self::RemoveNode(RemoveNode { node: NodeId(m.node) }),
            Wire::ReserveKey(_) => Self::ReserveKey(ReserveKey),
            Wire::RotateKey(m) => Self::RotateKey(RotateKey::read(m)?),
            Wire::IssueToken(m) => Self::IssueToken(IssueToken {
                token: OperatorToken::read(required("token", m.token)?)?,
                rotate: m.rotate,
            }),
            Wire::RevokeToken(m) => {
                Self::RevokeToken(RevokeToken { identity: parse("identity", &m.identity)? })
            }
            Wire::SetSetting(m) => Self::SetSetting(SetSetting { key: m.key, value: m.value }),
            Wire::SetFile(m) => Self::SetFile(SetFile::read(m)?),
            Wire::DeleteFile(m) => Self::DeleteFile(DeleteFile { id: parse("id", &m.id)? }),
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
            Wire::ReleaseSubnets(m) => Self::ReleaseSubnets(ReleaseSubnets {
                subnets: m.subnets.into_iter().map(Row::read).collect::<Result<_, _>>()?,
            }),
            Wire::Tick(m) => Self::Tick(Tick {
                deployment: parse("deployment", &m.deployment)?,
                service: parse("service", &m.service)?,
                revision: m.revision,
                tick: Timestamp(m.tick),
            }),
            Wire::AdvanceIssuance(m) => Self::AdvanceIssuance(Box::new(Row::read(m)?)),
            Wire::PublishChallenge(m) => Self::PublishChallenge(Row::read(m)?),
            Wire::WithdrawChallenge(m) => Self::WithdrawChallenge(Row::read(m)?),
            Wire::KeepAccount(m) => Self::KeepAccount(Row::read(m)?),
            Wire::ImportCertificate(m) => Self::ImportCertificate(Box::new(ImportCertificate {
                certificate: Row::read(required("certificate", m.certificate)?)?,
            })),
            Wire::DeleteCertificate(m) => {
                Self::DeleteCertificate(DeleteCertificate { domain: parse("domain", &m.domain)? })
            }
            Wire::HurryIssuance(m) => {
                Self::HurryIssuance(HurryIssuance { domain: parse("domain", &m.domain)? })
            }
            Wire::RecordAudit(m) => Self::RecordAudit(RecordAudit {
                kind: parse("type", &m.r#type)?,
                payload: m.payload,
            }),
        })
    }
}

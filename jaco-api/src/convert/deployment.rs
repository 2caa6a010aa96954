//! Deployments and differences.

use super::{InvalidMessage, parse};
use crate::{model, model::Timestamp, pb};

impl From<model::ServiceStatus> for pb::ServiceStatus {
    fn from(s: model::ServiceStatus) -> Self {
        Self {
            name: s.name.into(),
            image: s.image,
            desired: s.desired,
            running: s.running,
            updated: s.updated,
            state: pb::DeploymentState::from(s.state).into(),
            reason: s.reason,
            cron: s.cron.map(Into::into),
        }
    }
}
impl TryFrom<pb::ServiceStatus> for model::ServiceStatus {
    type Error = InvalidMessage;
    fn try_from(s: pb::ServiceStatus) -> Result<Self, InvalidMessage> {
        Ok(Self {
            state: s.state().try_into()?,
            name: parse("name", &s.name)?,
            image: s.image,
            desired: s.desired,
            running: s.running,
            updated: s.updated,
            reason: s.reason,
            cron: s.cron.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<model::RolloutStatus> for pb::RolloutStatus {
    fn from(r: model::RolloutStatus) -> Self {
        Self {
            from: r.from,
            to: r.to,
            phase: pb::RolloutPhase::from(r.phase).into(),
            reason: r.reason,
        }
    }
}
impl TryFrom<pb::RolloutStatus> for model::RolloutStatus {
    type Error = InvalidMessage;
    fn try_from(r: pb::RolloutStatus) -> Result<Self, InvalidMessage> {
        Ok(Self { phase: r.phase().try_into()?, from: r.from, to: r.to, reason: r.reason })
    }
}

impl From<model::DeploymentStatus> for pb::DeploymentStatus {
    fn from(d: model::DeploymentStatus) -> Self {
        Self {
            name: d.name.into(),
            revision: d.revision,
            state: pb::DeploymentState::from(d.state).into(),
            reason: d.reason,
            services: d.services.into_iter().map(Into::into).collect(),
            rollout: d.rollout.map(Into::into),
            routes: d.routes.into_iter().map(Into::into).collect(),
            created_at: d.created_at.0,
            updated_at: d.updated_at.0,
        }
    }
}
impl TryFrom<pb::DeploymentStatus> for model::DeploymentStatus {
    type Error = InvalidMessage;
    fn try_from(d: pb::DeploymentStatus) -> Result<Self, InvalidMessage> {
        Ok(Self {
            state: d.state().try_into()?,
            name: parse("name", &d.name)?,
            revision: d.revision,
            reason: d.reason,
            services: d.services.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            rollout: d.rollout.map(TryInto::try_into).transpose()?,
            routes: d.routes.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            created_at: Timestamp(d.created_at),
            updated_at: Timestamp(d.updated_at),
        })
    }
}

impl From<model::Difference> for pb::Difference {
    fn from(d: model::Difference) -> Self {
        Self {
            change: pb::ChangeKind::from(d.change).into(),
            subject: d.subject,
            fields: d
                .fields
                .into_iter()
                .map(|(path, (old, new))| pb::FieldChange { path, old, new })
                .collect(),
            effect: d.effect,
        }
    }
}
impl TryFrom<pb::Difference> for model::Difference {
    type Error = InvalidMessage;
    fn try_from(d: pb::Difference) -> Result<Self, InvalidMessage> {
        Ok(Self {
            change: d.change().try_into()?,
            subject: d.subject,
            fields: d.fields.into_iter().map(|f| (f.path, (f.old, f.new))).collect(),
            effect: d.effect,
        })
    }
}

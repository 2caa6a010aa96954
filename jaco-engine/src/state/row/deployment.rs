//! Deployments, their rollouts and revisions.

use std::sync::Arc;

use jaco_api::{
    convert::{InvalidMessage, parse},
    model::{
        Deployment, DeploymentName, DeploymentPhase, PlannedService, Revision, RevisionOrigin,
        Rollout, RolloutPhase, ServiceSchedule, Timestamp,
    },
    pb,
};

use super::{Row, digest, enumeration, from_json, json, named_keys, optional, required, text_keys};
use crate::state::Content;

impl Row for DeploymentPhase {
    type Message = i32;
    fn write(&self) -> i32 {
        match self {
            Self::Running => pb::DeploymentPhase::Running,
            Self::Stopped => pb::DeploymentPhase::Stopped,
            Self::Deleting { volumes: false } => pb::DeploymentPhase::Deleting,
            Self::Deleting { volumes: true } => pb::DeploymentPhase::DeletingWithVolumes,
        }
        .into()
    }
    fn read(m: i32) -> Result<Self, InvalidMessage> {
        match enumeration("phase", m)? {
            pb::DeploymentPhase::Running => Ok(Self::Running),
            pb::DeploymentPhase::Stopped => Ok(Self::Stopped),
            pb::DeploymentPhase::Deleting => Ok(Self::Deleting { volumes: false }),
            pb::DeploymentPhase::DeletingWithVolumes => Ok(Self::Deleting { volumes: true }),
            pb::DeploymentPhase::Unspecified => Err(InvalidMessage::new("phase", "is missing")),
        }
    }
}

impl Row for Deployment {
    type Message = pb::DeploymentRow;
    fn write(&self) -> pb::DeploymentRow {
        pb::DeploymentRow {
            name: self.name.to_string(),
            revision: self.revision,
            last_revision: self.last_revision,
            phase: self.phase.write(),
            rollout: self.rollout.as_ref().map(Row::write),
            last_index: text_keys(&self.last_index, |n| *n),
            version: self.version,
            created_at: self.created_at.0,
            unplaced: text_keys(&self.unplaced, Clone::clone),
            ticks: text_keys(&self.ticks, Row::write),
        }
    }
    fn read(m: pb::DeploymentRow) -> Result<Self, InvalidMessage> {
        Ok(Self {
            name: parse("name", &m.name)?,
            revision: m.revision,
            last_revision: m.last_revision,
            phase: DeploymentPhase::read(m.phase)?,
            rollout: optional(m.rollout)?,
            last_index: named_keys("last_index", m.last_index, Ok)?,
            version: m.version,
            created_at: Timestamp(m.created_at),
            unplaced: named_keys("unplaced", m.unplaced, Ok)?,
            ticks: named_keys("ticks", m.ticks, Row::read)?,
        })
    }
}

impl Row for Rollout {
    type Message = pb::RolloutRow;
    fn write(&self) -> pb::RolloutRow {
        pb::RolloutRow {
            from: self.from,
            to: self.to,
            phase: pb::RolloutPhase::from(self.phase.clone()).into(),
            started_at: self.started_at.0,
            ended_at: self.ended_at.map(|t| t.0),
            last_step: text_keys(&self.last_step, |t| t.0),
            failures: text_keys(&self.failures, |n| *n),
            reason: self.reason.clone(),
        }
    }
    fn read(m: pb::RolloutRow) -> Result<Self, InvalidMessage> {
        Ok(Self {
            from: m.from,
            to: m.to,
            phase: RolloutPhase::try_from(enumeration::<pb::RolloutPhase>("phase", m.phase)?)?,
            started_at: Timestamp(m.started_at),
            ended_at: m.ended_at.map(Timestamp),
            last_step: named_keys("last_step", m.last_step, |t| Ok(Timestamp(t)))?,
            failures: named_keys("failures", m.failures, Ok)?,
            reason: m.reason,
        })
    }
}

impl Row for PlannedService {
    type Message = pb::content::Service;
    fn write(&self) -> pb::content::Service {
        pb::content::Service {
            schedule: json(&self.schedule),
            container: self.container.0.to_vec(),
            epoch: self.epoch,
        }
    }
    fn read(m: pb::content::Service) -> Result<Self, InvalidMessage> {
        Ok(Self {
            schedule: from_json::<ServiceSchedule>("schedule", &m.schedule)?,
            container: digest("container", &m.container)?,
            epoch: m.epoch,
        })
    }
}

impl Row for Content {
    type Message = pb::Content;
    fn write(&self) -> pb::Content {
        pb::Content {
            services: text_keys(&self.services, Row::write),
            networks: text_keys(&self.networks, json),
            volumes: text_keys(&self.volumes, json),
            routes: self.routes.iter().map(json).collect(),
            acme_email: self.acme_email.clone(),
        }
    }
    fn read(m: pb::Content) -> Result<Self, InvalidMessage> {
        Ok(Self {
            services: named_keys("services", m.services, Row::read)?,
            networks: named_keys("networks", m.networks, |b| from_json("networks", &b))?,
            volumes: named_keys("volumes", m.volumes, |b| from_json("volumes", &b))?,
            routes: m.routes.iter().map(|b| from_json("routes", b)).collect::<Result<_, _>>()?,
            acme_email: m.acme_email,
        })
    }
}

impl Row for (DeploymentName, Arc<Revision>) {
    type Message = pb::RevisionRow;
    fn write(&self) -> pb::RevisionRow {
        let (origin, restored) = match self.1.origin {
            RevisionOrigin::Apply => (pb::RevisionOrigin::Apply, 0),
            RevisionOrigin::Rollback(n) => (pb::RevisionOrigin::Rollback, n),
            RevisionOrigin::AutoRollback(n) => (pb::RevisionOrigin::AutoRollback, n),
            RevisionOrigin::Scale => (pb::RevisionOrigin::Scale, 0),
        };
        pb::RevisionRow {
            deployment: self.0.to_string(),
            number: self.1.number,
            origin: origin.into(),
            restored,
            actor: Some(self.1.actor.clone().into()),
            at: self.1.at.0,
            content: Some(Content::of(&self.1).write()),
        }
    }
    fn read(m: pb::RevisionRow) -> Result<Self, InvalidMessage> {
        let origin = match enumeration("origin", m.origin)? {
            pb::RevisionOrigin::Apply => RevisionOrigin::Apply,
            pb::RevisionOrigin::Rollback => RevisionOrigin::Rollback(m.restored),
            pb::RevisionOrigin::AutoRollback => RevisionOrigin::AutoRollback(m.restored),
            pb::RevisionOrigin::Scale => RevisionOrigin::Scale,
            pb::RevisionOrigin::Unspecified => {
                return Err(InvalidMessage::new("origin", "is missing"));
            }
        };
        let content = Content::read(required("content", m.content)?)?;
        let revision = Revision {
            number: m.number,
            origin,
            actor: required("actor", m.actor)?.try_into()?,
            at: Timestamp(m.at),
            services: content.services,
            networks: content.networks,
            volumes: content.volumes,
            routes: content.routes,
            acme_email: content.acme_email,
        };
        Ok((parse("deployment", &m.deployment)?, Arc::new(revision)))
    }
}

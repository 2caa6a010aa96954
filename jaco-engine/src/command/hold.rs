//! Stop and start: nothing runs, everything is kept.

use jaco_api::model::{AuditKind, Deployment, DeploymentName, DeploymentPhase};

use super::{Outcome, content, cron, rejection::Rejection};
use crate::state::{Transaction, payload};

/// Nothing is to run, or everything again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldDeployment {
    /// The deployment.
    pub deployment: DeploymentName,
    /// True stops it, false starts it.
    pub stopped: bool,
}

impl HoldDeployment {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let deployment = content::existing(tx.view(), &self.deployment)?;
        content::refuse_deleting(&deployment)?;
        let (phase, kind) = match self.stopped {
            true => (DeploymentPhase::Stopped, AuditKind::Stop),
            false => (DeploymentPhase::Running, AuditKind::Start),
        };
        let number = deployment.revision;
        if deployment.phase == phase {
            return Ok(Outcome::Revision { number, changed: false });
        }
        // Nothing is left to replace step by step: what starts again is of the revision in force.
        let rollout = deployment.rollout.clone().filter(|r| r.ended_at.is_some());
        let mut row = Deployment { phase, rollout, ..Deployment::clone(&deployment) };
        if self.stopped {
            cron::cancel_all(tx, &mut row, "the deployment was stopped");
        }
        tx.put_deployment(row);
        tx.audit(kind, payload([("deployment", self.deployment.to_string())]));
        Ok(Outcome::Revision { number, changed: true })
    }
}

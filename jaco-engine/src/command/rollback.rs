//! The content of an earlier revision again, in full and as a new revision.

use jaco_api::{
    error::ErrorCode,
    model::{AuditKind, Deployment, DeploymentName, RevisionOrigin},
};

use super::{Outcome, content, file, generation, rejection::Rejection};
use crate::state::{Content, State, Transaction, payload};

/// The content of an earlier revision again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackDeployment {
    /// The deployment.
    pub deployment: DeploymentName,
    /// The revision; absent means the newest one before the one in force.
    pub to: Option<u64>,
}

impl RollbackDeployment {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let deployment = content::existing(tx.view(), &self.deployment)?;
        content::refuse_deleting(&deployment)?;
        let to = self.target(tx.view(), &deployment)?;
        if to == deployment.revision {
            return Ok(Outcome::RolledBack { restored: to, number: to });
        }
        let old = tx.view().revision(&self.deployment, to).cloned().ok_or_else(|| {
            Rejection::new(
                ErrorCode::NoPreviousRevision,
                format!("revision {to} of {} is not kept", self.deployment),
            )
        })?;
        let mut restored = Content::of(&old);
        if let Some(in_force) = tx.view().revision_in_force(&self.deployment) {
            for (name, service) in &mut restored.services {
                if let Some(present) = in_force.services.get(name) {
                    service.epoch = present.epoch;
                }
            }
        }
        content::refuse_taken(tx.view(), &self.deployment, &restored)?;
        file::refuse_missing(tx.view(), &restored)?;
        let row = Deployment::clone(&deployment);
        let number = content::put_in_force(tx, row, restored, RevisionOrigin::Rollback(to));
        generation::renew_failed(tx, &self.deployment, |_| true);
        tx.audit(
            AuditKind::Rollback,
            payload([
                ("deployment", self.deployment.to_string()),
                ("restored", to.to_string()),
                ("revision", number.to_string()),
            ]),
        );
        Ok(Outcome::RolledBack { restored: to, number })
    }

    fn target(&self, state: &State, deployment: &Deployment) -> Result<u64, Rejection> {
        let earlier = |number: &u64| *number < deployment.revision;
        self.to
            .or_else(|| state.revisions(&self.deployment).map(|r| r.number).rfind(earlier))
            .ok_or_else(|| {
                Rejection::new(
                    ErrorCode::NoPreviousRevision,
                    format!("{} has no revision before {}", self.deployment, deployment.revision),
                )
            })
    }
}

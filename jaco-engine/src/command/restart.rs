//! New containers for the same content: the services' epoch rises and they roll.

use std::collections::BTreeSet;

use jaco_api::model::{
    AuditKind, Deployment, DeploymentName, DeploymentPhase, Revision, ServiceName,
};

use super::{Outcome, content, generation, rejection::Rejection};
use crate::state::{Transaction, payload};

/// New containers for the same content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartDeployment {
    /// The deployment.
    pub deployment: DeploymentName,
    /// The services; empty means all.
    pub services: BTreeSet<ServiceName>,
}

impl RestartDeployment {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let deployment = content::existing(tx.view(), &self.deployment)?;
        content::refuse_deleting(&deployment)?;
        if deployment.phase == DeploymentPhase::Stopped {
            return Err(Rejection::conflict(format!("{} is stopped", self.deployment))
                .hint(format!("start it: `jaco start {}`", self.deployment)));
        }
        let revision = content::in_force(tx.view(), &deployment)?;
        if let Some(unknown) = self.services.iter().find(|s| !revision.services.contains_key(*s)) {
            return Err(content::no_service(&self.deployment, unknown));
        }
        let concerned =
            |name: &ServiceName| self.services.is_empty() || self.services.contains(name);
        let services: Vec<_> =
            revision.services.keys().filter(|s| concerned(s)).map(ToString::to_string).collect();
        let number = roll(tx, &deployment, concerned)?;
        tx.audit(
            AuditKind::Restart,
            payload([
                ("deployment", self.deployment.to_string()),
                ("services", services.join(", ")),
            ]),
        );
        Ok(Outcome::Revision { number, changed: true })
    }
}

/// Raises the epoch of the services concerned, so that their containers are replaced as an update
/// would; the number of the revision in force is returned.
pub(super) fn roll(
    tx: &mut Transaction<'_>,
    deployment: &Deployment,
    concerned: impl Fn(&ServiceName) -> bool + Copy,
) -> Result<u64, Rejection> {
    let mut revision = Revision::clone(&*content::in_force(tx.view(), deployment)?);
    for (_, service) in revision.services.iter_mut().filter(|(name, _)| concerned(name)) {
        service.epoch += 1;
    }
    let number = revision.number;
    let rollout = content::next_rollout(tx.view(), deployment, &revision.services, number, tx.at());
    tx.put_revision(&deployment.name, revision);
    tx.put_deployment(Deployment {
        rollout: rollout.or_else(|| deployment.rollout.clone()),
        ..deployment.clone()
    });
    generation::renew_failed(tx, &deployment.name, concerned);
    Ok(number)
}

//! The end of a deployment: at once without replicas, else with the last of them.

use jaco_api::model::{AuditKind, Deployment, DeploymentName, DeploymentPhase, Volume};

use super::{Outcome, content, rejection::Rejection};
use crate::state::{Transaction, payload};

/// The end of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteDeployment {
    /// The deployment.
    pub deployment: DeploymentName,
    /// Whether its volumes go too.
    pub volumes: bool,
}

impl DeleteDeployment {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let deployment = content::existing(tx.view(), &self.deployment)?;
        let mut volumes: Vec<_> = tx
            .view()
            .volumes_of(&self.deployment)
            .filter(|v| !v.external)
            .map(|v| v.name.clone())
            .collect();
        volumes.dedup();
        let asked = deployment.phase == DeploymentPhase::Deleting { volumes: true };
        let phase = DeploymentPhase::Deleting { volumes: self.volumes || asked };
        if deployment.phase != phase {
            let rollout = deployment.rollout.clone().filter(|r| r.ended_at.is_some());
            tx.put_deployment(Deployment { phase, rollout, ..Deployment::clone(&deployment) });
            tx.audit(
                AuditKind::Delete,
                payload([
                    ("deployment", self.deployment.to_string()),
                    ("volumes", self.volumes.to_string()),
                ]),
            );
        }
        finish(tx, &self.deployment);
        Ok(Outcome::Deleted { volumes })
    }
}

/// Goes on with every deletion: replicas or volumes are gone with their node.
pub(super) fn finish_all(tx: &mut Transaction<'_>) {
    let deleting = |d: &Deployment| matches!(d.phase, DeploymentPhase::Deleting { .. });
    let names: Vec<_> =
        tx.view().deployments().filter(|d| deleting(d)).map(|d| d.name.clone()).collect();
    for name in &names {
        finish(tx, name);
    }
}

/// Takes the next step of a deletion whose replicas are gone: its volumes, then the deployment.
pub(super) fn finish(tx: &mut Transaction<'_>, name: &DeploymentName) {
    let Some(deployment) = tx.view().deployment(name).cloned() else { return };
    let DeploymentPhase::Deleting { volumes } = deployment.phase else { return };
    if tx.view().replicas_of(name).next().is_some() {
        return;
    }
    if volumes {
        let rows: Vec<_> = tx.view().volumes_of(name).cloned().collect();
        let mut waits = false;
        for volume in rows {
            if volume.external {
                tx.remove_volume(&volume.name, volume.node);
                continue;
            }
            waits = true;
            if !volume.removing {
                tx.put_volume(Volume { removing: true, ..Volume::clone(&volume) });
            }
        }
        if waits {
            return;
        }
    }
    tx.remove_deployment(name);
}

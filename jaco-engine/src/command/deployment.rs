//! New content for a deployment.

use std::collections::BTreeMap;

use jaco_api::model::{
    AuditKind, Deployment, DeploymentName, DeploymentPhase, Digest, NetworkName, NetworkSpec,
    PlannedService, Revision, RevisionOrigin, RolloutPhase, RouteSpec, Sealed, ServiceName,
    ServiceSchedule, VolumeName, VolumeSpec,
};

use super::{Outcome, content, file, generation, rejection::Rejection};
use crate::state::{Content, Transaction, payload};

/// New content for a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyDeployment {
    /// The deployment.
    pub deployment: DeploymentName,
    /// Services: schedule and digest of the container document.
    pub services: BTreeMap<ServiceName, (ServiceSchedule, Digest)>,
    /// Networks in use.
    pub networks: BTreeMap<NetworkName, NetworkSpec>,
    /// Volumes in use.
    pub volumes: BTreeMap<VolumeName, VolumeSpec>,
    /// Routes.
    pub routes: Vec<RouteSpec>,
    /// Address that its certificates are obtained with; absent means the cluster's.
    pub acme_email: Option<String>,
    /// Sealed container documents; those that state already has may be left out.
    pub documents: BTreeMap<Digest, Sealed>,
    /// Why host-like rights were admitted, by service; audited.
    pub privileged: BTreeMap<ServiceName, Vec<String>>,
}

impl ApplyDeployment {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let present = tx.view().deployment(&self.deployment).cloned();
        if let Some(deployment) = &present {
            content::refuse_deleting(deployment)?;
        }
        let in_force = tx.view().revision_in_force(&self.deployment).cloned();
        let wanted = self.content(in_force.as_deref());
        if let (Some(deployment), Some(revision)) = (&present, &in_force)
            && Content::of(revision) == wanted
        {
            return Ok(self.renew(tx, deployment));
        }
        tx.offer_documents(&self.documents);
        for (service, planned) in &wanted.services {
            if !tx.has_document(&planned.container) {
                return Err(Rejection::conflict(format!(
                    "the cluster no longer holds the container document of service {service}"
                )));
            }
        }
        content::refuse_taken(tx.view(), &self.deployment, &wanted)?;
        file::refuse_missing(tx.view(), &wanted)?;
        let row = match &present {
            Some(deployment) => Deployment::clone(deployment),
            None => content::first(&self.deployment, tx.at()),
        };
        let number = content::put_in_force(tx, row, wanted, RevisionOrigin::Apply);
        let renewed = generation::renew_failed(tx, &self.deployment, |_| true);
        self.audit(tx, number, renewed);
        self.start(tx);
        Ok(Outcome::Revision { number, changed: true })
    }

    pub(super) fn content(&self, in_force: Option<&Revision>) -> Content {
        let epoch = |name: &ServiceName| {
            in_force.and_then(|r| r.services.get(name)).map_or(0, |service| service.epoch)
        };
        let services = self.services.iter().map(|(name, (schedule, container))| {
            let schedule = schedule.clone();
            let planned = PlannedService { schedule, container: *container, epoch: epoch(name) };
            (name.clone(), planned)
        });
        Content {
            services: services.collect(),
            networks: self.networks.clone(),
            volumes: self.volumes.clone(),
            routes: self.routes.clone(),
            acme_email: self.acme_email.clone(),
        }
    }

    /// The same content again: failed replicas get a new chance, a rollout that was given up goes
    /// on, a stopped deployment starts.
    fn renew(&self, tx: &mut Transaction<'_>, deployment: &Deployment) -> Outcome {
        let mut row = deployment.clone();
        let stale = content::has_stale_replicas(tx.view(), deployment);
        if let Some(rollout) = row.rollout.as_mut()
            && stale
            && matches!(rollout.phase, RolloutPhase::Paused | RolloutPhase::Failed)
        {
            rollout.phase = RolloutPhase::Rolling;
            rollout.started_at = tx.at();
            rollout.ended_at = None;
            rollout.failures.clear();
            rollout.reason = None;
        }
        let resumed = row != *deployment;
        tx.put_deployment(row);
        let renewed = generation::renew_failed(tx, &self.deployment, |_| true);
        if resumed || renewed > 0 {
            self.audit(tx, deployment.revision, renewed);
        }
        self.start(tx);
        Outcome::Revision { number: deployment.revision, changed: false }
    }

    fn start(&self, tx: &mut Transaction<'_>) {
        if let Some(row) = tx.view().deployment(&self.deployment).cloned()
            && row.phase == DeploymentPhase::Stopped
        {
            tx.put_deployment(Deployment {
                phase: DeploymentPhase::Running,
                ..Deployment::clone(&row)
            });
            tx.audit(AuditKind::Start, payload([("deployment", row.name.to_string())]));
        }
    }

    fn audit(&self, tx: &mut Transaction<'_>, number: u64, renewed: usize) {
        for (service, reasons) in &self.privileged {
            tx.audit(
                AuditKind::PrivilegedWorkloadAdmitted,
                payload([
                    ("deployment", self.deployment.to_string()),
                    ("service", service.to_string()),
                    ("reasons", reasons.join("; ")),
                ]),
            );
        }
        let mut facts = payload([
            ("deployment", self.deployment.to_string()),
            ("revision", number.to_string()),
        ]);
        if renewed > 0 {
            facts.insert("renewed".into(), renewed.to_string());
        }
        tx.audit(AuditKind::Apply, facts);
    }
}

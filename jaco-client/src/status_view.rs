//! Batches of status rows, folded into what they say together.

use std::collections::BTreeMap;

use jaco_api::model::{
    CertificateSummary, DeploymentName, DeploymentStatus, ReplicaId, ReplicaStatus, ServiceName,
};

use crate::StatusBatch;

/// Deployments, replicas and certificates at one log index.
///
/// A round of batches ends with `synced`; only then does the view move, so it never shows half of
/// a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusView {
    deployments: BTreeMap<DeploymentName, DeploymentStatus>,
    replicas: BTreeMap<ReplicaId, ReplicaStatus>,
    certificates: BTreeMap<String, CertificateSummary>,
    index: u64,
    stale: bool,
    synced: bool,
    staged: Vec<StatusBatch>,
    replace: bool,
}

impl StatusView {
    /// Takes one batch in. True when the view moved.
    pub fn apply(&mut self, batch: StatusBatch) -> bool {
        let complete = batch.synced;
        self.staged.push(batch);
        if !complete {
            return false;
        }
        if std::mem::take(&mut self.replace) {
            self.deployments.clear();
            self.replicas.clear();
            self.certificates.clear();
        }
        for batch in std::mem::take(&mut self.staged) {
            self.take(batch);
        }
        self.synced = true;
        true
    }

    fn take(&mut self, batch: StatusBatch) {
        for name in batch.removed_deployments {
            self.deployments.remove(&name);
        }
        for id in batch.removed_replicas {
            self.replicas.remove(&id);
        }
        for domain in batch.removed_certificates {
            self.certificates.remove(&domain);
        }
        for row in batch.certificates {
            self.certificates.insert(row.domain.clone(), row);
        }
        for row in batch.deployments {
            self.deployments.insert(row.name.clone(), row);
        }
        for row in batch.replicas {
            self.replicas.insert(row.id.clone(), row);
        }
        self.index = batch.index;
        self.stale = batch.stale;
    }

    /// The stream was opened anew: the next round replaces everything.
    pub fn restart(&mut self) {
        self.staged.clear();
        self.replace = true;
    }

    /// Whether a round was complete yet.
    #[must_use]
    pub const fn is_synced(&self) -> bool {
        self.synced
    }

    /// Log index of the rows.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Whether the answering node heard no leader: the rows may be old.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        self.stale
    }

    /// Deployments by name.
    pub fn deployments(&self) -> impl ExactSizeIterator<Item = &DeploymentStatus> {
        self.deployments.values()
    }

    /// One deployment.
    #[must_use]
    pub fn deployment(&self, name: &DeploymentName) -> Option<&DeploymentStatus> {
        self.deployments.get(name)
    }

    /// Replicas by id.
    pub fn replicas(&self) -> impl ExactSizeIterator<Item = &ReplicaStatus> {
        self.replicas.values()
    }

    /// Certificates by domain: those of the deployments that were asked for.
    pub fn certificates(&self) -> impl ExactSizeIterator<Item = &CertificateSummary> {
        self.certificates.values()
    }

    /// The certificate of one domain.
    #[must_use]
    pub fn certificate(&self, domain: &str) -> Option<&CertificateSummary> {
        self.certificates.get(domain)
    }

    /// Replicas of one deployment, or of one service of it.
    pub fn replicas_of<'a>(
        &'a self,
        deployment: &'a DeploymentName,
        service: Option<&'a ServiceName>,
    ) -> impl Iterator<Item = &'a ReplicaStatus> {
        self.replicas.values().filter(move |r| {
            r.id.deployment == *deployment && service.is_none_or(|s| r.id.service == *s)
        })
    }
}

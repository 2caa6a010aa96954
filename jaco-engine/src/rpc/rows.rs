//! What differs between two states, as rows for `Watch.Status`. Pure.

use std::{collections::BTreeSet, sync::Arc};

use jaco_api::{
    convert::parse,
    error::{ApiError, ErrorCode},
    model::{CertificateSummary, DeploymentName, Node, ReplicaId, ServiceName},
    pb,
};

use crate::{state::State, summary};

/// Rows in one message: no message grows with the cluster.
const ROWS: usize = 256;

/// Which deployments and replicas are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    deployment: Option<DeploymentName>,
    service: Option<ServiceName>,
}

impl Scope {
    /// Empty texts ask for everything.
    pub(crate) fn parse(deployment: &str, service: &str) -> Result<Self, ApiError> {
        let deployment = some(deployment).map(|d| parse("deployment", d)).transpose()?;
        let service = some(service).map(|s| parse("service", s)).transpose()?;
        if deployment.is_none() && service.is_some() {
            let message = "a service is named together with its deployment";
            return Err(ApiError::new(ErrorCode::ValidationFailed, message));
        }
        Ok(Self { deployment, service })
    }

    /// Whether what is asked for exists.
    pub(crate) fn check(&self, state: &State) -> Result<(), ApiError> {
        let Some(deployment) = &self.deployment else { return Ok(()) };
        if state.deployment(deployment).is_none() {
            let message = format!("there is no deployment {deployment}");
            return Err(ApiError::new(ErrorCode::DeploymentNotFound, message));
        }
        let Some(service) = &self.service else { return Ok(()) };
        let has_replicas = state.replicas_of_service(deployment, service).next().is_some();
        if state.service(deployment, service).is_none() && !has_replicas {
            let message = format!("deployment {deployment} has no service {service}");
            return Err(ApiError::new(ErrorCode::ServiceNotFound, message));
        }
        Ok(())
    }

    pub(crate) fn includes(&self, replica: &ReplicaId) -> bool {
        self.deployment.as_ref().is_none_or(|d| *d == replica.deployment)
            && self.service.as_ref().is_none_or(|s| *s == replica.service)
    }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Rows that are new or differ, and what has gone.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    deployments: Vec<pb::DeploymentStatus>,
    replicas: Vec<pb::ReplicaStatus>,
    removed_deployments: Vec<String>,
    removed_replicas: Vec<String>,
    certificates: Vec<pb::CertificateSummary>,
    removed_certificates: Vec<String>,
}

impl Changes {
    /// What a reader who knows `old` must be told to know `new`.
    pub(crate) fn between(old: &State, new: &State, scope: &Scope) -> Self {
        let mut changes = Self::default();
        for deployment in touched(old, new, scope) {
            let (before, after) =
                (summary::deployment(old, &deployment), summary::deployment(new, &deployment));
            match after {
                None if before.is_some() => {
                    changes.removed_deployments.push(deployment.to_string());
                }
                Some(row) if before.as_ref() != Some(&row) => changes.deployments.push(row.into()),
                _ => {}
            }
            changes.compare_replicas(old, new, &deployment, scope);
        }
        changes.compare_certificates(old, new, scope);
        changes
    }

    /// The cost is that of all routes, unless nothing changed that certificates depend on.
    fn compare_certificates(&mut self, old: &State, new: &State, scope: &Scope) {
        let same = old.certificates().same_as(new.certificates())
            && old.issuances().same_as(new.issuances())
            && old.deployments.same_as(&new.deployments);
        if same {
            return;
        }
        let uses = |row: &CertificateSummary| {
            scope.deployment.as_ref().is_none_or(|d| row.deployments.contains(d))
        };
        let rows = |state: &State| {
            let mut rows = summary::certificates(state);
            rows.retain(|_, row| uses(row));
            rows
        };
        let mut before = rows(old);
        for (domain, row) in rows(new) {
            if before.remove(&domain).as_ref() != Some(&row) {
                self.certificates.push(row.into());
            }
        }
        self.removed_certificates.extend(before.into_keys());
    }

    fn compare_replicas(
        &mut self,
        old: &State,
        new: &State,
        deployment: &DeploymentName,
        scope: &Scope,
    ) {
        for replica in new.replicas_of(deployment).filter(|r| scope.includes(&r.id)) {
            let row = summary::replica(new, replica);
            let before = old.replica(&replica.id).map(|r| summary::replica(old, r));
            if before.as_ref() != Some(&row) {
                self.replicas.push(row.into());
            }
        }
        let gone = old.replicas_of(deployment).filter(|r| new.replica(&r.id).is_none());
        let gone = gone.filter(|r| scope.includes(&r.id)).map(|r| r.id.to_string());
        self.removed_replicas.extend(gone);
    }

    /// In messages of bounded size; none when nothing differs.
    pub(crate) fn batches(self) -> impl Iterator<Item = pb::StatusBatch> {
        let mut all = Vec::new();
        chunks(self.deployments, &mut all, |b, rows| b.deployments = rows);
        chunks(self.replicas, &mut all, |b, rows| b.replicas = rows);
        chunks(self.removed_deployments, &mut all, |b, rows| b.removed_deployments = rows);
        chunks(self.removed_replicas, &mut all, |b, rows| b.removed_replicas = rows);
        chunks(self.certificates, &mut all, |b, rows| b.certificates = rows);
        chunks(self.removed_certificates, &mut all, |b, rows| b.removed_certificates = rows);
        all.into_iter()
    }
}

fn chunks<T>(
    rows: Vec<T>,
    into: &mut Vec<pb::StatusBatch>,
    put: impl Fn(&mut pb::StatusBatch, Vec<T>),
) {
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let mut batch = pb::StatusBatch::default();
        put(&mut batch, rows.by_ref().take(ROWS).collect());
        into.push(batch);
    }
}

/// Deployments whose rows, or whose replicas' rows, may differ. O(changes), unless nodes changed.
fn touched(old: &State, new: &State, scope: &Scope) -> BTreeSet<DeploymentName> {
    let mut all: BTreeSet<DeploymentName> =
        old.deployments.diff(&new.deployments).map(|change| change.key.clone()).collect();
    all.extend(old.replicas.diff(&new.replicas).map(|change| change.key.deployment.clone()));
    // A replica's row names its node and depends on the node's status.
    let shown = |node: Option<&Arc<Node>>| node.map(|n| (n.name.clone(), n.status));
    if old.nodes.diff(&new.nodes).any(|change| shown(change.old) != shown(change.new)) {
        all.extend(new.deployments().map(|d| d.name.clone()));
    }
    if let Some(deployment) = &scope.deployment {
        all.retain(|d| d == deployment);
    }
    all
}

#[cfg(test)]
mod tests {
    use jaco_api::model::CertificateSource;

    use super::*;
    use crate::{
        command::{Command, DeleteCertificate, ImportCertificate},
        testing::builders::{Scenario, Stack, certificate, name},
    };

    /// Domains of new or changed certificates, and of those that are gone.
    fn told(old: &State, new: &State, scope: &Scope) -> (Vec<String>, Vec<String>) {
        let changes = Changes::between(old, new, scope);
        let domains = changes.certificates.into_iter().map(|row| row.domain);
        (domains.collect(), changes.removed_certificates)
    }

    #[test]
    fn certificates_that_change_are_told_and_no_others() {
        let (mut s, all) = (Scenario::new(), Scope::default());
        let (shop, blog) = ("shop.example.com".to_owned(), "blog.example.com".to_owned());
        s.run(Stack::new("shop").service("web", "web:1", 1).route(&shop, "/", "web"));
        let pending = s.state.clone();
        let first = (vec![shop.clone()], vec![]);
        assert_eq!(told(&State::default(), &pending, &all), first);
        let import = |domain: &str| {
            let certificate = certificate(domain, CertificateSource::Imported);
            Command::ImportCertificate(Box::new(ImportCertificate { certificate }))
        };
        s.run(import(&blog));
        let imported = s.state.clone();
        assert_eq!(told(&pending, &imported, &all), (vec![blog.clone()], vec![]));
        let of_shop = Scope::parse("shop", "").unwrap();
        assert_eq!(told(&pending, &imported, &of_shop), (vec![], vec![]));
        assert_eq!(told(&State::default(), &imported, &of_shop), first);
        s.run(import(&shop));
        assert_eq!(told(&imported, &s.state, &of_shop), (vec![shop], vec![]));
        s.run(Command::DeleteCertificate(DeleteCertificate { domain: name(&blog) }));
        let gone = told(&imported, &s.state, &all).1;
        assert_eq!(gone, [blog]);
    }
}

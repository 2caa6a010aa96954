//! Secrets and configs of the cluster: a new content rolls exactly the services that use it.

use std::collections::{BTreeMap, BTreeSet};

use jaco_api::{
    error::ErrorCode,
    model::{
        AuditKind, Deployment, DeploymentName, DeploymentPhase, FileId, NamedFile, Revision,
        Sealed, ServiceName,
    },
};

use super::{Outcome, rejection::Rejection, restart};
use crate::state::{Content, State, Transaction, needed_revisions, payload};

/// Most secrets and configs of a cluster.
const MOST: usize = 10_000;

/// New content for a secret or config of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetFile {
    /// Kind and name.
    pub id: FileId,
    /// Its content.
    pub content: Sealed,
    /// Bytes of its content.
    pub size: u64,
    /// Globs of the deployments that may use it; empty means every one.
    pub deployments: Vec<String>,
}

/// The end of a secret or config of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteFile {
    /// Kind and name.
    pub id: FileId,
}

impl SetFile {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let present = tx.view().file(&self.id).cloned();
        if present.is_none() && tx.view().files.len() >= MOST {
            let message = format!("a cluster has at most {MOST} secrets and configs");
            return Err(Rejection::new(ErrorCode::ValidationFailed, message));
        }
        let same = present.as_ref().is_some_and(|p| p.content == self.content);
        let version = present.as_ref().map_or(0, |p| p.version) + u64::from(!same);
        tx.put_file(NamedFile {
            id: self.id.clone(),
            content: self.content.clone(),
            size: self.size,
            deployments: self.deployments.clone(),
            version,
            created_at: present.as_ref().map_or(tx.at(), |p| p.created_at),
            updated_at: present.as_ref().filter(|_| same).map_or(tx.at(), |p| p.updated_at),
        });
        let mut facts = payload([
            ("kind", self.id.kind.to_string()),
            ("name", self.id.name.to_string()),
            ("version", version.to_string()),
        ]);
        if !self.deployments.is_empty() {
            facts.insert("deployments".to_owned(), self.deployments.join(", "));
        }
        if !same {
            let rolled = self.roll(tx)?;
            if !rolled.is_empty() {
                facts.insert("rolled".to_owned(), rolled.join(", "));
            }
        }
        tx.audit(AuditKind::SecretUpsert, facts);
        Ok(Outcome::Done)
    }

    /// New containers for the services that use it; they are named as `<deployment>/<service>`.
    fn roll(&self, tx: &mut Transaction<'_>) -> Result<Vec<String>, Rejection> {
        let mut users: BTreeMap<DeploymentName, BTreeSet<ServiceName>> = BTreeMap::new();
        for (deployment, service) in tx.view().users_of(&self.id) {
            users.entry(deployment.clone()).or_default().insert(service.clone());
        }
        let mut rolled = Vec::new();
        for (name, services) in users {
            let Some(deployment) = tx.view().deployment(&name).cloned() else { continue };
            if matches!(deployment.phase, DeploymentPhase::Deleting { .. }) {
                continue;
            }
            restart::roll(tx, &deployment, |service| services.contains(service))?;
            rolled.extend(services.iter().map(|service| format!("{name}/{service}")));
        }
        Ok(rolled)
    }
}

impl DeleteFile {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        if tx.view().file(&self.id).is_none() {
            return Err(absent(&self.id));
        }
        let users: BTreeSet<String> = tx
            .view()
            .deployments()
            .filter(|d| needed(tx.view(), d).any(|r| uses(r, &self.id)))
            .map(|d| d.name.to_string())
            .collect();
        if !users.is_empty() {
            let users = users.into_iter().collect::<Vec<_>>().join(", ");
            return Err(Rejection::conflict(format!(
                "{} {} is used by {users}",
                self.id.kind, self.id.name
            ))
            .with("used_by", users)
            .hint("apply the deployments without it first"));
        }
        tx.remove_file(&self.id);
        tx.audit(
            AuditKind::SecretRemove,
            payload([("kind", self.id.kind.to_string()), ("name", self.id.name.to_string())]),
        );
        Ok(Outcome::Done)
    }
}

/// The revision in force and those that a rollout may go back to.
fn needed<'s>(state: &'s State, deployment: &'s Deployment) -> impl Iterator<Item = &'s Revision> {
    let numbers = needed_revisions(deployment).into_iter();
    numbers.filter_map(|n| state.revision(&deployment.name, n)).map(|r| &**r)
}

fn uses(revision: &Revision, id: &FileId) -> bool {
    revision.services.values().any(|s| s.schedule.files.contains(id))
}

fn absent(id: &FileId) -> Rejection {
    let message = format!("the cluster has no {} named {}", id.kind, id.name);
    Rejection::new(ErrorCode::SecretNotFound, message)
}

/// Refuses a content whose services use what the cluster does not have.
pub(super) fn refuse_missing(state: &State, content: &Content) -> Result<(), Rejection> {
    let mut used = content.services.values().flat_map(|s| &s.schedule.files);
    match used.find(|id| state.file(id).is_none()) {
        Some(id) => Err(absent(id)),
        None => Ok(()),
    }
}

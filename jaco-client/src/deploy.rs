//! Changing deployments.

use std::collections::BTreeMap;

use jaco_api::{
    convert::InvalidMessage,
    manifest::Diagnostic,
    model::{
        Actor, DeploymentName, DeploymentStatus, Difference, ManifestDocument, ServiceName,
        Timestamp,
    },
    pb,
};
use serde::Serialize;
use tonic::transport::Channel;

use crate::{
    Client, Error,
    call::{MAX_MESSAGE, request_id},
    retry::Repeat,
};

/// What to apply: the two documents, resolved (interpolated once, env files folded in).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Apply {
    /// Text of jaco.yaml.
    pub jaco: String,
    /// The resolved compose document.
    pub compose: String,
    /// How diagnostics name the first.
    pub jaco_name: String,
    /// How diagnostics name the second.
    pub compose_name: String,
    /// Says what would happen and changes nothing.
    pub dry_run: bool,
    /// Shows secret values in the differences.
    pub show_secrets: bool,
}

/// Answer to [`Client::apply`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The deployment.
    pub deployment: DeploymentName,
    /// The revision in force; of a dry run, the present one (0: none).
    pub revision: u64,
    /// False when the content equals the revision in force.
    pub changed: bool,
    /// What changes.
    pub differences: Vec<Difference>,
    /// What was accepted with a remark.
    pub warnings: Vec<Diagnostic>,
}

/// Answer to [`Client::rollback`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RolledBack {
    /// The revision whose content was restored.
    pub restored: u64,
    /// The new revision with that content.
    pub revision: u64,
}

/// Answer to [`Client::delete`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// Volumes that are kept, or removed when that was asked for.
    pub volumes: Vec<String>,
}

/// Answer to a smaller change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// The revision in force afterwards.
    pub revision: u64,
    /// False when there was nothing to change.
    pub changed: bool,
}

/// A stored specification with its present status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fetched {
    /// How the deployment is.
    pub status: DeploymentStatus,
    /// The revision of `document`.
    pub revision: u64,
    /// The resolved manifest; secret values are masked unless asked for.
    pub document: ManifestDocument,
}

/// One revision that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevisionSummary {
    /// Its number.
    pub number: u64,
    /// What caused it.
    pub origin: String,
    /// Who caused it.
    #[serde(flatten)]
    pub actor: Actor,
    /// When.
    pub at: Timestamp,
    /// Services and their images.
    pub images: BTreeMap<String, String>,
    /// Whether it is the one in force.
    pub in_force: bool,
}

impl TryFrom<pb::ApplyResponse> for Applied {
    type Error = InvalidMessage;
    fn try_from(a: pb::ApplyResponse) -> Result<Self, InvalidMessage> {
        Ok(Self {
            deployment: jaco_api::convert::parse("deployment", &a.deployment)?,
            revision: a.revision,
            changed: a.changed,
            differences: a
                .differences
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
            warnings: a.warnings.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<pb::RevisionSummary> for RevisionSummary {
    type Error = InvalidMessage;
    fn try_from(r: pb::RevisionSummary) -> Result<Self, InvalidMessage> {
        Ok(Self {
            number: r.number,
            origin: r.origin,
            actor: r.actor.ok_or_else(|| InvalidMessage::new("actor", "is missing"))?.try_into()?,
            at: Timestamp(r.at),
            images: r.images,
            in_force: r.in_force,
        })
    }
}

impl From<pb::ChangeResponse> for Changed {
    fn from(c: pb::ChangeResponse) -> Self {
        Self { revision: c.revision, changed: c.changed }
    }
}

fn service(channel: Channel) -> pb::deploy_client::DeployClient<Channel> {
    pb::deploy_client::DeployClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE)
}

impl Client {
    /// Makes a deployment what the manifest says. Returns when the change is committed, not when it
    /// is carried out: see [`Client::wait`].
    ///
    /// # Errors
    /// Every problem of a refused manifest is in the error's diagnostics.
    pub async fn apply(&self, apply: Apply) -> Result<Applied, Error> {
        let request = pb::ApplyRequest {
            jaco: apply.jaco,
            compose: apply.compose,
            jaco_name: apply.jaco_name,
            compose_name: apply.compose_name,
            dry_run: apply.dry_run,
            show_secrets: apply.show_secrets,
            request_id: request_id(),
        };
        self.call(Repeat::Harmless, &request, |c, r| async move { service(c).apply(r).await })
            .await?
            .try_into()
            .map_err(Error::answer)
    }

    /// Restores the content of an earlier revision as a new one; `None` means the one before.
    ///
    /// # Errors
    /// `no_previous_revision` when it is not kept.
    pub async fn rollback(
        &self,
        deployment: &DeploymentName,
        to: Option<u64>,
    ) -> Result<RolledBack, Error> {
        let request = pb::RollbackRequest {
            deployment: deployment.to_string(),
            to: to.unwrap_or(0),
            request_id: request_id(),
        };
        let answer = self
            .call(Repeat::Harmless, &request, |c, r| async move { service(c).rollback(r).await })
            .await?;
        Ok(RolledBack { restored: answer.restored, revision: answer.revision })
    }

    /// Removes a deployment; its volumes only when `volumes` is set.
    ///
    /// # Errors
    /// `deployment_not_found`.
    pub async fn delete(
        &self,
        deployment: &DeploymentName,
        volumes: bool,
    ) -> Result<Deleted, Error> {
        let request = pb::DeleteRequest {
            deployment: deployment.to_string(),
            volumes,
            request_id: request_id(),
        };
        let answer = self
            .call(Repeat::Harmless, &request, |c, r| async move { service(c).delete(r).await })
            .await?;
        Ok(Deleted { volumes: answer.volumes })
    }

    /// Changes how many replicas services have.
    ///
    /// # Errors
    /// `deployment_not_found`, `service_not_found`.
    pub async fn scale(
        &self,
        deployment: &DeploymentName,
        replicas: &BTreeMap<ServiceName, u32>,
    ) -> Result<Changed, Error> {
        let request = pb::ScaleRequest {
            deployment: deployment.to_string(),
            replicas: replicas.iter().map(|(s, n)| (s.to_string(), *n)).collect(),
            request_id: request_id(),
        };
        self.call(Repeat::Harmless, &request, |c, r| async move { service(c).scale(r).await })
            .await
            .map(Changed::from)
    }

    /// Replaces the containers of these services, one step at a time; of every service when empty.
    ///
    /// # Errors
    /// `deployment_not_found`, `service_not_found`.
    pub async fn restart(
        &self,
        deployment: &DeploymentName,
        services: &[ServiceName],
    ) -> Result<Changed, Error> {
        let request = pb::RestartRequest {
            deployment: deployment.to_string(),
            services: services.iter().map(ToString::to_string).collect(),
            request_id: request_id(),
        };
        self.call(Repeat::Harmless, &request, |c, r| async move { service(c).restart(r).await })
            .await
            .map(Changed::from)
    }

    /// Stops every replica and keeps everything else.
    ///
    /// # Errors
    /// `deployment_not_found`.
    pub async fn stop(&self, deployment: &DeploymentName) -> Result<Changed, Error> {
        let request =
            pb::StopRequest { deployment: deployment.to_string(), request_id: request_id() };
        self.call(Repeat::Harmless, &request, |c, r| async move { service(c).stop(r).await })
            .await
            .map(Changed::from)
    }

    /// Starts what [`Client::stop`] stopped.
    ///
    /// # Errors
    /// `deployment_not_found`.
    pub async fn start(&self, deployment: &DeploymentName) -> Result<Changed, Error> {
        let request =
            pb::StartRequest { deployment: deployment.to_string(), request_id: request_id() };
        self.call(Repeat::Harmless, &request, |c, r| async move { service(c).start(r).await })
            .await
            .map(Changed::from)
    }

    /// The stored specification of a revision; `None` means the one in force.
    ///
    /// # Errors
    /// `deployment_not_found`, `no_previous_revision`.
    pub async fn deployment(
        &self,
        deployment: &DeploymentName,
        revision: Option<u64>,
        show_secrets: bool,
    ) -> Result<Fetched, Error> {
        let request = pb::GetDeploymentRequest {
            deployment: deployment.to_string(),
            revision: revision.unwrap_or(0),
            show_secrets,
        };
        let answer = self
            .call(Repeat::Harmless, &request, |c, r| async move { service(c).get(r).await })
            .await?;
        Ok(Fetched {
            status: answer
                .status
                .ok_or_else(|| Error::answer("a deployment without its status"))?
                .try_into()
                .map_err(Error::answer)?,
            revision: answer.revision,
            document: serde_json::from_str(&answer.document).map_err(Error::answer)?,
        })
    }

    /// The revisions that are kept, newest first.
    ///
    /// # Errors
    /// `deployment_not_found`.
    pub async fn history(
        &self,
        deployment: &DeploymentName,
    ) -> Result<Vec<RevisionSummary>, Error> {
        let request = pb::HistoryRequest { deployment: deployment.to_string() };
        self.call(Repeat::Harmless, &request, |c, r| async move { service(c).history(r).await })
            .await?
            .revisions
            .into_iter()
            .map(|r| r.try_into().map_err(Error::answer))
            .collect()
    }
}

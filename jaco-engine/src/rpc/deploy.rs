//! `jaco.v1.Deploy`.

use std::sync::Arc;

use jaco_api::{
    convert::parse,
    error::{ApiError, ErrorCode},
    manifest::{self, Source},
    model::{DeploymentName, Principal, Revision},
    pb::{self, deploy_server},
};
use tonic::{Request, Response, Status};

use super::{Api, Membership, gate::caller};
use crate::{
    admission,
    command::{Command, Outcome},
    state::State,
    summary,
};

/// Changing deployments.
pub(crate) struct Service(pub(crate) Arc<Api>);

#[tonic::async_trait]
impl deploy_server::Deploy for Service {
    async fn apply(
        &self,
        request: Request<pb::ApplyRequest>,
    ) -> Result<Response<pb::ApplyResponse>, Status> {
        let who = caller(&request)?;
        let (membership, state) = self.0.state()?;
        let message = request.into_inner();
        let jaco = Source { name: message.jaco_name, text: message.jaco };
        let compose = Source { name: message.compose_name, text: message.compose };
        let admitted = admission::apply(&state, &who, &membership.keyring, &jaco, &compose)?;
        let mut answer = pb::ApplyResponse {
            deployment: admitted.document.deployment.to_string(),
            warnings: admitted.warnings.iter().cloned().map(Into::into).collect(),
            ..pb::ApplyResponse::default()
        };
        if message.dry_run {
            foresee(&membership, &state, &admitted, message.show_secrets, &mut answer)?;
        } else {
            let outcome =
                membership.submit(&who, &message.request_id, admitted.into_command()).await?;
            (answer.revision, answer.changed) = revision(&outcome)?;
        }
        Ok(Response::new(answer))
    }

    async fn rollback(
        &self,
        request: Request<pb::RollbackRequest>,
    ) -> Result<Response<pb::RollbackResponse>, Status> {
        let who = caller(&request)?;
        let (membership, state) = self.0.state()?;
        let message = request.into_inner();
        let to = (message.to > 0).then_some(message.to);
        let command = admission::rollback(&state, &who, name(&message.deployment)?, to)?;
        match membership.submit(&who, &message.request_id, command).await? {
            Outcome::RolledBack { restored, number } => {
                Ok(Response::new(pb::RollbackResponse { restored, revision: number }))
            }
            other => Err(unexpected(&other).into()),
        }
    }

    async fn delete(
        &self,
        request: Request<pb::DeleteRequest>,
    ) -> Result<Response<pb::DeleteResponse>, Status> {
        let who = caller(&request)?;
        let (membership, state) = self.0.state()?;
        let message = request.into_inner();
        let command = admission::delete(&state, &who, name(&message.deployment)?, message.volumes)?;
        match membership.submit(&who, &message.request_id, command).await? {
            Outcome::Deleted { volumes } => Ok(Response::new(pb::DeleteResponse { volumes })),
            other => Err(unexpected(&other).into()),
        }
    }

    async fn scale(
        &self,
        request: Request<pb::ScaleRequest>,
    ) -> Result<Response<pb::ChangeResponse>, Status> {
        let who = caller(&request)?;
        let message = request.into_inner();
        let deployment = name(&message.deployment)?;
        let (_, state) = self.0.state()?;
        let command = admission::scale(&state, &who, deployment.clone(), &message.replicas)?;
        self.change(&who, &message.request_id, &deployment, command).await
    }

    async fn restart(
        &self,
        request: Request<pb::RestartRequest>,
    ) -> Result<Response<pb::ChangeResponse>, Status> {
        let who = caller(&request)?;
        let message = request.into_inner();
        let deployment = name(&message.deployment)?;
        let (_, state) = self.0.state()?;
        let command = admission::restart(&state, &who, deployment.clone(), &message.services)?;
        self.change(&who, &message.request_id, &deployment, command).await
    }

    async fn stop(
        &self,
        request: Request<pb::StopRequest>,
    ) -> Result<Response<pb::ChangeResponse>, Status> {
        let who = caller(&request)?;
        let message = request.into_inner();
        self.hold(&who, &message.request_id, &message.deployment, true).await
    }

    async fn start(
        &self,
        request: Request<pb::StartRequest>,
    ) -> Result<Response<pb::ChangeResponse>, Status> {
        let who = caller(&request)?;
        let message = request.into_inner();
        self.hold(&who, &message.request_id, &message.deployment, false).await
    }

    async fn get(
        &self,
        request: Request<pb::GetDeploymentRequest>,
    ) -> Result<Response<pb::GetDeploymentResponse>, Status> {
        let who = caller(&request)?;
        let (membership, state) = self.0.state()?;
        let message = request.into_inner();
        let deployment = name(&message.deployment)?;
        if message.show_secrets {
            admission::permit_change(&who, &deployment)?;
        }
        let status =
            summary::deployment(&state, &deployment).ok_or_else(|| missing(&deployment))?;
        let revision = kept(&state, &deployment, message.revision)?;
        let mut document =
            admission::document_of(&state, &membership.keyring, &deployment, &revision)?;
        // Who may come to a service is nobody's to read.
        document = match message.show_secrets {
            true => manifest::mask_passwords(&document),
            false => manifest::mask(&document),
        };
        let text = serde_json::to_string(&document)
            .expect("a manifest document has only string keys and finite numbers");
        Ok(Response::new(pb::GetDeploymentResponse {
            status: Some(status.into()),
            revision: revision.number,
            document: text,
        }))
    }

    async fn history(
        &self,
        request: Request<pb::HistoryRequest>,
    ) -> Result<Response<pb::HistoryResponse>, Status> {
        let (_, state) = self.0.state()?;
        let deployment = name(&request.into_inner().deployment)?;
        let row = state.deployment(&deployment).ok_or_else(|| missing(&deployment))?;
        let revisions = state.revisions(&deployment).rev();
        let revisions = revisions.map(|r| summarize(r, r.number == row.revision)).collect();
        Ok(Response::new(pb::HistoryResponse { revisions }))
    }
}

impl Service {
    async fn hold(
        &self,
        who: &Principal,
        request_id: &str,
        deployment: &str,
        stopped: bool,
    ) -> Result<Response<pb::ChangeResponse>, Status> {
        let deployment = name(deployment)?;
        let (_, state) = self.0.state()?;
        let command = admission::hold(&state, who, deployment.clone(), stopped)?;
        self.change(who, request_id, &deployment, command).await
    }

    async fn change(
        &self,
        who: &Principal,
        request_id: &str,
        deployment: &DeploymentName,
        command: Command,
    ) -> Result<Response<pb::ChangeResponse>, Status> {
        let membership = self.0.membership()?;
        let outcome = membership.submit(who, request_id, command).await?;
        let (revision, changed) = match outcome {
            Outcome::Done => {
                let state = membership.state.newest();
                (state.deployment(deployment).map_or(0, |d| d.revision), true)
            }
            other => revision(&other)?,
        };
        Ok(Response::new(pb::ChangeResponse { revision, changed }))
    }
}

/// What an apply would do.
fn foresee(
    membership: &Membership,
    state: &State,
    admitted: &admission::Admitted,
    show_secrets: bool,
    answer: &mut pb::ApplyResponse,
) -> Result<(), ApiError> {
    let deployment = &admitted.document.deployment;
    let present = state.revision_in_force(deployment);
    let before = present
        .map(|r| admission::document_of(state, &membership.keyring, deployment, r))
        .transpose()?;
    let mut differences = manifest::diff(before.as_ref(), &admitted.document, show_secrets);
    admission::describe(state, admitted, &mut differences);
    answer.revision = present.map_or(0, |r| r.number);
    answer.changed = before.as_ref() != Some(&admitted.document);
    answer.differences = differences.into_iter().map(Into::into).collect();
    Ok(())
}

fn name(text: &str) -> Result<DeploymentName, ApiError> {
    parse("deployment", text).map_err(ApiError::from)
}

fn missing(deployment: &DeploymentName) -> ApiError {
    ApiError::new(ErrorCode::DeploymentNotFound, format!("there is no deployment {deployment}"))
}

fn kept(
    state: &State,
    deployment: &DeploymentName,
    number: u64,
) -> Result<Arc<Revision>, ApiError> {
    let row = state.deployment(deployment).ok_or_else(|| missing(deployment))?;
    let number = if number == 0 { row.revision } else { number };
    state.revision(deployment, number).cloned().ok_or_else(|| {
        ApiError::new(
            ErrorCode::NoPreviousRevision,
            format!("revision {number} of deployment {deployment} is not kept"),
        )
    })
}

fn revision(outcome: &Outcome) -> Result<(u64, bool), ApiError> {
    match outcome {
        Outcome::Revision { number, changed } => Ok((*number, *changed)),
        other => Err(unexpected(other)),
    }
}

fn unexpected(outcome: &Outcome) -> ApiError {
    let kind = match outcome {
        Outcome::Done => "done",
        Outcome::Revision { .. } => "revision",
        Outcome::RolledBack { .. } => "rolled back",
        Outcome::Deleted { .. } => "deleted",
        Outcome::Admitted { .. } => "admitted",
        Outcome::KeyReserved { .. } => "key reserved",
        Outcome::Rejected(error) => return error.clone(),
    };
    ApiError::new(
        ErrorCode::Conflict,
        format!("this request id was used for another change ({kind})"),
    )
}

fn summarize(revision: &Revision, in_force: bool) -> pb::RevisionSummary {
    let images = revision.services.iter();
    pb::RevisionSummary {
        number: revision.number,
        origin: revision.origin.to_string(),
        actor: Some(revision.actor.clone().into()),
        at: revision.at.0,
        images: images.map(|(name, s)| (name.to_string(), s.schedule.image.clone())).collect(),
        in_force,
    }
}

//! `jaco.v1.Files`.

use std::sync::Arc;

use jaco_api::{
    convert::{InvalidMessage, parse},
    error::{ApiError, ErrorCode},
    model::{FileId, FileKind, FileSummary, NamedFile},
    pb::{self, files_server},
};
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

use super::{Api, gate::caller};
use crate::{admission, state::State};

/// Secrets and configs of the cluster.
pub(crate) struct Service(pub(crate) Arc<Api>);

#[tonic::async_trait]
impl files_server::Files for Service {
    async fn set(
        &self,
        request: Request<pb::SetFileRequest>,
    ) -> Result<Response<pb::SetFileResponse>, Status> {
        let who = caller(&request)?;
        let message = request.into_inner();
        let id = id(message.kind(), &message.name).map_err(ApiError::from)?;
        let content = Zeroizing::new(message.content);
        let (membership, state) = self.0.state()?;
        let globs = message.deployments;
        let keyring = &membership.keyring;
        let command = admission::set_file(&state, &who, keyring, id.clone(), &content, globs)?;
        let changed = command.is_some();
        if let Some(command) = command {
            membership.submit(&who, &message.request_id, command).await?;
        }
        let state = membership.state.newest();
        let file = state.file(&id).ok_or_else(|| {
            ApiError::new(ErrorCode::Conflict, format!("{id} was deleted at the same time"))
        })?;
        Ok(Response::new(pb::SetFileResponse { file: Some(shown(&state, file)), changed }))
    }

    async fn list(
        &self,
        request: Request<pb::ListFilesRequest>,
    ) -> Result<Response<pb::ListFilesResponse>, Status> {
        let kind = FileKind::try_from(request.into_inner().kind()).map_err(ApiError::from)?;
        let (_, state) = self.0.state()?;
        let files = state.files().filter(|f| f.id.kind == kind).map(|f| shown(&state, f)).collect();
        Ok(Response::new(pb::ListFilesResponse { files }))
    }

    async fn delete(
        &self,
        request: Request<pb::DeleteFileRequest>,
    ) -> Result<Response<pb::DeleteFileResponse>, Status> {
        let who = caller(&request)?;
        let message = request.into_inner();
        let id = id(message.kind(), &message.name).map_err(ApiError::from)?;
        let membership = self.0.membership()?;
        let command = admission::delete_file(&who, id)?;
        membership.submit(&who, &message.request_id, command).await?;
        Ok(Response::new(pb::DeleteFileResponse {}))
    }
}

fn id(kind: pb::FileKind, name: &str) -> Result<FileId, InvalidMessage> {
    Ok(FileId { kind: kind.try_into()?, name: parse("name", name)? })
}

fn shown(state: &State, file: &NamedFile) -> pb::FileSummary {
    FileSummary {
        name: file.id.name.clone(),
        version: file.version,
        size: file.size,
        deployments: file.deployments.clone(),
        used_by: state.users_of(&file.id).map(|(d, s)| format!("{d}/{s}")).collect(),
        created_at: file.created_at,
        updated_at: file.updated_at,
    }
    .into()
}

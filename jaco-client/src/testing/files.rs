//! Secrets and configs of the fake: their contents are kept nowhere.

use jaco_api::{
    error::{ApiError, ErrorCode},
    pb::*,
};
use tonic::Request;

use super::{FakeCluster, services::Answer};

#[tonic::async_trait]
impl files_server::Files for FakeCluster {
    async fn set(&self, r: Request<SetFileRequest>) -> Answer<SetFileResponse> {
        let request = r.get_ref().clone();
        let call = format!("set {:?} {}", request.kind(), request.name);
        self.answer(&r, call, |t| {
            let row = t.files.entry((request.kind, request.name.clone())).or_default();
            *row = FileSummary {
                name: request.name,
                version: row.version + 1,
                size: request.content.len() as u64,
                deployments: request.deployments,
                ..row.clone()
            };
            Ok(SetFileResponse { file: Some(row.clone()), changed: true })
        })
    }
    async fn list(&self, r: Request<ListFilesRequest>) -> Answer<ListFilesResponse> {
        let kind = r.get_ref().kind;
        self.answer(&r, "files".into(), |t| {
            let files = t.files.iter().filter(|((of, _), _)| *of == kind);
            Ok(ListFilesResponse { files: files.map(|(_, file)| file.clone()).collect() })
        })
    }
    async fn delete(&self, r: Request<DeleteFileRequest>) -> Answer<DeleteFileResponse> {
        let request = r.get_ref().clone();
        self.answer(&r, format!("delete {}", request.name), |t| {
            t.files.remove(&(request.kind, request.name)).ok_or_else(|| {
                ApiError::new(ErrorCode::SecretNotFound, "there is no such secret or config")
            })?;
            Ok(DeleteFileResponse {})
        })
    }
}

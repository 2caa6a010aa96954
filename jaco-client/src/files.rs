//! Secrets and configs of the cluster.

use jaco_api::{
    model::{FileKind, FileName, FileSummary},
    pb,
};
use serde::Serialize;
use tonic::transport::Channel;

use crate::{Client, Error, call::request_id, retry::Repeat};

/// A secret or config to set.
#[derive(Clone, PartialEq, Eq)]
pub struct SetFile {
    /// Whether it is a secret.
    pub kind: FileKind,
    /// Its name.
    pub name: FileName,
    /// What containers find in it; at most 512 KiB.
    pub content: Vec<u8>,
    /// Globs of the deployments that may use it; empty means every one.
    pub deployments: Vec<String>,
}

impl std::fmt::Debug for SetFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SetFile({} {}, {} bytes)", self.kind, self.name, self.content.len())
    }
}

/// A secret or config that was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileSet {
    /// What it is.
    #[serde(flatten)]
    pub file: FileSummary,
    /// False when it was like that already. Otherwise the services that use it get new containers.
    pub changed: bool,
}

fn service(channel: Channel) -> pb::files_client::FilesClient<Channel> {
    pb::files_client::FilesClient::new(channel)
}

impl Client {
    /// Sets a secret or config. The services that use it are rolled when its content is new.
    ///
    /// # Errors
    /// `validation_failed` when it is too large, `permission_denied`.
    pub async fn set_file(&self, file: &SetFile) -> Result<FileSet, Error> {
        let request = pb::SetFileRequest {
            kind: pb::FileKind::from(file.kind).into(),
            name: file.name.to_string(),
            content: file.content.clone(),
            deployments: file.deployments.clone(),
            request_id: request_id(),
        };
        let answer = self
            .call(Repeat::Harmless, &request, |c, r| async move { service(c).set(r).await })
            .await?;
        let file = answer.file.ok_or_else(|| Error::answer("a file without its row"))?;
        Ok(FileSet { file: file.try_into().map_err(Error::answer)?, changed: answer.changed })
    }

    /// Every secret, or every config, without its content.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn files(&self, kind: FileKind) -> Result<Vec<FileSummary>, Error> {
        let request = pb::ListFilesRequest { kind: pb::FileKind::from(kind).into() };
        self.call(Repeat::Harmless, &request, |c, r| async move { service(c).list(r).await })
            .await?
            .files
            .into_iter()
            .map(|f| f.try_into().map_err(Error::answer))
            .collect()
    }

    /// Deletes a secret or config that no deployment uses.
    ///
    /// # Errors
    /// `secret_not_found`, or `conflict` with the deployments that use it.
    pub async fn delete_file(&self, kind: FileKind, name: &FileName) -> Result<(), Error> {
        let request = pb::DeleteFileRequest {
            kind: pb::FileKind::from(kind).into(),
            name: name.to_string(),
            request_id: request_id(),
        };
        self.call(Repeat::Harmless, &request, |c, r| async move { service(c).delete(r).await })
            .await
            .map(drop)
    }
}

//! Docker Engine 20.10 and newer, over its unix socket.
//!
//! The client is made, and its API version negotiated, when it is first needed and again whenever
//! [`version`](ContainerRuntime::version) is asked, so an engine may be replaced under a running
//! node. Decides nothing and remembers nothing else.

mod body;
mod containers;
mod error;
mod events;
mod exec;
mod files;
mod hijack;
mod images;
mod logs;
mod memory;
mod needs;
mod networks;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};
use jaco_api::model::Timestamp;

use self::error::Engine as _;
use crate::container::{
    AssignedFile, Connection, Container, ContainerRequest, ContainerRuntime, ContainerSummary,
    Credential, EngineVersion, EventStream, Exec, ExecCommand, ImageRef, Labels, LogQuery,
    LogStream, Network, NetworkRequest, PathInfo, PullProgress, RuntimeError, Stats, TarSource,
    TarStream, Volume, VolumeRequest,
};

/// Where the engine usually listens.
pub const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// API of Docker 20.10, the oldest that works.
const OLDEST: ClientVersion = ClientVersion { major_version: 1, minor_version: 41 };
/// An answer that takes longer will not come.
const PATIENCE: Duration = Duration::from_secs(120);
/// Stopping takes as long as the container's own grace, which may be long.
const STOP_PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Docker Engine over its unix socket. Clones share the client.
#[derive(Debug, Clone)]
pub struct DockerRuntime {
    socket: PathBuf,
    client: Arc<Mutex<Option<Docker>>>,
    files: memory::MemoryFiles,
}

impl DockerRuntime {
    /// The engine at `$DOCKER_HOST`, or at the usual socket.
    ///
    /// # Errors
    /// As [`Self::connect_to`].
    pub async fn connect() -> Result<Self, RuntimeError> {
        match std::env::var("DOCKER_HOST") {
            Ok(host) if !host.is_empty() => Self::connect_to(&host).await,
            _ => Self::connect_to(DEFAULT_SOCKET).await,
        }
    }

    /// The engine at a socket: a path or a `unix://` URL. It must answer.
    ///
    /// # Errors
    /// [`RuntimeError::BadEndpoint`], [`RuntimeError::Unreachable`] or
    /// [`RuntimeError::EngineTooOld`].
    pub async fn connect_to(endpoint: &str) -> Result<Self, RuntimeError> {
        let runtime = Self::lazy(endpoint)?;
        runtime.client().await?;
        Ok(runtime)
    }

    /// The engine at a socket, whether or not it answers now.
    ///
    /// # Errors
    /// [`RuntimeError::BadEndpoint`] when the text is no socket.
    pub fn lazy(endpoint: &str) -> Result<Self, RuntimeError> {
        let bad = |problem: &str| {
            let (endpoint, problem) = (endpoint.to_owned(), problem.to_owned());
            Err(RuntimeError::BadEndpoint { endpoint, problem })
        };
        let path = match endpoint.split_once("://") {
            Some(("unix", path)) => path,
            Some((scheme, _)) => {
                return bad(&format!("{scheme} is not supported, only unix sockets are"));
            }
            None => endpoint,
        };
        if !Path::new(path).is_absolute() {
            return bad("the path of the socket is not absolute");
        }
        let files = memory::MemoryFiles::default();
        Ok(Self { socket: PathBuf::from(path), client: Arc::default(), files })
    }

    /// Keeps secrets and configs of containers below this absolute path instead of
    /// `/run/jaco/files`: it becomes a tmpfs unless it is in one, and the engine sees the same files
    /// there. Two nodes of one host have two of them.
    #[must_use]
    pub fn files_at(mut self, directory: &Path) -> Self {
        self.files = memory::MemoryFiles::at(directory);
        self
    }

    /// Where the engine listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Docker>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client, its version negotiated.
    async fn client(&self) -> Result<Docker, RuntimeError> {
        let known = self.slot().clone();
        match known {
            Some(client) => Ok(client),
            None => self.negotiate().await,
        }
    }

    async fn negotiate(&self) -> Result<Docker, RuntimeError> {
        let path = self.socket.to_string_lossy();
        let client = Docker::connect_with_unix(&path, PATIENCE.as_secs(), API_DEFAULT_VERSION)
            .engine(self, "connect")?;
        let client = client.negotiate_version().await.engine(self, "version")?;
        let spoken = client.client_version();
        if (spoken.major_version, spoken.minor_version)
            < (OLDEST.major_version, OLDEST.minor_version)
        {
            let (found, needed) = (spoken.to_string(), OLDEST.to_string());
            return Err(RuntimeError::EngineTooOld { found, needed });
        }
        *self.slot() = Some(client.clone());
        Ok(client)
    }
}

#[async_trait]
impl ContainerRuntime for DockerRuntime {
    async fn ping(&self) -> Result<(), RuntimeError> {
        self.client().await?.ping().await.engine(self, "ping").map(drop)
    }

    async fn version(&self) -> Result<EngineVersion, RuntimeError> {
        let client = self.negotiate().await?;
        let version = client.version().await.engine(self, "version")?;
        let info = client.info().await.engine(self, "info")?;
        let name = version.platform.map(|p| p.name).filter(|n| !n.is_empty());
        let platform =
            format!("{}/{}", version.os.unwrap_or_default(), version.arch.unwrap_or_default());
        Ok(EngineVersion {
            name: name.unwrap_or_else(|| "Docker Engine".to_owned()),
            version: version.version.unwrap_or_default(),
            api: client.client_version().to_string(),
            platform,
            cpus: info.ncpu.and_then(|n| n.try_into().ok()).unwrap_or_default(),
            memory_bytes: info.mem_total.and_then(|n| n.try_into().ok()).unwrap_or_default(),
        })
    }

    async fn image_present(&self, image: &ImageRef) -> Result<bool, RuntimeError> {
        self.look_for_image(image).await
    }
    async fn image_fetched_at(&self, image: &ImageRef) -> Result<Option<Timestamp>, RuntimeError> {
        self.image_tagged_at(image).await
    }
    async fn pull(
        &self,
        image: &ImageRef,
        credential: Option<&Credential>,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), RuntimeError> {
        self.fetch_image(image, credential, progress).await
    }

    async fn networks(&self, labels: &Labels) -> Result<Vec<Network>, RuntimeError> {
        self.list_networks(labels).await
    }
    async fn create_network(&self, request: &NetworkRequest) -> Result<(), RuntimeError> {
        self.make_network(request).await
    }
    async fn remove_network(&self, id: &str) -> Result<(), RuntimeError> {
        self.drop_network(id).await
    }

    async fn volume(&self, name: &str) -> Result<Option<Volume>, RuntimeError> {
        self.look_for_volume(name).await
    }
    async fn create_volume(&self, request: &VolumeRequest) -> Result<(), RuntimeError> {
        self.make_volume(request).await
    }
    async fn remove_volume(&self, name: &str) -> Result<(), RuntimeError> {
        self.drop_volume(name).await
    }

    async fn list(&self, labels: &Labels) -> Result<Vec<ContainerSummary>, RuntimeError> {
        self.list_containers(labels).await
    }
    async fn inspect(&self, id: &str) -> Result<Container, RuntimeError> {
        self.inspect_container(id).await
    }
    async fn create(&self, request: &ContainerRequest) -> Result<String, RuntimeError> {
        self.make_container(request).await
    }
    async fn start(&self, id: &str) -> Result<(), RuntimeError> {
        self.start_container(id).await
    }
    async fn restore_files(&self, id: &str, files: &[AssignedFile]) -> Result<(), RuntimeError> {
        self.replace_files(id, files).await
    }
    async fn stop(&self, id: &str) -> Result<(), RuntimeError> {
        self.stop_container(id, None).await
    }
    async fn stop_within(&self, id: &str, most: Duration) -> Result<(), RuntimeError> {
        self.stop_container(id, Some(most)).await
    }
    async fn remove(&self, id: &str) -> Result<(), RuntimeError> {
        self.drop_container(id).await
    }

    async fn logs(&self, id: &str, query: &LogQuery) -> Result<LogStream, RuntimeError> {
        self.read_logs(id, query).await
    }
    async fn events(&self, labels: &Labels) -> Result<EventStream, RuntimeError> {
        self.subscribe(labels).await
    }
    async fn stats(&self, id: &str) -> Result<Stats, RuntimeError> {
        self.read_stats(id).await
    }

    async fn exec(&self, id: &str, request: &ExecCommand) -> Result<Exec, RuntimeError> {
        self.run_command(id, request).await
    }
    async fn path(&self, id: &str, path: &str) -> Result<PathInfo, RuntimeError> {
        self.look_at_path(id, path).await
    }
    async fn copy_out(&self, id: &str, path: &str) -> Result<TarStream, RuntimeError> {
        self.archive_of(id, path).await
    }
    async fn copy_in(&self, id: &str, path: &str, tar: TarSource) -> Result<(), RuntimeError> {
        self.unpack_in(id, path, tar).await
    }
    async fn connect(&self, id: &str, port: u16) -> Result<Connection, RuntimeError> {
        self.dial(id, port).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_path_or_a_unix_url() {
        for text in ["/run/docker.sock", "unix:///run/docker.sock"] {
            assert_eq!(DockerRuntime::lazy(text).unwrap().socket(), Path::new("/run/docker.sock"));
        }
        for text in ["tcp://10.0.0.1:2375", "docker.sock", "unix://docker.sock", ""] {
            let error = DockerRuntime::lazy(text).unwrap_err();
            assert!(matches!(error, RuntimeError::BadEndpoint { .. }), "{text}: {error}");
        }
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_unreachable() {
        let error = DockerRuntime::connect_to("/nonexistent/docker.sock").await.unwrap_err();
        assert!(error.is_unreachable(), "{error:?}");
    }
}

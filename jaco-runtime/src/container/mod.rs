//! The seam to a container engine: the trait and the plain values that cross it.
//!
//! Inputs are requests that are already decided ([`crate::spec`]); outputs are what the engine has
//! and did. An implementation makes no decision, keeps no memory of its own about what should be,
//! and never touches anything it was not named.

mod credentials;
mod error;
mod exec;
mod files;
mod labels;
mod types;

use std::time::Duration;

use async_trait::async_trait;
pub use credentials::{Credential, Credentials, NoCredentials, longest_prefix, registry_host};
pub use error::{Cause, RuntimeError};
pub use exec::{Exec, ExecControl, ExecOutput, ExecStream};
pub use files::{Connection, Duplex, TarSource, TarStream};
use jaco_api::model::Timestamp;
pub use jaco_api::model::{AssignedFile, ExecCommand, PathInfo, PathKind, Signal, TerminalSize};
pub use labels::{Labels, label};
pub use types::*;

/// One container engine.
///
/// Object safe: nodes hold an `Arc<dyn ContainerRuntime>`. Every method may be dropped at any
/// await; what the engine was asked to do by then may still happen. An engine that does not answer
/// is [`RuntimeError::Unreachable`] from every method, and later calls find it again by themselves.
/// Methods with a body are what a person at a terminal needs; an engine may be without them.
#[async_trait]
pub trait ContainerRuntime: Send + Sync + 'static {
    /// Whether the engine answers.
    async fn ping(&self) -> Result<(), RuntimeError>;
    /// What the engine is. Fails with [`RuntimeError::EngineTooOld`] when it cannot be used.
    async fn version(&self) -> Result<EngineVersion, RuntimeError>;

    /// Whether the engine has the image.
    async fn image_present(&self, image: &ImageRef) -> Result<bool, RuntimeError>;
    /// When the image that the engine has was last fetched or named; none when the engine does not
    /// say, or has none. A fetch that finds the same image at the registry need not count.
    async fn image_fetched_at(&self, image: &ImageRef) -> Result<Option<Timestamp>, RuntimeError> {
        let _ = image;
        Ok(None)
    }
    /// Fetches an image. A reference that exists nowhere is [`RuntimeError::ImageNotFound`].
    async fn pull(
        &self,
        image: &ImageRef,
        credential: Option<&Credential>,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), RuntimeError>;

    /// Networks that carry all these labels; none given means every network.
    async fn networks(&self, labels: &Labels) -> Result<Vec<Network>, RuntimeError>;
    /// Makes a network; [`RuntimeError::Conflict`] when one of this name exists.
    async fn create_network(&self, request: &NetworkRequest) -> Result<(), RuntimeError>;
    /// Removes a network by id; [`RuntimeError::Conflict`] while a container is attached.
    async fn remove_network(&self, id: &str) -> Result<(), RuntimeError>;

    /// A volume by name.
    async fn volume(&self, name: &str) -> Result<Option<Volume>, RuntimeError>;
    /// Makes a volume; one that exists is left as it is.
    async fn create_volume(&self, request: &VolumeRequest) -> Result<(), RuntimeError>;
    /// Removes a volume; [`RuntimeError::Conflict`] while a container mounts it.
    async fn remove_volume(&self, name: &str) -> Result<(), RuntimeError>;

    /// Containers in any state that carry all these labels.
    async fn list(&self, labels: &Labels) -> Result<Vec<ContainerSummary>, RuntimeError>;
    /// A container by id or name.
    async fn inspect(&self, id: &str) -> Result<Container, RuntimeError>;
    /// Makes a container with its files, attached to all its networks, and returns its id. All or
    /// nothing. An engine that cannot keep files in memory answers [`RuntimeError::Unsupported`] to a
    /// request with some.
    async fn create(&self, request: &ContainerRequest) -> Result<String, RuntimeError>;
    /// Starts it; a running one is left as it is.
    async fn start(&self, id: &str) -> Result<(), RuntimeError>;
    /// Puts those files of a container that does not run in place again which were lost from memory
    /// since it was made, as they are in a reboot.
    async fn restore_files(&self, id: &str, files: &[AssignedFile]) -> Result<(), RuntimeError> {
        let _ = id;
        match files {
            [] => Ok(()),
            _ => Err(RuntimeError::Unsupported { operation: "keep files in memory" }),
        }
    }
    /// Stops it with its own signal and grace; returns when it has stopped.
    async fn stop(&self, id: &str) -> Result<(), RuntimeError>;
    /// Stops it with its own signal and kills it after this time at the latest, in whole seconds. An
    /// engine that knows no other time than the container's own takes that.
    async fn stop_within(&self, id: &str, most: Duration) -> Result<(), RuntimeError> {
        let _ = most;
        self.stop(id).await
    }
    /// Removes it with its anonymous volumes; kills it when it runs.
    async fn remove(&self, id: &str) -> Result<(), RuntimeError>;

    /// What it wrote. Without `follow` the stream ends with what there is.
    async fn logs(&self, id: &str, query: &LogQuery) -> Result<LogStream, RuntimeError>;
    /// What happens to containers with all these labels. Everything that happens after this call
    /// has returned is in the stream, and possibly a little of what was before. The stream ends
    /// with an error, or simply ends, when the engine goes away.
    async fn events(&self, labels: &Labels) -> Result<EventStream, RuntimeError>;
    /// What a running container uses now.
    async fn stats(&self, id: &str) -> Result<Stats, RuntimeError>;

    /// Runs a command in a running container; [`RuntimeError::NotRunning`] in another one. That it
    /// cannot be started is told by [`ExecControl::wait`].
    async fn exec(&self, id: &str, request: &ExecCommand) -> Result<Exec, RuntimeError> {
        let _ = (id, request);
        Err(RuntimeError::Unsupported { operation: "run commands in containers" })
    }
    /// What is at an absolute path of a container, whether or not that runs; a link is not
    /// followed. Nothing there is [`RuntimeError::NoSuchPath`].
    async fn path(&self, id: &str, path: &str) -> Result<PathInfo, RuntimeError> {
        let _ = (id, path);
        Err(RuntimeError::Unsupported { operation: "look at files of containers" })
    }
    /// What is at a path with everything below it, as a tar archive whose first entry is named by
    /// the last part of the path.
    async fn copy_out(&self, id: &str, path: &str) -> Result<TarStream, RuntimeError> {
        let _ = (id, path);
        Err(RuntimeError::Unsupported { operation: "copy files out of containers" })
    }
    /// Unpacks a tar archive in a directory that exists.
    async fn copy_in(&self, id: &str, path: &str, tar: TarSource) -> Result<(), RuntimeError> {
        let _ = (id, path, tar);
        Err(RuntimeError::Unsupported { operation: "copy files into containers" })
    }
    /// Connects to a TCP port of a running container over its network on this host.
    async fn connect(&self, id: &str, port: u16) -> Result<Connection, RuntimeError> {
        let _ = (id, port);
        Err(RuntimeError::Unsupported { operation: "connect to ports of containers" })
    }
}

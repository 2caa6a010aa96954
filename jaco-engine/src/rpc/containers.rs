//! What the API does with containers of this node.
//!
//! A seam to the part of the node that knows container engines. Containers are named by their id in
//! the engine; [`Containers::check`] comes first, so that an id that is somebody else's container
//! opens nothing.

use std::{io, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{future::BoxFuture, stream::BoxStream};
use jaco_api::{
    error::ApiError,
    model::{
        ClusterId, ExecCommand, NodeUsage, PathInfo, ReplicaId, ReplicaUsage, Signal, TerminalSize,
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};

/// What goes to a command that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandInput {
    /// For its standard input.
    Stdin(Bytes),
    /// Its standard input is at its end.
    End,
    /// Its terminal has another size.
    Resize(TerminalSize),
    /// Told to its process.
    Signal(Signal),
}

/// What comes of a command that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandOutput {
    /// From its standard output, or its terminal.
    Stdout(Bytes),
    /// From its standard error.
    Stderr(Bytes),
    /// It has ended with this exit code. Nothing follows.
    Exited(i64),
}

/// A command that runs.
pub struct RunningCommand {
    /// What comes of it; the last item is its exit code, or why it has none. A command whose output
    /// is dropped is sent a hangup.
    pub output: mpsc::Receiver<Result<CommandOutput, ApiError>>,
    /// What carries input and output: to be run by a task of its own.
    pub work: BoxFuture<'static, ()>,
}

/// A connection to a port of a container.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A tar archive in pieces.
pub type Archive = BoxStream<'static, Result<Bytes, ApiError>>;

/// A tar archive that is on its way to a container; an error breaks it off.
pub type IncomingArchive = BoxStream<'static, io::Result<Bytes>>;

/// What a node and some of its replicas use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurement {
    /// The node.
    pub node: NodeUsage,
    /// Replicas, each with what it uses or why that is not known.
    pub replicas: Vec<(ReplicaId, Result<ReplicaUsage, ApiError>)>,
}

/// Containers of this node, by their ids in the engine.
#[async_trait]
pub trait Containers: Send + Sync {
    /// Refuses a container that is not the replica's, in this cluster.
    ///
    /// # Errors
    /// `replica_not_found`, or what the engine answers.
    async fn check(
        &self,
        cluster: ClusterId,
        replica: &ReplicaId,
        container: &str,
    ) -> Result<(), ApiError>;
    /// Runs a command. The end of `input` is the end of its standard input.
    ///
    /// # Errors
    /// `replica_not_running`, or what the engine answers. That the command cannot be started is
    /// told by its output.
    async fn run(
        &self,
        container: &str,
        command: ExecCommand,
        input: BoxStream<'static, CommandInput>,
    ) -> Result<RunningCommand, ApiError>;
    /// What is at a path.
    ///
    /// # Errors
    /// `path_not_found`.
    async fn path(&self, container: &str, path: &str) -> Result<PathInfo, ApiError>;
    /// What is at a path with everything below it.
    ///
    /// # Errors
    /// `path_not_found`.
    async fn copy_out(&self, container: &str, path: &str) -> Result<Archive, ApiError>;
    /// Unpacks an archive in a directory.
    ///
    /// # Errors
    /// `path_not_found`, `validation_failed` when the path is no directory.
    async fn copy_in(
        &self,
        container: &str,
        path: &str,
        tar: IncomingArchive,
    ) -> Result<(), ApiError>;
    /// Connects to a TCP port.
    ///
    /// # Errors
    /// `port_unreachable`, `replica_not_running`.
    async fn connect(&self, container: &str, port: u16) -> Result<Box<dyn Duplex>, ApiError>;
    /// Measures the node and these containers for as long as `interval`.
    ///
    /// # Errors
    /// When the node itself cannot be measured.
    async fn measure(
        &self,
        interval: Duration,
        containers: Vec<(ReplicaId, String)>,
    ) -> Result<Measurement, ApiError>;
}

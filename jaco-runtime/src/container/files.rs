//! Files of a container, and connections to its ports.

use std::{fmt, io, pin::Pin};

use bytes::Bytes;
use futures::Stream;
use jaco_api::model::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};

use super::RuntimeError;

/// What is at a path in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathInfo {
    /// Last part of its path.
    pub name: String,
    /// What it is.
    pub kind: PathKind,
    /// Its size in bytes, for a file.
    pub size: u64,
    /// Its permissions, as `chmod` takes them.
    pub mode: u32,
    /// When it was last changed.
    pub modified: Option<Timestamp>,
}

/// What kind of thing is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, with the path in the container it leads to.
    Link(String),
    /// A device, a pipe or a socket.
    Other,
}

/// A tar archive in pieces, from an engine.
pub type TarStream = Pin<Box<dyn Stream<Item = Result<Bytes, RuntimeError>> + Send>>;

/// A tar archive in pieces, for an engine; an error breaks it off.
pub type TarSource = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// What a connection is read from and written to.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection to a port of a container.
pub struct Connection(pub Box<dyn Duplex>);

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

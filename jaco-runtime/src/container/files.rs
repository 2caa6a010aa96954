//! Files of a container, and connections to its ports.

use std::{fmt, io, pin::Pin};

use bytes::Bytes;
use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite};

use super::RuntimeError;

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

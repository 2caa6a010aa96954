//! HTTP/1.1 as it is spoken to replicas (RFC 9112).
//!
//! The exchange with a replica runs in the task of the visitor who asked: nothing is handed from task to task, and a
//! connection that waits for its next request has none. What is written and how an answer is read is decided without
//! I/O, in `request`, `response` and `decoder`. Visitors are spoken to by hyper.

mod answer;
mod connection;
mod decoder;
mod memory;
mod request;
mod response;
mod upload;

pub(crate) use answer::Answer;
pub(crate) use connection::{Connection, Exchanged, exchange};
pub(crate) use request::Request;
pub(crate) use upload::Upload;
#[cfg(feature = "testing")]
pub(crate) use {decoder::Decoded, memory::Memory, response::read};

use super::body::BodyFault;

/// Why an exchange came to no good end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the connection to the replica failed")]
    Connection(#[from] std::io::Error),
    #[error("the replica closed the connection before its answer was whole")]
    Closed,
    #[error("the answer of the replica cannot be read: {0}")]
    Malformed(&'static str),
    #[error(transparent)]
    Request(#[from] BodyFault),
}

//! The gRPC services.
//!
//! In: requests over the local socket, TLS, or in process. Out: answers and streams. A request is
//! admitted by the gate before its handler sees it; handlers translate between messages and the
//! model, ask [`admission`](crate::admission) for a command and hand it to
//! [`submit`](crate::submit). They decide nothing themselves and know nothing of container engines.

mod api;
mod audit;
mod cluster;
mod connection;
mod deploy;
mod gate;
mod logs;
mod nodes;
mod rows;
mod server;
mod stream;
mod token;
mod unix;
mod watch;

pub use api::{Api, Founded, Founder, Membership};
pub use connection::{Accepted, duplex, local, remote};
pub use logs::{LogLine, LogQuery, LogSource, ReplicaOutput};
pub use server::{Server, client};
pub use unix::{SocketError, UnixSocket};

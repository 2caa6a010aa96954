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
mod join;
mod leader;
mod logs;
mod nodes;
mod overview;
mod rekey;
mod rows;
mod server;
mod stream;
mod token;
mod unix;
mod watch;

pub use api::{Api, Founded, Founder, Joined, Membership};
pub use connection::{Accepted, duplex, local, remote};
pub(crate) use join::Gate;
pub use logs::{LogLine, LogQuery, LogSource, ReplicaOutput};
pub(crate) use rekey::ClusterKeys;
pub use server::{Server, client};
pub use unix::{SocketError, UnixSocket};

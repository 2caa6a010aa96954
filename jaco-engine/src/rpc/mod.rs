//! The gRPC services.
//!
//! In: requests over the local socket, TLS, or in process. Out: answers and streams. A request is
//! admitted by the gate before its handler sees it; handlers translate between messages and the
//! model, ask [`admission`](crate::admission) for a command and hand it to
//! [`submit`](crate::submit). They decide nothing themselves and know nothing of container engines.

mod api;
mod audit;
mod certs;
mod cluster;
mod connection;
mod containers;
mod deploy;
mod diagnose;
mod doctor;
mod exec;
mod files;
mod gate;
mod join;
mod leader;
mod logs;
mod mesh;
mod nodes;
mod overview;
mod rekey;
mod relay;
mod routes;
mod rows;
mod server;
mod serving;
mod stream;
mod token;
mod unix;
mod usage;
mod watch;

pub use api::{Api, Founded, Founder, Joined, Membership};
#[cfg(test)]
pub(crate) use connection::from_member;
pub use connection::{Accepted, duplex, local, remote};
pub use containers::{
    Archive, CommandInput, CommandOutput, Containers, Duplex, IncomingArchive, Measurement,
    RunningCommand,
};
pub use doctor::Doctor;
pub(crate) use join::Gate;
pub use logs::{LogLine, LogQuery, LogSource, ReplicaOutput};
pub use mesh::OwnMesh;
pub(crate) use rekey::ClusterKeys;
pub use relay::Peers;
pub use server::{Server, client};
pub use serving::OwnServing;
pub(crate) use serving::{led_away, led_away_by};
pub use unix::{SocketError, UnixSocket};

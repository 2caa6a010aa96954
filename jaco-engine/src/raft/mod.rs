//! openraft behind the `RaftStorage` and `PeerTransport` seams.
//!
//! In: encoded commands from [`submit`](crate::submit) and calls of other members. Out: states on
//! the [`watch`](crate::watch), outcomes for whoever proposed, the [`RaftStatus`]. It decides
//! nothing about the cluster and knows nothing of what commands mean.

mod contacts;
mod desk;
mod enrol;
mod error;
mod follow;
pub(crate) mod format;
mod grpc;
mod handle;
mod log_store;
mod machine;
mod network;
mod options;
mod server;
mod service;
mod status;
pub mod storage;
mod transport;
mod types;
pub mod voters;
mod writer;

pub use desk::{Ask, Desk, NoDesk, Told};
pub use error::{FormatError, RaftError};
pub use grpc::GrpcTransport;
pub use handle::Raft;
pub use options::{RaftOptions, RaftTiming};
pub use server::{Identify, PeerServer};
pub use service::PeerService;
pub use status::{MemberStatus, RaftStatus};
pub use storage::{DiskStorage, MemoryStorage, RaftStorage};
pub use transport::{Admits, PeerReply, PeerRequest, PeerTransport, TransportError};
pub use types::{Member, Peer};
#[cfg(test)]
mod tests;

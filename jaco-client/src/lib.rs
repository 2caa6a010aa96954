#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod again;
mod audit;
mod builder;
mod call;
mod certs;
mod client;
mod cluster;
mod copy;
mod deploy;
mod doctor;
mod endpoint;
mod error;
mod exec;
mod files;
mod follow;
mod forward;
mod logs;
mod node;
mod retry;
mod routes;
mod status_view;
#[cfg(feature = "testing")]
pub mod testing;
mod token;
mod top;
mod trust;
mod wait;
mod watch;

pub use audit::AuditFilter;
pub use builder::{Builder, DEFAULT_SOCKET, Notice};
pub use certs::{CertChanged, ImportCert};
pub use client::Client;
pub use cluster::{Initialized, Joined};
pub use deploy::{Applied, Apply, Changed, Deleted, Fetched, RevisionSummary, RolledBack};
pub use error::{Error, InvalidEndpoint};
pub use exec::{Deaf, Exec, ExecEvent, ExecInput, ExecOutput, ReplicaPlace, ReplicaTarget};
pub use files::{FileSet, SetFile};
pub use forward::Forwarded;
pub use jaco_api::{error::ApiError, error::ErrorCode, model};
pub use logs::{LogBatch, LogGap, LogLine, LogQuery};
pub use node::{JoinToken, NodeDetail, NodeLoad, NodeSummary, TaskState};
pub use status_view::StatusView;
pub use token::{IssueToken, IssuedToken};
pub use top::{NodeTop, ReplicaTop, Top};
pub use trust::{InvalidFingerprint, Trust};
pub use wait::{Goal, NodeGoal, Verdict, Wait, WaitResult};
pub use watch::{EventQuery, StatusBatch, StatusQuery};

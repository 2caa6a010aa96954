//! What can go wrong with the raft group on this node.

use std::{io, sync::Arc};

use jaco_api::model::NodeId;

use super::storage::StorageError;
use crate::{command::DecodeError, state::snapshot::SnapshotError};

/// Why this node's raft cannot start, go on or do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RaftError {
    /// The log cannot be kept or read.
    #[error("the raft log has failed")]
    Storage(#[from] Arc<StorageError>),
    /// What was read from the log is not what was written there.
    #[error("the raft log holds something unreadable")]
    Format(#[from] FormatError),
    /// An entry cannot be applied by this version.
    #[error("entry {index} cannot be applied")]
    Entry {
        /// Its place in the log.
        index: u64,
        /// Why.
        source: DecodeError,
    },
    /// A snapshot cannot be taken over by this version.
    #[error("a snapshot cannot be taken over")]
    Snapshot(#[from] SnapshotError),
    /// The timing does not fit together.
    #[error("the raft settings do not fit together")]
    Settings(#[source] openraft::ConfigError),
    /// The group was formed already.
    #[error("the raft group exists already")]
    AlreadyInitialized,
    /// Only the leader can do this, and it is somebody else.
    #[error("another node leads")]
    NotLeader {
        /// Who, if that is known.
        leader: Option<NodeId>,
    },
    /// A change of the members is under way, or the one asked for is not possible.
    #[error("the members cannot be changed now")]
    Membership(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// openraft has stopped.
    #[error("raft has stopped")]
    Stopped(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It did not happen in time.
    #[error("{what} took too long")]
    TimedOut {
        /// What was waited for.
        what: &'static str,
    },
}

/// Bytes that are not what they should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Not of this format.
    #[error("malformed bytes")]
    Malformed(#[source] postcard::Error),
    /// Voters that are no members.
    #[error("a member list with voters that are not in it")]
    Members,
}

/// openraft's storage traits speak `io::Error`; the cause stays inside.
pub(super) fn io_error(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(cause)
}

impl From<RaftError> for jaco_api::error::ApiError {
    fn from(error: RaftError) -> Self {
        use jaco_api::error::{ApiError, ErrorCode};
        let code = match &error {
            RaftError::NotLeader { .. } | RaftError::Stopped(_) => ErrorCode::NoLeader,
            RaftError::Entry { .. } | RaftError::Snapshot(_) => ErrorCode::VersionMismatch,
            RaftError::Membership(_) => ErrorCode::Conflict,
            _ => ErrorCode::Internal,
        };
        let shown = ApiError::new(code, error.to_string());
        match std::error::Error::source(&error) {
            Some(source) => shown.with("cause", source),
            None => shown,
        }
    }
}

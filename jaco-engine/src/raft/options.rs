//! What a node needs to take part in the group, and how quickly the group acts.

use std::{fmt, sync::Arc, time::Duration};

use jaco_api::model::NodeId;
use openraft::{Config, SnapshotPolicy};

use super::{desk::Desk, error::RaftError, storage::RaftStorage, transport::PeerTransport};
use crate::clock::Clock;

/// How quickly the group notices and acts, and when it compacts its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaftTiming {
    /// Between two signs of life of the leader.
    pub heartbeat: Duration,
    /// Shortest and longest silence after which somebody else stands for election, counted from the
    /// end of the leader's lease, which is as long as the longest.
    pub election: (Duration, Duration),
    /// Entries between two snapshots.
    pub snapshot_every: u64,
    /// Entries in the snapshot that stay in the log for members that lag a little.
    pub keep: u64,
}

impl Default for RaftTiming {
    /// A lost leader is replaced within 1.8 to 2.3 seconds.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(250),
            election: (Duration::from_millis(700), Duration::from_millis(1_100)),
            snapshot_every: 5_000,
            keep: 1_000,
        }
    }
}

impl RaftTiming {
    /// openraft's settings.
    pub(super) fn config(&self) -> Result<Config, RaftError> {
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Config {
            cluster_name: "jaco".to_owned(),
            heartbeat_interval: ms(self.heartbeat),
            election_timeout_min: ms(self.election.0),
            election_timeout_max: ms(self.election.1),
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_every),
            max_in_snapshot_log_to_keep: self.keep,
            // Log reads of a member that lags further are replaced by a snapshot.
            replication_lag_threshold: self.snapshot_every + self.keep,
            max_payload_entries: 64,
            install_snapshot_timeout: 60_000,
            enable_pre_vote: Some(true),
            // The committed index is not flushed with every entry: only an election tells.
            enable_leader_restore: Some(false),
            backoff: "50ms 100ms 200ms ...500ms".to_owned(),
            ..Config::default()
        }
        .validate()
        .map_err(RaftError::Settings)
    }
}

/// What a node needs to take part.
pub struct RaftOptions {
    /// Its number in the group.
    pub id: NodeId,
    /// Where the log is kept.
    pub storage: Arc<dyn RaftStorage>,
    /// How other members are reached.
    pub transport: Arc<dyn PeerTransport>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How quickly it notices.
    pub timing: RaftTiming,
    /// What answers members' other questions.
    pub desk: Arc<dyn Desk>,
}

impl fmt::Debug for RaftOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RaftOptions").field("id", &self.id).field("timing", &self.timing).finish()
    }
}

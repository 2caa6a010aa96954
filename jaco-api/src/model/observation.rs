//! What a node sees of its replicas.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use serde::{Deserialize, Serialize};

use super::{Digest, NetworkName, NodeId, ReplicaId, Sealed, Timestamp};
use crate::error::ErrorCode;

/// Where a replica is, as its node sees it.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaState {
    /// Not begun: waits for a node or a dependency.
    #[default]
    Pending,
    /// Its image is being fetched.
    Pulling,
    /// Its container is started and not yet healthy.
    Starting,
    /// Runs and is healthy.
    Running,
    /// Runs and is unhealthy, or exited and waits for its restart.
    Degraded,
    /// Is being replaced.
    Updating,
    /// Is being stopped.
    Stopping,
    /// Was stopped.
    Stopped,
    /// Given up until the next apply or restart.
    Failed,
    /// Its node is gone.
    Lost,
    /// A job that ended well.
    Completed,
}

impl ReplicaState {
    /// Every state, in the order of a replica's life.
    pub const ALL: [Self; 11] = [
        Self::Pending,
        Self::Pulling,
        Self::Starting,
        Self::Running,
        Self::Degraded,
        Self::Updating,
        Self::Stopping,
        Self::Stopped,
        Self::Failed,
        Self::Lost,
        Self::Completed,
    ];

    /// The stable snake_case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Pulling => "pulling",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Degraded => "degraded",
            Self::Updating => "updating",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Completed => "completed",
        }
    }
}

impl fmt::Display for ReplicaState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the health check says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// There is no check, or no container.
    #[default]
    None,
    /// The check has not decided yet.
    Starting,
    /// The check passes.
    Healthy,
    /// The check fails.
    Unhealthy,
}

/// Why a replica is not simply running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The code of the failure; absent when the replica only waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ErrorCode>,
    /// The explanation, with the engine's own words where there are any.
    pub message: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{code}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// What a node sees of one replica. Two equal observations are not reported twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Generation of the container that was seen; decisions ignore all but the present one.
    pub generation: u64,
    /// Where the replica is.
    pub state: ReplicaState,
    /// What the health check says.
    pub health: Health,
    /// Why it is not simply running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Id of the container in the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Exit code of the last end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// True when the kernel killed it for lack of memory.
    #[serde(default)]
    pub oom_killed: bool,
    /// Restarts of this generation by its node.
    #[serde(default)]
    pub restarts: u32,
    /// When the container started, by the engine's clock; for display only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Failed attempts to fetch the image in a row, counted up to 3.
    #[serde(default)]
    pub pull_failures: u32,
    /// Its address in each network, while it runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses: BTreeMap<NetworkName, IpAddr>,
}

/// One replica's part of a [`Report`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaReport {
    /// The replica.
    pub id: ReplicaId,
    /// What is seen of it; absent when its container is gone and it was to be removed.
    pub observation: Option<Observation>,
    /// Result of fetching the image of the next generation, when that was asked for, with the digest
    /// of the container document it was asked for: one that was asked for before does not count.
    pub prepared: Option<(Digest, Result<(), Reason>)>,
    /// The last lines of output of a container that failed, sealed.
    pub log_tail: Option<Sealed>,
}

/// Changes a node has seen since the state it acts on; nothing that is already there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The node.
    pub node: NodeId,
    /// Changed replicas.
    pub replicas: Vec<ReplicaReport>,
    /// Volumes that were to be removed and are gone, by engine name.
    pub removed_volumes: Vec<String>,
}

//! What people and programs are shown: derived from state, never stored.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::{Deserialize, Serialize};

use super::{
    ClusterId, CronStatus, DeploymentName, Health, Hidden, NodeId, NodeName, NodeStatus, Reason,
    ReplicaId, ReplicaState, RolloutPhase, RouteSpec, ServiceName, Timestamp,
};

/// A node's part in raft.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RaftRole {
    /// Orders the log.
    Leader,
    /// Votes.
    Voter,
    /// Only follows.
    #[default]
    Learner,
}

/// A member in [`ClusterStatus`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// Raft number.
    pub id: NodeId,
    /// Name.
    pub name: NodeName,
    /// Address of the operator API.
    pub address: SocketAddr,
    /// Whether it may run work.
    pub status: NodeStatus,
    /// Why it is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Part in raft.
    pub role: RaftRole,
    /// Entries it is behind the leader; absent where unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
    /// Milliseconds since it was last heard of; absent where unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_contact_ms: Option<u64>,
    /// JACO version.
    pub version: String,
}

/// Answer to `jaco cluster status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// False before `cluster init` or `node join`.
    pub initialized: bool,
    /// Name of the answering node.
    pub node: String,
    /// JACO version of the answering node.
    pub version: String,
    /// The cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<ClusterId>,
    /// SHA-256 of the CA certificate, as `sha256:<hex>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_fingerprint: Option<String>,
    /// Name of the leader, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<NodeName>,
    /// Raft term.
    pub term: u64,
    /// Highest index known to be committed.
    pub commit_index: u64,
    /// Highest index the answering node has applied.
    pub applied_index: u64,
    /// Members by name.
    pub members: Vec<MemberStatus>,
    /// Where blocks of addresses for networks come from, in order of their use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub address_pools: Vec<super::PoolStatus>,
    /// Where services have their addresses from: addresses, not blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_pool: Option<super::PoolStatus>,
}

/// Where a deployment is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    /// Something is not placed or not started yet.
    #[default]
    Pending,
    /// A rollout is under way.
    Updating,
    /// Everything runs as wanted.
    Active,
    /// Some replicas do not run as wanted.
    Degraded,
    /// A service has no replica left that could run.
    Failed,
    /// Stopped by `jaco stop`.
    Stopped,
    /// Is being deleted.
    Deleting,
    /// Runs at its times; of a service only.
    Scheduled,
}

/// A service in [`DeploymentStatus`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Name.
    pub name: ServiceName,
    /// Image of the revision in force.
    pub image: String,
    /// Replicas wanted; for a job, completions.
    pub desired: u32,
    /// Replicas that run and are healthy, or have completed.
    pub running: u32,
    /// Replicas that are of the revision in force.
    pub updated: u32,
    /// Where it is.
    pub state: DeploymentState,
    /// Why it is not active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its schedule and its runs, if it runs at times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<CronStatus>,
}

/// A rollout in [`DeploymentStatus`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutStatus {
    /// The revision that is replaced.
    pub from: u64,
    /// The revision that replaces it.
    pub to: u64,
    /// How far it is.
    pub phase: RolloutPhase,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A deployment, as `jaco status` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentStatus {
    /// Name.
    pub name: DeploymentName,
    /// Revision in force.
    pub revision: u64,
    /// Where it is.
    pub state: DeploymentState,
    /// Why it is not active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Services by name.
    pub services: Vec<ServiceStatus>,
    /// The latest rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,
    /// Routes.
    pub routes: Vec<RouteSpec<Hidden>>,
    /// When it was first applied.
    pub created_at: Timestamp,
    /// When the revision in force was made.
    pub updated_at: Timestamp,
}

/// A replica, as `jaco status` and `jaco get replica` show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaStatus {
    /// Identifier.
    pub id: ReplicaId,
    /// Its node.
    pub node: NodeName,
    /// Where it is.
    pub state: ReplicaState,
    /// What the health check says.
    pub health: Health,
    /// Why it is not simply running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Rises whenever the container must be a new one.
    pub generation: u64,
    /// The revision of this generation.
    pub revision: u64,
    /// Image.
    pub image: String,
    /// Id of the container in the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Restarts of this generation.
    pub restarts: u32,
    /// Exit code of the last end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// True when the kernel killed it for lack of memory.
    #[serde(default)]
    pub oom_killed: bool,
    /// When its container started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it entered its state.
    pub since: Timestamp,
    /// The last lines of output of a failed container; only in `get replica`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_tail: Vec<String>,
    /// The tick that it is the run of, if its service runs at times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tick: Option<Timestamp>,
}

/// What would happen to one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Added,
    /// It changes.
    Changed,
    /// It goes.
    Removed,
}

/// One line of a dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What would happen.
    pub change: Change,
    /// To what: `service web`, `network default`, `route shop.example/`, `volume data`.
    pub subject: String,
    /// Fields that change: path to (old, new); secrets are shown as `•••` unless asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, (Option<String>, Option<String>)>,
    /// What it means for replicas: `2 replicas replaced, start-first`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
}

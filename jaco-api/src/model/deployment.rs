//! Deployments, their revisions and rollouts.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{
    Actor, ContainerSpec, DeploymentName, Digest, NetworkName, Password, RouteSpec, ServiceName,
    ServiceSchedule, Ticks, Timestamp, VolumeName,
};

/// A network of a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkSpec {
    /// True when it has no route out.
    pub internal: bool,
    /// The user's labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Options of the engine's bridge driver.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_opts: BTreeMap<String, String>,
}

impl NetworkSpec {
    /// The network's name in the engine: `jaco_<deployment>_<network>`.
    #[must_use]
    pub fn engine_name(deployment: &DeploymentName, network: &NetworkName) -> String {
        format!("jaco_{deployment}_{network}")
    }
}

/// A volume of a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeSpec {
    /// The volume's name in the engine.
    pub engine_name: String,
    /// True when the engine must already have it; never removed by JACO.
    pub external: bool,
    /// Driver; empty means `local`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// Options of the driver.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_opts: BTreeMap<String, String>,
    /// The user's labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl VolumeSpec {
    /// The default name in the engine: `jaco_<deployment>_<volume>`.
    #[must_use]
    pub fn engine_name(deployment: &DeploymentName, volume: &VolumeName) -> String {
        format!("jaco_{deployment}_{volume}")
    }
}

/// A resolved and checked manifest: what `apply` puts into the cluster.
///
/// `services` pairs what the scheduler needs (kept in the clear) with what the container is made
/// of (kept sealed).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestDocument {
    /// The deployment's name.
    pub deployment: DeploymentName,
    /// Services by name.
    pub services: BTreeMap<ServiceName, (ServiceSchedule, ContainerSpec)>,
    /// Networks in use, by compose key; always with `default` when a service uses it.
    pub networks: BTreeMap<NetworkName, NetworkSpec>,
    /// Volumes in use, by compose key.
    pub volumes: BTreeMap<VolumeName, VolumeSpec>,
    /// Routes, in the order of the manifest.
    pub routes: Vec<RouteSpec<Password>>,
    /// Address that its certificates are obtained with; absent means the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acme_email: Option<String>,
}

/// A service of a revision: its schedule and the digest of its sealed container document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedService {
    /// What the scheduler knows.
    pub schedule: ServiceSchedule,
    /// Digest of the [`ContainerSpec`]: a replica with another one is replaced.
    pub container: Digest,
    /// Rises with every `restart`; a replica with a lower one is replaced.
    pub epoch: u64,
}

/// What caused a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevisionOrigin {
    /// `apply`.
    Apply,
    /// `rollback`, to this revision.
    Rollback(u64),
    /// A failed rollout restored this revision.
    AutoRollback(u64),
    /// `scale`.
    Scale,
}

impl fmt::Display for RevisionOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apply => f.pad("apply"),
            Self::Rollback(n) => f.pad(&format!("rollback to {n}")),
            Self::AutoRollback(n) => f.pad(&format!("automatic rollback to {n}")),
            Self::Scale => f.pad("scale"),
        }
    }
}

/// One version of a deployment's content. Never changed, only added and aged out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Its number: 1, 2, 3 … without gap or repetition in the life of a deployment.
    pub number: u64,
    /// What caused it.
    pub origin: RevisionOrigin,
    /// Who caused it.
    pub actor: Actor,
    /// When it was proposed.
    pub at: Timestamp,
    /// Services by name.
    pub services: BTreeMap<ServiceName, PlannedService>,
    /// Networks in use.
    pub networks: BTreeMap<NetworkName, NetworkSpec>,
    /// Volumes in use.
    pub volumes: BTreeMap<VolumeName, VolumeSpec>,
    /// Routes.
    pub routes: Vec<RouteSpec>,
    /// Address that its certificates are obtained with; absent means the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acme_email: Option<String>,
}

/// Where a deployment is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentPhase {
    /// Its replicas are wanted.
    #[default]
    Running,
    /// `stop`: nothing runs, everything is kept.
    Stopped,
    /// `delete`: goes when its last replica is gone.
    Deleting {
        /// Whether its volumes go too.
        volumes: bool,
    },
}

/// How far a rollout is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutPhase {
    /// Replacing replicas.
    #[default]
    Rolling,
    /// Stopped by `failure_action: pause`.
    Paused,
    /// Restoring the previous revision after a failure.
    RollingBack,
    /// Every replica is current.
    Completed,
    /// Given up; the previous revision is the present one again, or there is none.
    Failed,
}

/// The change from one revision to the next. Kept after its end, until the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// The revision that is replaced; 0 for the first deployment.
    pub from: u64,
    /// The revision that replaces it.
    pub to: u64,
    /// How far it is.
    pub phase: RolloutPhase,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When the last step was taken, by service: `delay` counts from there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub last_step: BTreeMap<ServiceName, Timestamp>,
    /// Failed replacements by service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<ServiceName, u32>,
    /// Why it failed, in the words of the engine or the health check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A deployment: a name, its revisions and what is to become of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Unique name.
    pub name: DeploymentName,
    /// Number of the revision in force.
    pub revision: u64,
    /// Highest revision number ever given out.
    pub last_revision: u64,
    /// Where it is in its life.
    pub phase: DeploymentPhase,
    /// The latest rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// Highest replica index ever given out, by service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub last_index: BTreeMap<ServiceName, u32>,
    /// Rises with every change to the deployment or its replicas; guards scheduler batches.
    pub version: u64,
    /// When it was first applied.
    pub created_at: Timestamp,
    /// Why replicas cannot be placed, by service; written when it changes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unplaced: BTreeMap<ServiceName, String>,
    /// What was decided about the ticks of services that run at times.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ticks: BTreeMap<ServiceName, Ticks>,
}

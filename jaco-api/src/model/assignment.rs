//! Everything one node must do, as plain data.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    Beside, ClusterId, ContainerSpec, DeploymentName, FileContent, Mode, NetworkName, NetworkSpec,
    NodeName, Observation, ReplicaId, RestartPolicy, Span, Timestamp,
};

/// What is to become of a replica.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// Its container is to run.
    #[default]
    Run,
    /// Its container is to be stopped and removed.
    Remove,
}

/// A file that a container is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedFile {
    /// Absolute path in the container.
    pub target: String,
    /// What is in it.
    pub content: FileContent,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

/// One replica a node owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedReplica {
    /// Identifier.
    pub id: ReplicaId,
    /// What is to become of it.
    pub intent: Intent,
    /// A container of another generation is replaced.
    pub generation: u64,
    /// The revision of this generation, for the label.
    pub revision: u64,
    /// The tick that it is the run of, for the label and the environment.
    pub tick: Option<Timestamp>,
    /// What its container is created from; absent only with [`Intent::Remove`].
    pub spec: Option<Arc<ContainerSpec>>,
    /// The secrets and configs its container is given.
    pub files: Vec<AssignedFile>,
    /// The image to fetch for the next generation while this one keeps running.
    pub prepare: Option<Arc<ContainerSpec>>,
    /// Dependencies that do not hold yet: nothing is created or started before this is empty.
    /// A container that already runs keeps running.
    pub waiting_on: Vec<String>,
    /// What containers of earlier revisions were created from, by revision, while one may still run
    /// that asks for something before its stop.
    pub retired: BTreeMap<u64, Arc<ContainerSpec>>,
    /// How long after its start a container must be of use.
    pub start_limit: Span,
    /// The container on this node that its own is made beside.
    pub beside: Option<Beside>,
    /// When it is started again after an exit.
    pub restart: RestartPolicy,
    /// Runs for ever, or to completion.
    pub mode: Mode,
    /// Its container is killed at once, whatever else is known: this node may not be the only one that
    /// runs it any more.
    pub fenced: bool,
    /// What state holds of it: only differences are reported.
    pub observed: Observation,
    /// The result of `prepare` that state holds.
    pub prepared: Option<Result<(), super::Reason>>,
}

/// A network that must exist on the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedNetwork {
    /// The deployment it belongs to.
    pub deployment: DeploymentName,
    /// Its key in the compose file.
    pub network: NetworkName,
    /// How it is made.
    pub spec: NetworkSpec,
    /// Its addresses on this node; absent for one from before networks had any of their own, which the
    /// engine gives addresses of its choice.
    pub subnet: Option<AssignedSubnet>,
}

/// The addresses of a network on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedSubnet {
    /// All of them.
    pub prefix: ipnet::IpNet,
    /// The bridge's own.
    pub gateway: IpAddr,
    /// The bridge's name.
    pub bridge: String,
}

/// Everything one node must do. A replace-set: what is not in it is stopped and removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The cluster: containers of other clusters are never touched.
    pub cluster: ClusterId,
    /// The node this is for.
    pub node: NodeName,
    /// Raft index of the state it was made from.
    pub index: u64,
    /// False until the node has seen everything the leader had committed when the node started:
    /// until then nothing may be stopped, removed or restarted on the strength of it.
    pub caught_up: bool,
    /// Replicas by identifier.
    pub replicas: BTreeMap<ReplicaId, AssignedReplica>,
    /// Networks by engine name.
    pub networks: BTreeMap<String, AssignedNetwork>,
    /// Volumes to remove once nothing uses them, by engine name.
    pub remove_volumes: BTreeSet<String>,
}

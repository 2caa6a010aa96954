//! Replicas, their events and the volumes that tie them to a node.

use serde::{Deserialize, Serialize};

use super::{
    Beside, DeploymentName, Digest, Intent, NodeId, NodeName, Observation, Reason, ReplicaId,
    ReplicaState, Sealed, Timestamp,
};

/// Fetching an image before the running container is stopped for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preparation {
    /// The container document whose image is fetched.
    pub container: Digest,
    /// Absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Result<(), Reason>>,
}

/// One instance of a service.
///
/// A start-first replacement is a new replica with a new index; a stop-first one is the same
/// replica with the next generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Identifier.
    pub id: ReplicaId,
    /// The node that runs it.
    pub node: NodeId,
    /// Whether it is to run or to go.
    pub intent: Intent,
    /// Rises whenever the container must be a new one.
    pub generation: u64,
    /// The container document it runs.
    pub container: Digest,
    /// The service's restart epoch it belongs to.
    pub epoch: u64,
    /// The revision that created this generation.
    pub revision: u64,
    /// The replica whose place it takes, on another node: that one goes once this one has settled,
    /// and this one goes when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<ReplicaId>,
    /// The next generation's image is being fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preparation: Option<Preparation>,
    /// What its node last saw of this generation.
    pub observed: Observation,
    /// When that was written, by the leader's clock.
    pub observed_at: Timestamp,
    /// When its container was first seen started in this generation, by the leader's clock: the
    /// limit of a rollout step counts from here, so fetching an image does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting_at: Option<Timestamp>,
    /// When it was last seen to become running in this generation, by the leader's clock; kept when
    /// it stops running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_since: Option<Timestamp>,
    /// The last lines of output of a failed container.
    #[serde(skip)]
    pub log_tail: Option<Sealed>,
    /// When this generation was created.
    pub created_at: Timestamp,
    /// The tick that it is the run of, if its service runs at times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tick: Option<Timestamp>,
    /// The container of its lead that its own is made beside, if its service is a companion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Beside>,
}

impl Replica {
    /// Whether it takes room on its node: a run that has ended is only kept to be looked at.
    #[must_use]
    pub fn takes_room(&self) -> bool {
        self.intent == Intent::Run && !(self.tick.is_some() && self.has_ended())
    }

    /// Whether its present generation runs and is healthy.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.intent == Intent::Run
            && self.observed.generation == self.generation
            && self.observed.state == ReplicaState::Running
    }

    /// Whether its present generation was a job's and has ended well.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.observed.generation == self.generation
            && self.observed.state == ReplicaState::Completed
    }

    /// Whether its present generation has come to an end that only an operator's change undoes.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.is_completed()
            || (self.observed.generation == self.generation
                && self.observed.state == ReplicaState::Failed)
    }
}

/// A change of state of a replica; the last 20 per replica are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaEvent {
    /// Position in the cluster's stream of events; rises.
    pub sequence: u64,
    /// When it was written.
    pub at: Timestamp,
    /// The replica.
    pub replica: ReplicaId,
    /// Its node.
    pub node: NodeName,
    /// Its generation.
    pub generation: u64,
    /// The state it entered.
    pub state: ReplicaState,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Exit code, when the container ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
}

/// Where a volume of the engine lives: its service stays there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Name in the engine.
    pub name: String,
    /// The node that has it.
    pub node: NodeId,
    /// The deployment that made it.
    pub deployment: DeploymentName,
    /// True when the engine had it before; never removed.
    pub external: bool,
    /// True when it is to be removed.
    pub removing: bool,
}

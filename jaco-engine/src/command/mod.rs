//! What may enter the log.
//!
//! [`Command`] is the closed set of changes, one file per entity with its pure `apply`. An
//! [`Envelope`] adds who and when: `apply` reads no clock and rolls no dice.

use std::collections::{BTreeMap, BTreeSet};

use jaco_api::{
    error::ApiError,
    model::{
        Actor, AuditKind, ClusterId, DeploymentName, Digest, Identity, NetworkName, NetworkSpec,
        Node, NodeFacts, NodeId, NodeName, NodeStatus, OperatorToken, ReplicaId, Report, RouteSpec,
        Sealed, ServiceName, ServiceSchedule, Timestamp, VolumeName, VolumeSpec,
    },
};

/// A command with who proposed it and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// When it was proposed, by the proposer's clock.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// Client-chosen id: a repeated one is answered with the first outcome and changes nothing.
    pub request_id: Option<String>,
    /// The change.
    pub command: Command,
}

/// A change of the replicated state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// First entry of a cluster's log.
    InitCluster(Box<InitCluster>),
    /// What a node is or says of itself has changed.
    UpdateNode(UpdateNode),
    /// A new operator token.
    IssueToken(IssueToken),
    /// The end of an operator token.
    RevokeToken(RevokeToken),
    /// One cluster setting.
    SetSetting(SetSetting),
    /// New content for a deployment.
    ApplyDeployment(Box<ApplyDeployment>),
    /// The content of an earlier revision again.
    RollbackDeployment(RollbackDeployment),
    /// The end of a deployment.
    DeleteDeployment(DeleteDeployment),
    /// Other replica counts.
    ScaleDeployment(ScaleDeployment),
    /// New containers for the same content.
    RestartDeployment(RestartDeployment),
    /// Nothing is to run, or everything again.
    HoldDeployment(HoldDeployment),
    /// What the scheduler decided for one deployment.
    Reconcile(Reconcile),
    /// What a node saw of its replicas.
    Report(Report),
    /// A fact for the audit log that changes nothing else.
    RecordAudit(RecordAudit),
}

/// First entry of a cluster's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitCluster {
    /// Identity of the cluster.
    pub cluster: ClusterId,
    /// CA certificate, PEM.
    pub ca_pem: String,
    /// CA private key (PKCS#8), sealed.
    pub ca_key: Sealed,
    /// The first member.
    pub node: Node,
    /// The first operator token.
    pub token: OperatorToken,
}

/// What a node is or says of itself has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateNode {
    /// The node.
    pub node: NodeId,
    /// New facts, if any.
    pub facts: Option<NodeFacts>,
    /// New status with its reason, if any.
    pub status: Option<(NodeStatus, Option<String>)>,
}

/// A new operator token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueToken {
    /// The token, hash included.
    pub token: OperatorToken,
    /// Replaces a present token of the same identity; without it that is `conflict`.
    pub rotate: bool,
}

/// The end of an operator token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokeToken {
    /// Its holder.
    pub identity: Identity,
}

/// One cluster setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetSetting {
    /// Key, as in [`jaco_api::model::Settings::entries`].
    pub key: String,
    /// New value.
    pub value: String,
}

/// New content for a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyDeployment {
    /// The deployment.
    pub deployment: DeploymentName,
    /// Services: schedule and digest of the container document.
    pub services: BTreeMap<ServiceName, (ServiceSchedule, Digest)>,
    /// Networks in use.
    pub networks: BTreeMap<NetworkName, NetworkSpec>,
    /// Volumes in use.
    pub volumes: BTreeMap<VolumeName, VolumeSpec>,
    /// Routes.
    pub routes: Vec<RouteSpec>,
    /// Sealed container documents; those that state already has may be left out.
    pub documents: BTreeMap<Digest, Sealed>,
    /// Why host-like rights were admitted, by service; audited.
    pub privileged: BTreeMap<ServiceName, Vec<String>>,
}

/// The content of an earlier revision again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackDeployment {
    /// The deployment.
    pub deployment: DeploymentName,
    /// The revision; absent means the newest one before the one in force.
    pub to: Option<u64>,
}

/// The end of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteDeployment {
    /// The deployment.
    pub deployment: DeploymentName,
    /// Whether its volumes go too.
    pub volumes: bool,
}

/// Other replica counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScaleDeployment {
    /// The deployment.
    pub deployment: DeploymentName,
    /// New counts by service.
    pub replicas: BTreeMap<ServiceName, u32>,
}

/// New containers for the same content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartDeployment {
    /// The deployment.
    pub deployment: DeploymentName,
    /// The services; empty means all.
    pub services: BTreeSet<ServiceName>,
}

/// Nothing is to run, or everything again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldDeployment {
    /// The deployment.
    pub deployment: DeploymentName,
    /// True stops it, false starts it.
    pub stopped: bool,
}

/// What the scheduler decided for one deployment, valid only for the version it looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconcile {
    /// The deployment.
    pub deployment: DeploymentName,
    /// [`jaco_api::model::Deployment::version`] it was planned from; another one is `conflict`.
    pub version: u64,
    /// Steps, in order; all or none are taken.
    pub actions: Vec<Action>,
}

/// One step of the scheduler. Indexes, generations and revision numbers are given by `apply`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A new replica of the service's present content.
    Create {
        /// The service.
        service: ServiceName,
        /// Where it runs.
        node: NodeId,
        /// Set for a `global` service: the slot is the node's name, not an index.
        slot: Option<NodeName>,
    },
    /// Fetch the image of the service's present content while the replica keeps running.
    Prepare {
        /// The replica.
        replica: ReplicaId,
    },
    /// The next generation of a replica, made from the service's present content.
    Advance {
        /// The replica.
        replica: ReplicaId,
    },
    /// The replica's container goes. Refused (`rollout_invariant_hold`) when it runs and fewer
    /// than the rollout's floor would be left.
    Remove {
        /// The replica.
        replica: ReplicaId,
    },
    /// Why replicas of a service cannot be placed; absent when they can again.
    Unplaced {
        /// The service.
        service: ServiceName,
        /// Filters and their counts.
        reason: Option<String>,
    },
    /// A replacement failed.
    CountFailure {
        /// The service.
        service: ServiceName,
        /// Why.
        reason: String,
    },
    /// The rollout ends or is given up.
    EndRollout(RolloutEnd),
}

/// How a rollout ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutEnd {
    /// Every replica is current.
    Completed,
    /// `failure_action: pause`.
    Paused {
        /// Why.
        reason: String,
    },
    /// `failure_action: rollback`: the revision that was replaced is restored in full, as a new
    /// revision, and the rollout goes on towards it in phase `rolling_back`.
    RolledBack {
        /// Why.
        reason: String,
    },
    /// Nothing to go back to.
    Failed {
        /// Why.
        reason: String,
    },
}

/// A fact for the audit log that changes nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordAudit {
    /// What happened.
    pub kind: AuditKind,
    /// To what.
    pub payload: BTreeMap<String, String>,
}

/// What applying a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was applied, or there was nothing to change.
    Done,
    /// The deployment's revision in force afterwards.
    Revision {
        /// Its number.
        number: u64,
        /// False when nothing had to change.
        changed: bool,
    },
    /// A rollback's two revisions.
    RolledBack {
        /// Whose content was restored.
        restored: u64,
        /// The new revision with that content.
        number: u64,
    },
    /// A deletion's volumes, by engine name.
    Deleted {
        /// Kept, or removed when that was asked for.
        volumes: Vec<String>,
    },
    /// Refused: the state is unchanged.
    Rejected(ApiError),
}

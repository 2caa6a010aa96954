//! The domain model: plain values, valid by construction, without I/O, clocks or randomness.
//!
//! Everything that crosses a module border of JACO is one of these types. Their serde form is what
//! `-o json|yaml` prints and what sealed documents hold; their protobuf form is in
//! [`crate::convert`].

mod actor;
mod assignment;
mod audit;
mod bind_allowlist;
mod container;
mod deployment;
mod exec;
mod ids;
mod log;
mod node;
mod observation;
mod replica;
mod sealed;
mod service;
mod settings;
mod status;
mod time;
mod token;
mod usage;

pub use actor::{Actor, Principal, Role};
pub use assignment::{AssignedNetwork, AssignedReplica, Assignment, Intent};
pub use audit::{AuditEvent, AuditKind, UnknownAuditKind};
pub use bind_allowlist::{BindAllowlist, InvalidBindAllowlist};
pub use container::*;
pub use deployment::{
    Deployment, DeploymentPhase, ManifestDocument, NetworkSpec, PlannedService, Revision,
    RevisionOrigin, Rollout, RolloutPhase, RouteSpec, TlsMode, VolumeSpec,
};
pub use exec::{ExecCommand, PathInfo, PathKind, Signal, TerminalSize};
pub use ids::{
    ClusterId, DeploymentName, Digest, Identity, InvalidName, NetworkName, NodeId, NodeName,
    ReplicaId, ServiceName, Slot, VolumeName,
};
pub use log::LogPosition;
pub use node::{Availability, Node, NodeCondition, NodeFacts, NodeStatus};
pub use observation::{Health, Observation, Reason, ReplicaReport, ReplicaState, Report};
pub use replica::{Preparation, Replica, ReplicaEvent, Volume};
pub use sealed::Sealed;
pub use service::{
    DependencyCondition, FailureAction, Mode, Placement, Protocol, PublishedPort, RestartCondition,
    RestartPolicy, ServiceSchedule, UpdateConfig, UpdateOrder,
};
pub use settings::{InvalidSetting, Settings};
pub use status::{
    Change, ClusterStatus, DeploymentState, DeploymentStatus, Difference, MemberStatus, RaftRole,
    ReplicaStatus, RolloutStatus, ServiceStatus,
};
pub use time::{Span, Timestamp};
pub use token::{JoinToken, OperatorToken};
pub use usage::{NodeUsage, Pressure, ReplicaUsage, Stall};

//! The domain model: plain values, valid by construction, without I/O, clocks or randomness.
//!
//! Everything that crosses a module border of JACO is one of these types. Their serde form is what
//! `-o json|yaml` prints and what sealed documents hold; their protobuf form is in
//! [`crate::convert`].

mod actor;
mod addresses;
mod assignment;
mod audit;
mod bind_allowlist;
mod certificate;
mod companion;
mod container;
mod cron;
mod deployment;
mod doctor;
mod exec;
mod fabric;
mod file;
mod frontend;
mod ids;
mod isolation;
mod lifecycle;
mod log;
mod mesh;
mod mount;
mod node;
mod observation;
mod replica;
mod route;
mod sealed;
mod service;
mod serving;
mod settings;
mod status;
mod subnet;
mod time;
mod timetable;
mod token;
mod usage;
mod virtual_address;

pub use actor::{Actor, Principal, Role};
pub use addresses::{AddressPool, AddressPools, AddressRange, InvalidAddresses, overlap};
pub use assignment::{
    AssignedFile, AssignedNetwork, AssignedReplica, AssignedSubnet, Assignment, Intent,
};
pub use audit::{AuditEvent, AuditKind, UnknownAuditKind};
pub use bind_allowlist::{BindAllowlist, InvalidBindAllowlist};
pub use certificate::{
    CertificatePhase, CertificateSource, CertificateSummary, ServedCertificate, StoredCertificate,
};
pub use companion::{Beside, Borrowed, Sharing};
pub use container::*;
pub use cron::{Concurrency, CronSchedule, CronStatus, Run, RunFate, RunState, RunStatus, Ticks};
pub use deployment::{
    Deployment, DeploymentPhase, ManifestDocument, NetworkSpec, PlannedService, Revision,
    RevisionOrigin, Rollout, RolloutPhase, VolumeSpec,
};
pub use doctor::{Check, DoctorReport, Finding, FindingOutcome, UnknownCheck, after_repair};
pub use exec::{ExecCommand, PathInfo, PathKind, Signal, TerminalSize};
pub use fabric::{Fabric, FabricMember, FabricNetwork, FabricReplica, FabricService, NetworkId};
pub use file::{
    FileContent, FileId, FileKind, FileMount, FileSource, FileSummary, MOST_FILE_BYTES, NamedFile,
};
pub use frontend::{Backend, FrontPort, FrontRoute, Frontends};
pub use ids::{
    ClusterId, DeploymentName, Digest, FileName, Identity, InvalidName, NetworkName, NodeId,
    NodeName, ReplicaId, ServiceName, Slot, VolumeName,
};
pub use isolation::*;
pub use lifecycle::Hook;
pub use log::LogPosition;
pub use mesh::{
    InvalidMeshKey, MeshFacts, MeshKey, MeshKeyRotation, MeshKind, MeshPeerStatus, MeshStatus,
};
pub use mount::{Mount, MountSource, Recursion, Relabel};
pub use node::{Availability, Node, NodeCondition, NodeFacts, NodeStatus};
pub use observation::{Health, Observation, Reason, ReplicaReport, ReplicaState, Report};
pub use replica::{Preparation, Replica, ReplicaEvent, Volume};
pub use route::{
    HeaderChanges, HeaderRules, Hidden, Password, RedirectSpec, RequestRate, RouteOptions,
    RouteProtocol, RouteSpec, Stickiness, TlsMode,
};
pub use sealed::Sealed;
pub use service::{
    DependencyCondition, EndpointMode, FailureAction, Mode, Placement, Protocol, ProxyProtocol,
    PublishedPort, RestartCondition, RestartPolicy, ServiceSchedule, UpdateConfig, UpdateOrder,
};
pub use serving::{
    Listener, NodeRoutes, RouteDetail, RouteMatch, ServedDomain, ServedRoute, ServedUpstream,
    StoredRoute, StoredRoutes,
};
pub use settings::{InvalidSetting, Settings};
pub use status::{
    Change, ClusterStatus, DeploymentState, DeploymentStatus, Difference, MemberStatus, RaftRole,
    ReplicaStatus, RolloutStatus, ServiceStatus,
};
pub use subnet::{BlockCount, PoolStatus, Subnet, SubnetKey, bridge_name};
pub use time::{Span, Timestamp};
pub use timetable::{InvalidCron, Timetable, check_expression, check_timezone};
pub use token::{JoinToken, OperatorToken};
pub use usage::{NodeUsage, Pressure, ReplicaUsage, Stall};
pub use virtual_address::{VirtualAddress, VirtualAddressKey};

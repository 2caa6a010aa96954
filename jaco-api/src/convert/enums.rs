//! Enumerations. Value 0 is "unspecified" and is refused, except where it has a meaning.

use super::InvalidMessage;
use crate::{model, pb};

macro_rules! enums {
    ($($pb:ident <=> $model:path { $($variant:ident = $to:ident),* $(,)? } as $field:literal;)*) => { $(
        impl From<$model> for pb::$pb {
            fn from(value: $model) -> Self {
                match value { $(<$model>::$to => Self::$variant,)* }
            }
        }
        impl TryFrom<pb::$pb> for $model {
            type Error = InvalidMessage;
            fn try_from(value: pb::$pb) -> Result<Self, InvalidMessage> {
                match value {
                    $(pb::$pb::$variant => Ok(<$model>::$to),)*
                    #[allow(unreachable_patterns)]
                    _ => Err(InvalidMessage::new($field, "is not specified")),
                }
            }
        }
    )* };
}

enums! {
    CertificateSource <=> model::CertificateSource {
        Acme = Acme, Imported = Imported,
    } as "source";
    CertificatePhase <=> model::CertificatePhase {
        Pending = Pending, Staging = Staging, Promoting = Promoting, Issued = Issued,
        Renewing = Renewing, Failed = Failed, Imported = Imported, Missing = Missing,
    } as "phase";
    RouteMatch <=> model::RouteMatch {
        Current = Current, Stale = Stale, Missing = Missing, NotReached = NotReached,
    } as "match";
    FileKind <=> model::FileKind { Secret = Secret, Config = Config } as "kind";
    Role <=> model::Role { Viewer = Viewer, Deployer = Deployer, Admin = Admin } as "role";
    NodeStatus <=> model::NodeStatus {
        Joining = Joining, Ready = Ready, Cordoned = Cordoned, Draining = Draining,
        Degraded = Degraded, IsolationUnavailable = IsolationUnavailable, Down = Down,
        Leaving = Leaving,
    } as "status";
    NodeCondition <=> model::NodeCondition {
        Joining = Joining, Ready = Ready, Degraded = Degraded,
        IsolationUnavailable = IsolationUnavailable, Down = Down,
    } as "condition";
    Availability <=> model::Availability {
        Active = Active, Cordoned = Cordoned, Draining = Draining, Leaving = Leaving,
    } as "availability";
    MeshKind <=> model::MeshKind {
        Kernel = Kernel, Userspace = Userspace, Fake = Fake,
    } as "device";
    RaftRole <=> model::RaftRole { Leader = Leader, Voter = Voter, Learner = Learner } as "role";
    ReplicaState <=> model::ReplicaState {
        Pending = Pending, Pulling = Pulling, Starting = Starting, Running = Running,
        Degraded = Degraded, Updating = Updating, Stopping = Stopping, Stopped = Stopped,
        Failed = Failed, Lost = Lost, Completed = Completed,
    } as "state";
    Health <=> model::Health {
        Unspecified = None, Starting = Starting, Healthy = Healthy, Unhealthy = Unhealthy,
    } as "health";
    DeploymentState <=> model::DeploymentState {
        Pending = Pending, Updating = Updating, Active = Active, Degraded = Degraded,
        Failed = Failed, Stopped = Stopped, Deleting = Deleting, Scheduled = Scheduled,
    } as "state";
    Concurrency <=> model::Concurrency {
        Forbid = Forbid, Replace = Replace, Allow = Allow,
    } as "concurrency";
    RunState <=> model::RunState {
        Pending = Pending, Running = Running, Completed = Completed, Failed = Failed, Lost = Lost,
        Skipped = Skipped, Missed = Missed, Cancelled = Cancelled,
    } as "state";
    RolloutPhase <=> model::RolloutPhase {
        Rolling = Rolling, Paused = Paused, RollingBack = RollingBack, Completed = Completed,
        Failed = Failed,
    } as "phase";
    ExecSignal <=> model::Signal {
        Hangup = Hangup, Interrupt = Interrupt, Quit = Quit, Kill = Kill, User1 = User1,
        User2 = User2, Terminate = Terminate,
    } as "signal";
    ChangeKind <=> model::Change {
        Added = Added, Changed = Changed, Removed = Removed,
    } as "change";
}

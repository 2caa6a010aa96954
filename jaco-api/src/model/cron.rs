//! Services that run at times: when, what happens at each tick, and what became of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{NodeId, NodeName, ReplicaId, Span, Timestamp};

/// What happens at a tick while a run of the service has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Concurrency {
    /// The tick is skipped.
    #[default]
    Forbid,
    /// The run that has not ended is stopped, and the new one starts.
    Replace,
    /// Both run.
    Allow,
}

impl fmt::Display for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Forbid => "forbid",
            Self::Replace => "replace",
            Self::Allow => "allow",
        })
    }
}

/// When a service runs, and how.
///
/// The texts are checked when the manifest is; [`Timetable::of`](super::Timetable::of) reads them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CronSchedule {
    /// Five fields, six with seconds in front, or a name such as `@hourly`.
    pub expression: String,
    /// The IANA name of the time zone its fields are meant in.
    pub timezone: String,
    /// What happens at a tick while a run has not ended.
    #[serde(default)]
    pub concurrency: Concurrency,
    /// How many runs that ended well are kept.
    pub keep_succeeded: u32,
    /// How many runs that did not end well are kept.
    pub keep_failed: u32,
    /// How late the run of a tick may still start.
    pub starting_deadline: Span,
}

impl CronSchedule {
    /// The time zone of a schedule that names none.
    pub const TIMEZONE: &'static str = "UTC";
    /// How many runs of each kind are kept where nothing is said.
    pub const KEPT: u32 = 3;
    /// How late a run may start where nothing is said: long enough for an election or the reboot of a
    /// host, too short for the run of the night to surprise at noon.
    pub const STARTING_DEADLINE: Span = Span::secs(300);

    /// A schedule with the default of everything but when.
    #[must_use]
    pub fn new(expression: impl Into<String>) -> Self {
        Self {
            expression: expression.into(),
            timezone: Self::TIMEZONE.to_owned(),
            concurrency: Concurrency::default(),
            keep_succeeded: Self::KEPT,
            keep_failed: Self::KEPT,
            starting_deadline: Self::STARTING_DEADLINE,
        }
    }

    /// Whether both tick at the same times.
    #[must_use]
    pub fn ticks_like(&self, other: &Self) -> bool {
        self.expression == other.expression && self.timezone == other.timezone
    }
}

/// What the state machine decided about a tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunFate {
    /// It runs; how far that is, its replica tells.
    Wanted,
    /// It does not run: another run had not ended.
    Skipped,
    /// It does not run: it was due longer ago than the deadline allows.
    Missed,
    /// It was stopped, or was not started any more, for this reason.
    Cancelled(String),
}

/// One tick of a service and what was decided about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// When it was due: what identifies it.
    pub tick: Timestamp,
    /// When that was decided, by the leader's clock.
    pub decided_at: Timestamp,
    /// What was decided.
    pub fate: RunFate,
    /// The replica that does it; the latest one, when its node was lost and it was started again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<ReplicaId>,
    /// That replica's node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
}

/// The ticks of one service so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticks {
    /// The newest tick that was decided, or when the service got its schedule: nothing that is not
    /// later is decided again.
    pub last: Timestamp,
    /// The runs that are kept, by tick.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<Run>,
}

impl Ticks {
    /// The run of a tick, while it is kept.
    #[must_use]
    pub fn run(&self, tick: Timestamp) -> Option<&Run> {
        self.runs.iter().find(|r| r.tick == tick)
    }
    /// The same, to change it.
    pub fn run_mut(&mut self, tick: Timestamp) -> Option<&mut Run> {
        self.runs.iter_mut().find(|r| r.tick == tick)
    }
}

/// How far a run is, as it is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Not started yet.
    #[default]
    Pending,
    /// Its container runs, or is about to be started again after a failure.
    Running,
    /// It ended well.
    Completed,
    /// It ended otherwise and was given up.
    Failed,
    /// Its node is lost.
    Lost,
    /// It did not run: another one had not ended.
    Skipped,
    /// It did not run: it could not start in time.
    Missed,
    /// It was stopped before its end.
    Cancelled,
}

/// A run, as `jaco get runs` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStatus {
    /// When it was due.
    pub tick: Timestamp,
    /// How far it is.
    pub state: RunState,
    /// The replica that does it; `jaco logs` shows its output as long as the run is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<ReplicaId>,
    /// Its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// When its container started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it was seen to have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Its exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// Why it has not simply completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The schedule of a service, as `jaco get runs` and `jaco get deployment` show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CronStatus {
    /// The expression.
    pub expression: String,
    /// The time zone it is meant in.
    pub timezone: String,
    /// What happens at a tick while a run has not ended.
    pub concurrency: Concurrency,
    /// The next tick; absent while the schedule is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// The runs that are kept, the newest first.
    pub runs: Vec<RunStatus>,
}

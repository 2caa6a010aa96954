//! How a replica of the present content is doing, as far as planning is concerned.
//!
//! Its node restarts it after an exit; a replica that its node has given up stays failed until the
//! next apply or restart. Nothing here replaces one.

use std::time::Duration;

use jaco_api::model::{Health, Mode, Node, Replica, ReplicaState, Span, Timestamp};

/// How a replica is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has run for the monitor period, or has completed.
    Settled,
    /// Not yet; nothing changes before this time unless something happens.
    UnderWay(Option<Timestamp>),
    /// Nobody knows: its node is lost. That is no fault of its content.
    Lost,
    /// It has failed, for this reason.
    Failed(String),
}

/// Failed attempts to fetch an image that make a step fail.
const PULL_ATTEMPTS: u32 = 3;
/// Least time since the last change of its state before a replica has timed out.
const RECOVERY: Duration = Duration::from_secs(10);

/// How a replica is doing at `now`. Fetching the image never counts against the step's `timeout`.
pub(super) fn progress(
    replica: &Replica,
    node: Option<&Node>,
    monitor: Span,
    timeout: Span,
    now: Timestamp,
) -> Progress {
    let seen = &replica.observed;
    if !replica.has_ended() && node.is_some_and(|n| !n.condition.holds_replicas()) {
        return Progress::Lost;
    }
    if seen.state == ReplicaState::Lost {
        // Its node is back and has not said yet what it found.
        return Progress::UnderWay(None);
    }
    if seen.generation != replica.generation {
        return Progress::UnderWay(None);
    }
    let failed = |what: &str| match &seen.reason {
        Some(reason) => Progress::Failed(format!("{}: {reason}", replica.id)),
        None => Progress::Failed(format!("{}: {what}", replica.id)),
    };
    if seen.state == ReplicaState::Failed {
        return failed("failed");
    }
    if seen.pull_failures >= PULL_ATTEMPTS {
        return failed("its image cannot be fetched");
    }
    if seen.health == Health::Unhealthy {
        return failed("its health check fails");
    }
    if seen.state == ReplicaState::Completed {
        return Progress::Settled;
    }
    if seen.state == ReplicaState::Running {
        let settles = replica.running_since.unwrap_or(replica.observed_at).after(monitor.to_std());
        return if settles <= now { Progress::Settled } else { Progress::UnderWay(Some(settles)) };
    }
    let Some(started) = replica.starting_at else { return Progress::UnderWay(None) };
    // One that ran and was restarted is given a moment to come back.
    let limit = started.after(timeout.to_std()).max(replica.observed_at.after(RECOVERY));
    if limit > now {
        return Progress::UnderWay(Some(limit));
    }
    let why = format!("not healthy within {timeout} of its start");
    match &seen.reason {
        Some(reason) => Progress::Failed(format!("{}: {why} ({reason})", replica.id)),
        None => Progress::Failed(format!("{}: {why}", replica.id)),
    }
}

/// Whether it does what it is for: it runs or, of a job, has completed.
pub(super) fn serves(replica: &Replica, mode: Mode) -> bool {
    replica.is_running() || (mode == Mode::Job && replica.is_completed())
}

//! A service that runs at times: when next, and what became of its runs.

use std::time::Duration;

use jaco_api::model::{
    CronSchedule, CronStatus, Deployment, DeploymentPhase, DeploymentState, Replica, ReplicaState,
    Run, RunFate, RunState, RunStatus, ServiceName, Span, Ticks, Timestamp, Timetable,
};

use super::replica::{node_named, stand};
use crate::state::State;

/// The schedule of a service with its runs, the newest first.
pub(super) fn status(
    state: &State,
    row: &Deployment,
    name: &ServiceName,
    cron: &CronSchedule,
    replicas: u32,
) -> CronStatus {
    let ticks = row.ticks.get(name).cloned().unwrap_or_default();
    let waits = row.unplaced.get(name);
    let active = row.phase == DeploymentPhase::Running && replicas > 0;
    let next = active.then(|| Timetable::of(cron)?.next_after(ticks.last)).flatten();
    CronStatus {
        expression: cron.expression.clone(),
        timezone: cron.timezone.clone(),
        concurrency: cron.concurrency,
        next,
        runs: ticks.runs.iter().rev().map(|run| shown(state, run, waits)).collect(),
    }
}

/// How many runs have not ended, and how many of them run.
pub(super) fn open(state: &State, ticks: Option<&Ticks>) -> (u32, u32) {
    let open = ticks.iter().flat_map(|t| &t.runs).filter(|run| state.is_open(run));
    let replica = |run| state.replica_of_run(run).is_some_and(|r| r.is_running());
    open.fold((0, 0), |(all, running), run| (all + 1, running + u32::from(replica(run))))
}

/// The state of the service: `scheduled`, whatever its last run came to; that is in the reason. A run
/// that finds no node is `pending`.
pub(super) fn service_state(
    row: &Deployment,
    name: &ServiceName,
    replicas: u32,
    cron: &CronStatus,
) -> (DeploymentState, Option<String>) {
    match row.phase {
        DeploymentPhase::Stopped => return (DeploymentState::Stopped, None),
        DeploymentPhase::Deleting { .. } => return (DeploymentState::Deleting, None),
        DeploymentPhase::Running => {}
    }
    if let Some(reason) = row.unplaced.get(name) {
        return (DeploymentState::Pending, Some(reason.clone()));
    }
    let mut parts = Vec::new();
    for run in &cron.runs {
        match run.state {
            RunState::Running => parts.push(format!("the run of {} goes on", run.tick)),
            RunState::Pending => parts.push(format!("the run of {} is about to start", run.tick)),
            RunState::Lost => parts.push(format!("the run of {} is lost", run.tick)),
            _ => {}
        }
    }
    let ended = |run: &&RunStatus| matches!(run.state, RunState::Completed | RunState::Failed);
    if let Some(run) = cron.runs.iter().find(ended).filter(|run| run.state == RunState::Failed) {
        let why = run.reason.as_deref().unwrap_or("it did not end well");
        parts.push(format!("the run of {} failed: {why}", run.tick));
    }
    parts.push(match cron.next {
        Some(next) => format!("next at {next}"),
        None if replicas == 0 => "suspended: it is scaled to 0".to_owned(),
        None => "this version cannot read its schedule".to_owned(),
    });
    (DeploymentState::Scheduled, Some(parts.join("; ")))
}

fn shown(state: &State, run: &Run, waits: Option<&String>) -> RunStatus {
    let replica = state.replica_of_run(run).map(|r| &**r);
    let (shown, reason) = match &run.fate {
        RunFate::Skipped => (RunState::Skipped, Some("an earlier run had not ended".to_owned())),
        RunFate::Missed => (RunState::Missed, Some(late(run.decided_at.since(run.tick)))),
        RunFate::Cancelled(reason) => (RunState::Cancelled, Some(reason.clone())),
        RunFate::Wanted => match (replica, &run.replica) {
            (Some(replica), _) => of_replica(state, replica),
            (None, Some(_)) => (RunState::Lost, Some("its node has left the cluster".to_owned())),
            (None, None) => {
                let reason = waits.cloned().unwrap_or_else(|| "waits for the scheduler".to_owned());
                (RunState::Pending, Some(reason))
            }
        },
    };
    let seen = replica.map(|r| &r.observed);
    let ended = replica.filter(|r| r.has_ended());
    RunStatus {
        tick: run.tick,
        state: shown,
        replica: run.replica.clone(),
        node: run.node.map(|node| node_named(state, node)),
        started_at: replica.and_then(|r| r.observed.started_at.or(r.starting_at)),
        ended_at: ended.map(|r| r.observed_at),
        exit_code: seen.and_then(|seen| seen.exit_code),
        reason,
    }
}

fn late(by: Duration) -> String {
    let whole = Span::secs(by.as_secs());
    format!("could not start in time: it was {whole} late")
}

/// How far the replica of a run is.
fn of_replica(state: &State, replica: &Replica) -> (RunState, Option<String>) {
    use ReplicaState as R;
    let schedule = state.service_of(replica).map(|s| &s.schedule);
    let (shown, reason) = stand(state, replica, schedule);
    let run = match shown {
        R::Pending | R::Pulling | R::Starting | R::Updating => RunState::Pending,
        R::Running | R::Degraded => RunState::Running,
        R::Completed => RunState::Completed,
        R::Failed => RunState::Failed,
        R::Lost => RunState::Lost,
        R::Stopping | R::Stopped => RunState::Cancelled,
    };
    (run, reason.map(|r| r.to_string()))
}

/// Why the replica of a run is being stopped.
pub(super) fn why_it_goes(state: &State, replica: &Replica, tick: Timestamp) -> String {
    let ticks =
        state.deployment(&replica.id.deployment).and_then(|d| d.ticks.get(&replica.id.service));
    match ticks.and_then(|t| t.run(tick)).map(|run| &run.fate) {
        Some(RunFate::Cancelled(why)) => format!("being stopped: {why}"),
        Some(RunFate::Wanted) => "being stopped: the run was started again elsewhere".to_owned(),
        _ => "being removed: its run is no longer kept".to_owned(),
    }
}

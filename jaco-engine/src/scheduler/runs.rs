//! Which runs of a service start, end before their time, and are no longer kept.
//!
//! In: a service that runs at times, with its runs. Out: actions. A run is never replaced: it ends with
//! the content it began with, and rollouts take no notice of it.

use std::sync::Arc;

use jaco_api::model::{
    Concurrency, CronSchedule, Deployment, Intent, Replica, RestartCondition, Run, RunFate,
    ServiceName, Ticks,
};

use super::{
    input::Service,
    lost::{self, Fate},
    pass::Pass,
    place::Board,
};
use crate::{command::Action, state::State};

/// What is to become of a run that has not ended.
enum Course {
    /// It goes on, or waits.
    Stays,
    /// It is to be started, on whichever node takes it.
    Starts,
    /// It cannot go on, for this reason.
    Ends(String),
}

/// The actions for one service that runs at times.
pub(super) fn steps<'a>(pass: &mut Pass<'a>, service: &Service<'a>) -> Vec<Action> {
    let mut actions = Vec::new();
    let schedule = &service.planned.schedule;
    let (Some(cron), Some(ticks)) = (&schedule.cron, service.deployment.ticks.get(service.name))
    else {
        return actions;
    };
    let mut unplaced = None;
    let mut board = None;
    for run in ticks.runs.iter().filter(|run| pass.state.is_open(run)) {
        match course(pass, service, cron, run) {
            Course::Stays => {}
            Course::Ends(reason) => {
                let (service, tick) = (service.name.clone(), run.tick);
                actions.push(Action::CancelRun { service, tick, reason });
            }
            Course::Starts => {
                let board = board.get_or_insert_with(|| Board::new(pass, service, |_| true));
                match board.take(pass, service) {
                    Ok(node) => {
                        let (service, tick) = (service.name.clone(), run.tick);
                        actions.push(Action::StartRun { service, tick, node });
                    }
                    Err(why) => unplaced = Some(why),
                }
            }
        }
    }
    if service.deployment.unplaced.get(service.name) != unplaced.as_ref() {
        let service = service.name.clone();
        actions.push(Action::Unplaced { service, reason: unplaced });
    }
    actions.extend(drops(pass.state, service.name, ticks, cron));
    actions
}

/// What a deployment that is stopped keeps no longer: its runs ended when it was stopped.
pub(super) fn steps_of_stopped(state: &State, deployment: &Deployment) -> Vec<Action> {
    let services = deployment.ticks.iter().filter_map(|(name, ticks)| {
        let planned = state.service(&deployment.name, name)?;
        Some((name, ticks, planned.schedule.cron.as_ref()?))
    });
    services.flat_map(|(name, ticks, cron)| drops(state, name, ticks, cron)).collect()
}

/// Forgets the runs that are more than are kept.
fn drops<'t>(
    state: &State,
    service: &'t ServiceName,
    ticks: &'t Ticks,
    cron: &CronSchedule,
) -> impl Iterator<Item = Action> + use<'t> {
    surplus(state, ticks, cron)
        .map(move |run| Action::DropRun { service: service.clone(), tick: run.tick })
}

fn course(pass: &mut Pass<'_>, service: &Service<'_>, cron: &CronSchedule, run: &Run) -> Course {
    let state = pass.state;
    let schedule = &service.planned.schedule;
    // A run that is not started again has run at most once, whatever becomes of its node.
    let again = |why: &str| match schedule.restart.condition {
        RestartCondition::OnFailure => Course::Starts,
        _ => Course::Ends(why.to_owned()),
    };
    let Some(replica) = state.replica_of_run(run) else {
        return match run.replica {
            Some(_) => again("its node has left the cluster"),
            None if is_held_back(state, service, cron) => Course::Stays,
            None => Course::Starts,
        };
    };
    let Some(node) = state.node(replica.node) else {
        return again("its node has left the cluster");
    };
    if node.gives_up_replicas() {
        return Course::Ends(format!("{} was emptied by force", node.name));
    }
    let (settings, readings) = (state.settings(), pass.readings);
    match lost::fate(replica, schedule, service.placement, node, settings, readings) {
        Some(Fate::Moves(at)) if at <= pass.now => Course::Starts,
        Some(Fate::Moves(at)) => {
            pass.wake(at);
            Course::Stays
        }
        Some(Fate::Waits(_)) | None => Course::Stays,
    }
}

/// Whether a run waits until one that was stopped for it is gone. A node that is lost does not say so.
fn is_held_back(state: &State, service: &Service<'_>, cron: &CronSchedule) -> bool {
    let stops = |r: &Arc<Replica>| {
        r.tick.is_some()
            && r.intent == Intent::Remove
            && !r.has_ended()
            && state.node(r.node).is_some_and(|n| n.condition.holds_replicas())
    };
    cron.concurrency != Concurrency::Allow
        && state.replicas_of_service(&service.deployment.name, service.name).any(stops)
}

/// The runs that have ended and are more than are kept, the oldest of each kind.
fn surplus<'t>(
    state: &State,
    ticks: &'t Ticks,
    cron: &CronSchedule,
) -> impl Iterator<Item = &'t Run> + use<'t> {
    let succeeded = |run: &Run| state.replica_of_run(run).is_some_and(|r| r.is_completed());
    let ended = |run: &&Run| match run.fate {
        RunFate::Wanted => !state.is_open(run),
        RunFate::Cancelled(_) => true,
        RunFate::Skipped | RunFate::Missed => false,
    };
    let (well, badly): (Vec<&Run>, Vec<&Run>) = ticks
        .runs
        .iter()
        .filter(ended)
        .partition(|run| run.fate == RunFate::Wanted && succeeded(run));
    let beyond = |runs: Vec<&'t Run>, kept: u32| {
        let excess = runs.len().saturating_sub(kept as usize);
        runs.into_iter().take(excess)
    };
    beyond(well, cron.keep_succeeded).chain(beyond(badly, cron.keep_failed))
}

/// Replicas that are there though their service has no use for them: those of runs that are not kept,
/// and those of the other kind when a service has got a schedule, or lost it.
pub(super) fn strays(state: &State, deployment: &Deployment) -> Vec<Action> {
    let stray = |r: &&Arc<Replica>| {
        let Some(service) = state.service(&deployment.name, &r.id.service) else { return false };
        let timed = service.schedule.cron.is_some();
        timed != r.tick.is_some() || (timed && !state.is_kept_run(deployment, r))
    };
    let replicas = state.replicas_of(&deployment.name).filter(stray).map(|r| &**r);
    super::replace::remove_all(state, replicas)
}

//! Ticks of services that run at times: each is decided once, whoever says how often that it is due.
//!
//! Nothing here reads an expression: the database of time zones differs between versions of JACO, and
//! what follows from an entry may not. A tick names its time; the state holds the newest one that was
//! decided.

use jaco_api::model::{
    Concurrency, CronSchedule, Deployment, DeploymentName, DeploymentPhase, NodeId, PlannedService,
    Replica, Revision, Run, RunFate, ServiceName, Ticks, Timestamp,
};

use super::{
    Outcome, content,
    placing::{create, remove},
    reconcile::{deployment, planned},
    rejection::Rejection,
};
use crate::state::Transaction;

/// How many ticks of a service that did not run are kept.
const KEPT_WITHOUT_RUN: usize = 10;

/// A service is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tick {
    /// The deployment.
    pub deployment: DeploymentName,
    /// The service.
    pub service: ServiceName,
    /// The revision in force whose schedule says so; another one is `conflict`.
    pub revision: u64,
    /// When it is due: one that is not later than the last is decided already.
    pub tick: Timestamp,
}

impl Tick {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let Self { deployment: name, service, revision, tick } = self;
        let mut row = Deployment::clone(&*content::existing(tx.view(), name)?);
        let Some(ticks) = row.ticks.get(service).cloned() else {
            return Err(Rejection::conflict(format!("{name}/{service} has no schedule")));
        };
        if *tick <= ticks.last {
            return Ok(Outcome::Done);
        }
        if row.revision != *revision {
            let present = row.revision;
            return Err(Rejection::conflict(format!(
                "{name} is at revision {present}, the tick was worked out from {revision}"
            )));
        }
        let plan = planned(tx, name, service)?;
        let cron = plan.schedule.cron.as_ref();
        let Some(cron) = cron.filter(|_| !is_suspended(&row, &plan)) else {
            return Err(Rejection::conflict(format!(
                "the schedule of {name}/{service} is suspended"
            )));
        };
        if *tick > tx.at() {
            return Err(Rejection::conflict(format!("the tick {tick} lies in the future")));
        }
        let fate = decide(tx, &mut row, &ticks, cron, self);
        if let Some(ticks) = row.ticks.get_mut(service) {
            let (decided_at, replica, node) = (tx.at(), None, None);
            ticks.last = *tick;
            ticks.runs.push(Run { tick: *tick, decided_at, fate, replica, node });
            trim(ticks);
        }
        tx.put_deployment(row);
        Ok(Outcome::Done)
    }
}

/// Whether a service is not to run at its times for now.
fn is_suspended(row: &Deployment, plan: &PlannedService) -> bool {
    row.phase != DeploymentPhase::Running || plan.schedule.replicas == 0
}

/// What becomes of a tick; with `replace` the runs that it replaces are cancelled.
fn decide(
    tx: &mut Transaction<'_>,
    row: &mut Deployment,
    ticks: &Ticks,
    cron: &CronSchedule,
    tick: &Tick,
) -> RunFate {
    if tx.at().since(tick.tick) > cron.starting_deadline.to_std() {
        return RunFate::Missed;
    }
    let open: Vec<_> = ticks.runs.iter().filter(|r| tx.view().is_open(r)).map(|r| r.tick).collect();
    match cron.concurrency {
        Concurrency::Forbid if !open.is_empty() => return RunFate::Skipped,
        Concurrency::Replace => {
            let why = format!("replaced by the run of {}", tick.tick);
            for former in open {
                cancel(tx, row, &tick.service, former, &why);
            }
        }
        Concurrency::Forbid | Concurrency::Allow => {}
    }
    RunFate::Wanted
}

/// Ticks that did not run leave nothing behind: the oldest are forgotten.
fn trim(ticks: &mut Ticks) {
    let idle = |r: &Run| matches!(r.fate, RunFate::Skipped | RunFate::Missed);
    let excess = ticks.runs.iter().filter(|r| idle(r)).count().saturating_sub(KEPT_WITHOUT_RUN);
    let mut left = excess;
    ticks.runs.retain(|run| {
        let drop = left > 0 && idle(run);
        left -= usize::from(drop);
        !drop
    });
}

/// Ends a run that has not ended; its container goes.
fn cancel(
    tx: &mut Transaction<'_>,
    row: &mut Deployment,
    service: &ServiceName,
    tick: Timestamp,
    why: &str,
) {
    let run = row.ticks.get_mut(service).and_then(|t| t.run_mut(tick));
    let Some(run) = run.filter(|run| tx.view().is_open(run)) else { return };
    run.fate = RunFate::Cancelled(why.to_owned());
    if let Some(replica) = tx.view().replica_of_run(run).cloned() {
        remove(tx, &replica);
    }
}

/// Ends every run of a deployment that has not ended.
pub(super) fn cancel_all(tx: &mut Transaction<'_>, row: &mut Deployment, why: &str) {
    let all: Vec<_> = row
        .ticks
        .iter()
        .flat_map(|(service, ticks)| ticks.runs.iter().map(move |r| (service.clone(), r.tick)))
        .collect();
    for (service, tick) in all {
        cancel(tx, row, &service, tick, why);
    }
}

/// Starts a run on a node; starts it again when the node it was on is lost.
pub(super) fn start(
    tx: &mut Transaction<'_>,
    name: &DeploymentName,
    service: &ServiceName,
    tick: Timestamp,
    node: NodeId,
) -> Result<(), Rejection> {
    let (_, run) = kept(tx, name, service, tick)?;
    if run.fate != RunFate::Wanted {
        return Err(Rejection::conflict(format!("the run of {tick} is not wanted any more")));
    }
    if let Some(former) = tx.view().replica_of_run(&run).cloned() {
        let there = tx.view().node(former.node).is_some_and(|n| n.condition.holds_replicas());
        if there || former.has_ended() {
            return Err(Rejection::conflict(format!("{} is the run of {tick}", former.id)));
        }
        remove(tx, &former);
    }
    let id = create(tx, name, service, node, None, None)?;
    if let Some(replica) = tx.view().replica(&id).cloned() {
        tx.put_replica(Replica { tick: Some(tick), ..Replica::clone(&replica) });
    }
    let mut row = deployment(tx, name)?;
    if let Some(run) = row.ticks.get_mut(service).and_then(|t| t.run_mut(tick)) {
        (run.replica, run.node) = (Some(id), Some(node));
    }
    tx.put_deployment(row);
    Ok(())
}

/// Gives a run up that has not ended.
pub(super) fn give_up(
    tx: &mut Transaction<'_>,
    name: &DeploymentName,
    service: &ServiceName,
    tick: Timestamp,
    why: &str,
) -> Result<(), Rejection> {
    let (mut row, run) = kept(tx, name, service, tick)?;
    if !tx.view().is_open(&run) {
        return Err(Rejection::conflict(format!("the run of {tick} has ended")));
    }
    cancel(tx, &mut row, service, tick, why);
    tx.put_deployment(row);
    Ok(())
}

/// Forgets a run that has ended: its container goes.
pub(super) fn forget(
    tx: &mut Transaction<'_>,
    name: &DeploymentName,
    service: &ServiceName,
    tick: Timestamp,
) -> Result<(), Rejection> {
    let (mut row, run) = kept(tx, name, service, tick)?;
    if tx.view().is_open(&run) {
        return Err(Rejection::conflict(format!("the run of {tick} has not ended")));
    }
    if let Some(ticks) = row.ticks.get_mut(service) {
        ticks.runs.retain(|r| r.tick != tick);
    }
    let replica = tx.view().replica_of_run(&run).cloned();
    tx.put_deployment(row);
    if let Some(replica) = replica {
        remove(tx, &replica);
    }
    Ok(())
}

fn kept(
    tx: &Transaction<'_>,
    name: &DeploymentName,
    service: &ServiceName,
    tick: Timestamp,
) -> Result<(Deployment, Run), Rejection> {
    let row = deployment(tx, name)?;
    match row.ticks.get(service).and_then(|t| t.run(tick)).cloned() {
        Some(run) => Ok((row, run)),
        None => Err(Rejection::conflict(format!("the run of {tick} is not kept"))),
    }
}

/// Brings the ticks of a deployment in line with the revision that comes into force: nothing that was
/// due before a service ran at these times is caught up on.
pub(super) fn settle(
    row: &mut Deployment,
    former: Option<&Revision>,
    services: &std::collections::BTreeMap<ServiceName, PlannedService>,
    at: Timestamp,
) {
    let cron = |s: &ServiceName| services.get(s).and_then(|s| s.schedule.cron.as_ref());
    row.ticks.retain(|service, _| cron(service).is_some());
    for (service, planned) in services {
        let Some(present) = &planned.schedule.cron else { continue };
        let before = former.and_then(|r| r.services.get(service)?.schedule.cron.as_ref());
        let ticks = row.ticks.entry(service.clone()).or_default();
        if !before.is_some_and(|before| before.ticks_like(present)) {
            ticks.last = ticks.last.max(at);
        }
    }
}

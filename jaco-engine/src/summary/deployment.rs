//! One deployment with its services: the state people ask for first, and why it is not `active`.

use std::collections::BTreeMap;

use jaco_api::model::{
    CronSchedule, Deployment, DeploymentPhase, DeploymentState, DeploymentStatus, Intent,
    PlannedService, Replica, ReplicaState, RolloutPhase, RolloutStatus, RouteSpec, ServiceName,
    ServiceStatus,
};

use super::{cron, replica::stand};
use crate::{scheduler, state::State};

/// A deployment as it is shown.
pub(super) fn status(state: &State, row: &Deployment) -> DeploymentStatus {
    let revision = state.revision(&row.name, row.revision);
    let mut replicas: BTreeMap<&ServiceName, Vec<&Replica>> = BTreeMap::new();
    for replica in state.replicas_of(&row.name) {
        replicas.entry(&replica.id.service).or_default().push(replica);
    }
    let services: Vec<_> = revision
        .iter()
        .flat_map(|r| &r.services)
        .map(|(name, planned)| {
            let own = replicas.get(name).map(Vec::as_slice).unwrap_or_default();
            service(state, row, name, planned, own)
        })
        .collect();
    let (shown, reason) = overall(state, row, &services);
    DeploymentStatus {
        name: row.name.clone(),
        revision: row.revision,
        state: shown,
        reason,
        services,
        rollout: row.rollout.as_ref().map(|r| RolloutStatus {
            from: r.from,
            to: r.to,
            phase: r.phase.clone(),
            reason: r.reason.clone(),
        }),
        routes: revision
            .iter()
            .flat_map(|r| r.routes.iter().cloned())
            .map(RouteSpec::hidden)
            .collect(),
        created_at: row.created_at,
        updated_at: revision.map_or(row.created_at, |r| r.at),
    }
}

/// Whether a rollout is under way.
fn rolls(row: &Deployment) -> bool {
    row.rollout
        .as_ref()
        .is_some_and(|r| matches!(r.phase, RolloutPhase::Rolling | RolloutPhase::RollingBack))
}

/// The deployment's state from its phase, its rollout and its services.
fn overall(
    state: &State,
    row: &Deployment,
    services: &[ServiceStatus],
) -> (DeploymentState, Option<String>) {
    // The runs that are kept of a stopped deployment stay.
    let deleting = matches!(row.phase, DeploymentPhase::Deleting { .. });
    let left =
        || state.replicas_of(&row.name).filter(|r| deleting || !is_kept(state, row, r)).count();
    match row.phase {
        DeploymentPhase::Deleting { .. } => {
            let reason = match left() {
                0 => "its volumes are still being removed".to_owned(),
                1 => "1 replica is still there".to_owned(),
                n => format!("{n} replicas are still there"),
            };
            return (DeploymentState::Deleting, Some(reason));
        }
        DeploymentPhase::Stopped => {
            let reason = match left() {
                0 => "stopped; `jaco start` runs it again".to_owned(),
                1 => "1 replica is still stopping".to_owned(),
                n => format!("{n} replicas are still stopping"),
            };
            return (DeploymentState::Stopped, Some(reason));
        }
        DeploymentPhase::Running => {}
    }
    let worst = [
        DeploymentState::Failed,
        DeploymentState::Degraded,
        DeploymentState::Pending,
        DeploymentState::Updating,
    ];
    let first = worst.iter().find_map(|w| services.iter().find(|s| s.state == *w));
    let of_service = |s: &ServiceStatus| {
        s.reason.as_ref().map_or_else(|| s.name.to_string(), |r| format!("{}: {r}", s.name))
    };
    if let Some(rollout) = row.rollout.as_ref() {
        match rollout.phase {
            RolloutPhase::Rolling => {
                let progress = format!("revision {} replaces {}", rollout.to, rollout.from);
                let reason = match services.iter().find(|s| s.reason.is_some()) {
                    Some(service) => format!("{progress}; {}", of_service(service)),
                    None => progress,
                };
                return (DeploymentState::Updating, Some(reason));
            }
            RolloutPhase::RollingBack => {
                let cause = rollout.reason.as_deref().unwrap_or("the rollout failed");
                return (DeploymentState::Updating, Some(format!("rolls back: {cause}")));
            }
            RolloutPhase::Paused if first.is_none() => {
                let cause = rollout.reason.as_deref().unwrap_or("a step failed");
                let reason = format!("the rollout is paused: {cause}");
                return (DeploymentState::Degraded, Some(reason));
            }
            RolloutPhase::Paused | RolloutPhase::Completed | RolloutPhase::Failed => {}
        }
    }
    match first {
        Some(service) => (service.state, Some(of_service(service))),
        None => (DeploymentState::Active, None),
    }
}

fn service(
    state: &State,
    row: &Deployment,
    name: &ServiceName,
    planned: &PlannedService,
    replicas: &[&Replica],
) -> ServiceStatus {
    if let Some(cron) = &planned.schedule.cron {
        return scheduled(state, row, name, planned, cron);
    }
    let wanted: Vec<_> = replicas.iter().copied().filter(|r| r.intent == Intent::Run).collect();
    let is_current = |r: &Replica| r.container == planned.container && r.epoch == planned.epoch;
    let updated = count(wanted.iter().filter(|r| is_current(r)).count());
    let running = count(wanted.iter().filter(|r| does_its_work(state, r)).count());
    let desired = match row.phase {
        DeploymentPhase::Running => scheduler::wanted(state, row, name, planned),
        DeploymentPhase::Stopped | DeploymentPhase::Deleting { .. } => 0,
    };
    let (shown, reason) = service_state(state, row, name, planned, &wanted, desired);
    let (image, cron) = (planned.schedule.image.clone(), None);
    let name = name.clone();
    ServiceStatus { name, image, desired, running, updated, state: shown, reason, cron }
}

/// A service that runs at times: what is wanted are the runs that have not ended.
fn scheduled(
    state: &State,
    row: &Deployment,
    name: &ServiceName,
    planned: &PlannedService,
    schedule: &CronSchedule,
) -> ServiceStatus {
    let replicas = planned.schedule.replicas;
    let (desired, running) = cron::open(state, row.ticks.get(name));
    let status = cron::status(state, row, name, schedule, replicas);
    let (shown, reason) = cron::service_state(row, name, replicas, &status);
    ServiceStatus {
        name: name.clone(),
        image: planned.schedule.image.clone(),
        desired,
        running,
        updated: running,
        state: shown,
        reason,
        cron: Some(status),
    }
}

fn service_state(
    state: &State,
    row: &Deployment,
    name: &ServiceName,
    planned: &PlannedService,
    wanted: &[&Replica],
    desired: u32,
) -> (DeploymentState, Option<String>) {
    match row.phase {
        DeploymentPhase::Running => {}
        DeploymentPhase::Stopped => return (DeploymentState::Stopped, None),
        DeploymentPhase::Deleting { .. } => return (DeploymentState::Deleting, None),
    }
    let unplaced = row.unplaced.get(name).cloned();
    let outdated = |r: &&&Replica| r.container != planned.container || r.epoch != planned.epoch;
    let troubled: Vec<_> = wanted.iter().copied().filter(|r| !does_its_work(state, r)).collect();
    let failed = |r: &&Replica| r.observed.state == ReplicaState::Failed;
    let reason = |replica: Option<&&Replica>| {
        let replica = replica?;
        let schedule = state.service_of(replica).map(|s| &s.schedule);
        let (_, reason) = stand(state, replica, schedule);
        Some(reason.map_or_else(|| replica.id.to_string(), |r| format!("{}: {r}", replica.id)))
    };
    if desired > 0 && !wanted.is_empty() && wanted.iter().all(failed) {
        return (DeploymentState::Failed, reason(troubled.first()));
    }
    if rolls(row) && wanted.iter().filter(outdated).count() > 0 {
        return (DeploymentState::Updating, unplaced.or_else(|| reason(troubled.first())));
    }
    // One that ran before, or was given up, is a loss; one that never ran is on its way.
    let fell =
        troubled.iter().find(|r| failed(r) || r.running_since.is_some() || is_lost(state, r));
    if fell.is_some() {
        return (DeploymentState::Degraded, reason(fell));
    }
    // One that runs where it is not to stay says so itself.
    if unplaced.is_some() && count(wanted.len() - troubled.len()) < desired {
        return (DeploymentState::Pending, unplaced);
    }
    if !troubled.is_empty() {
        return (DeploymentState::Pending, reason(troubled.first()));
    }
    if count(wanted.len()) < desired {
        return (DeploymentState::Pending, Some(not_created(state, row, name)));
    }
    if count(wanted.len()) > desired {
        let surplus = count(wanted.len()) - desired;
        return (DeploymentState::Updating, Some(format!("{surplus} more than wanted are to go")));
    }
    if wanted.iter().any(|r| outdated(&r)) {
        let why = "replicas of an earlier revision are left from a rollout that was given up";
        return (DeploymentState::Degraded, Some(why.to_owned()));
    }
    (DeploymentState::Active, None)
}

/// Whether a replica is a run that has ended and is kept to be looked at.
fn is_kept(state: &State, row: &Deployment, replica: &Replica) -> bool {
    replica.has_ended() && state.is_kept_run(row, replica)
}

/// Why replicas are missing that nothing refused.
fn not_created(state: &State, row: &Deployment, name: &ServiceName) -> String {
    let mut leaving =
        state.replicas_of_service(&row.name, name).filter(|r| r.intent == Intent::Remove);
    match leaving.next() {
        Some(r) if is_lost(state, r) => {
            format!("waits until {}, which is lost, has certainly stopped", r.id)
        }
        Some(r) => format!("waits for {} to stop", r.id),
        None => "waits for the scheduler".to_owned(),
    }
}

fn is_lost(state: &State, replica: &Replica) -> bool {
    state.node(replica.node).is_none_or(|n| !n.condition.holds_replicas())
}

/// Whether it does what it is for, on a node that is there.
fn does_its_work(state: &State, replica: &Replica) -> bool {
    (replica.is_running() && !is_lost(state, replica)) || replica.is_completed()
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

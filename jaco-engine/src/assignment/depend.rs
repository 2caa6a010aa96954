//! Which dependencies of a replica do not hold yet, across the cluster.

use jaco_api::model::{
    DependencyCondition, Intent, PlannedService, Replica, ReplicaId, ReplicaState, Revision,
};

use crate::state::State;

/// What a replica of the service waits for, by the services of `revision`: `db to be healthy`.
///
/// Only replicas of a dependency's present content count. A dependency that is scaled to nothing,
/// or that the revision does not have, is not waited for.
#[must_use]
pub fn unmet(state: &State, revision: &Revision, replica: &ReplicaId) -> Vec<String> {
    let Some(service) = revision.services.get(&replica.service) else { return Vec::new() };
    let mut unmet = Vec::new();
    for (name, condition) in &service.schedule.depends_on {
        if service.schedule.beside.as_ref() == Some(name) {
            unmet.extend(beside(state, replica, *condition));
            continue;
        }
        let Some(on) = revision.services.get(name).filter(|s| is_wanted(revision, s)) else {
            continue;
        };
        let holds = state
            .replicas_of_service(&replica.deployment, name)
            .filter(|r| r.intent == Intent::Run)
            .filter(|r| r.container == on.container && r.epoch == on.epoch)
            .any(|r| satisfies(r, *condition));
        if !holds {
            unmet.push(format!("{name} {}", what(*condition)));
        }
    }
    unmet
}

/// What a companion waits for: the container that it is made beside and no other.
fn beside(state: &State, replica: &ReplicaId, condition: DependencyCondition) -> Option<String> {
    let row = state.replica(replica)?;
    let beside = row.beside.as_ref()?;
    let lead = state.lead_of(row).filter(|l| l.generation == beside.generation);
    let holds = lead.is_some_and(|lead| satisfies(lead, condition));
    (!holds).then(|| format!("{} {}", beside.replica, what(condition)))
}

fn what(condition: DependencyCondition) -> &'static str {
    match condition {
        DependencyCondition::Started => "to start",
        DependencyCondition::Healthy => "to be healthy",
        DependencyCondition::Completed => "to complete",
    }
}

/// Whether the container of a replica's present generation has been started.
#[must_use]
pub fn has_started(replica: &Replica) -> bool {
    replica.starting_at.is_some()
        || (replica.observed.generation == replica.generation
            && matches!(
                replica.observed.state,
                ReplicaState::Starting
                    | ReplicaState::Running
                    | ReplicaState::Degraded
                    | ReplicaState::Completed
            ))
}

fn is_wanted(revision: &Revision, service: &PlannedService) -> bool {
    let lead = service.schedule.beside.as_ref().and_then(|lead| revision.services.get(lead));
    let counted = &lead.unwrap_or(service).schedule;
    counted.is_global() || counted.replicas > 0
}

fn satisfies(replica: &Replica, condition: DependencyCondition) -> bool {
    match condition {
        DependencyCondition::Started => has_started(replica),
        DependencyCondition::Healthy => replica.is_running(),
        DependencyCondition::Completed => {
            replica.observed.generation == replica.generation
                && replica.observed.state == ReplicaState::Completed
        }
    }
}

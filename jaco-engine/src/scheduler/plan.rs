//! The batches: one per deployment that needs a step, guarded by the version it was planned from.

use std::collections::{BTreeMap, BTreeSet};

use jaco_api::model::{
    Deployment, DeploymentName, DeploymentPhase, Replica, ReplicaId, RolloutPhase, ServiceName,
    Timestamp,
};

use super::{Readings, check, input::Service, pass::Pass, replace, rollout, runs};
use crate::{
    command::{Action, Reconcile},
    state::State,
};

/// What is to be done now, as a value: carried out without further choices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// One batch per deployment that needs a step.
    pub batches: Vec<Reconcile>,
    /// When to plan which deployment again even if nothing happens.
    pub wakes: BTreeMap<DeploymentName, Timestamp>,
}

impl Plan {
    /// When the first deployment is to be planned again even if nothing happens.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.wakes.values().min().copied()
    }
}

/// Plans the next steps of the `touched` deployments at the leader's time `now`.
#[must_use]
pub fn plan(state: &State, touched: &BTreeSet<DeploymentName>, now: Timestamp) -> Plan {
    plan_with(state, touched, now, &Readings::default())
}

/// As [`plan()`], with what the leader measured itself.
#[must_use]
pub fn plan_with(
    state: &State,
    touched: &BTreeSet<DeploymentName>,
    now: Timestamp,
    readings: &Readings,
) -> Plan {
    let mut pass = Pass::new(state, now, readings);
    let (mut batches, mut wakes) = (Vec::new(), BTreeMap::new());
    for deployment in touched.iter().filter_map(|name| state.deployment(name)) {
        let actions = deployment_steps(&mut pass, deployment);
        wakes.extend(pass.wake_at.take().map(|at| (deployment.name.clone(), at)));
        if !actions.is_empty() {
            batches.push(Reconcile {
                deployment: deployment.name.clone(),
                version: deployment.version,
                actions,
            });
        }
    }
    let plan = Plan { batches, wakes };
    debug_assert_eq!(check::violations(state, &plan), Vec::<String>::new(), "{plan:?}");
    plan
}

/// The steps of one deployment.
fn deployment_steps<'a>(pass: &mut Pass<'a>, deployment: &'a Deployment) -> Vec<Action> {
    let state = pass.state;
    let name = &deployment.name;
    let revision = match deployment.phase {
        DeploymentPhase::Running => state.revision(name, deployment.revision),
        DeploymentPhase::Stopped | DeploymentPhase::Deleting { .. } => None,
    };
    let Some(revision) = revision else {
        // What has ended is looked at for as long as the deployment is there.
        let deleting = matches!(deployment.phase, DeploymentPhase::Deleting { .. });
        let stays = |r: &Replica| !deleting && r.has_ended() && state.is_kept_run(deployment, r);
        let replicas = state.replicas_of(name).map(|r| &**r).filter(|r| !stays(r));
        let mut actions = replace::remove_all(state, replicas);
        actions.extend(deployment.unplaced.keys().map(placed));
        if !deleting {
            actions.extend(runs::steps_of_stopped(state, deployment));
        }
        return actions;
    };
    let mut services: Vec<_> = revision
        .services
        .iter()
        .filter(|(_, planned)| planned.schedule.cron.is_none())
        .map(|(name, planned)| {
            let service = Service::new(pass, deployment, revision, name, planned);
            let tally = rollout::tally(pass, &service);
            (service, tally)
        })
        .collect();
    // Companions follow what becomes of their leads.
    services.sort_by_key(|(service, _)| service.planned.schedule.beside.is_some());
    let (mut actions, end) = rollout::failures(pass, deployment, &services);
    if let Some(end) = end {
        // The revision in force may be another one after this: nothing else is planned with it.
        actions.push(Action::EndRollout(end));
        return actions;
    }
    let mut stands = Vec::new();
    for (service, tally) in &services {
        if let Some(at) = service.wake_at {
            pass.wake(at);
        }
        let (steps, stand) = replace::steps(pass, service, tally, &actions);
        actions.extend(steps);
        stands.push(stand);
    }
    for (name, planned) in revision.services.iter().filter(|(_, s)| s.schedule.cron.is_some()) {
        let service = Service::new(pass, deployment, revision, name, planned);
        actions.extend(runs::steps(pass, &service));
    }
    actions.extend(runs::strays(state, deployment));
    let end = rollout::completion(deployment, &services, &stands);
    let rolling = end.is_none()
        && deployment.rollout.as_ref().is_some_and(|r| r.phase == RolloutPhase::Rolling);
    let dropped = dropped(state, deployment, &revision.services, rolling, &actions);
    actions.extend(dropped);
    actions.extend(end.map(Action::EndRollout));
    actions
}

/// Replicas of services that the revision in force does not have. Those without data stay until
/// the rollout that drops them has ended: should it fail, nothing that served is missing.
fn dropped<S>(
    state: &State,
    deployment: &Deployment,
    services: &BTreeMap<ServiceName, S>,
    rolling: bool,
    former: &[Action],
) -> Vec<Action> {
    let goes = |lead: &ReplicaId| {
        former.iter().any(|a| matches!(a, Action::Remove { replica } if replica == lead))
    };
    let follows = |r: &Replica| state.goes_with(r).is_some_and(goes);
    let stays = |r: &Replica| {
        rolling && r.is_running() && state.service_of(r).is_some_and(|s| !s.schedule.stateful)
    };
    let replicas = state
        .replicas_of(&deployment.name)
        .map(|r| &**r)
        .filter(|r| !services.contains_key(&r.id.service) && !stays(r) && !follows(r));
    let mut actions = replace::remove_all(state, replicas);
    let unplaced = deployment.unplaced.keys().filter(|name| !services.contains_key(*name));
    actions.extend(unplaced.map(placed));
    actions
}

/// Nothing of the service is waiting for a node.
fn placed(service: &ServiceName) -> Action {
    Action::Unplaced { service: service.clone(), reason: None }
}

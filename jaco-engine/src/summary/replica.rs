//! One replica: where it is and, unless it simply runs, why.

use jaco_api::model::{
    DeploymentPhase, Health, Intent, NodeId, NodeName, Reason, Replica, ReplicaState,
    ReplicaStatus, RolloutPhase, ServiceSchedule,
};

use super::{
    cron,
    lost::{why_it_leaves, why_lost},
};
use crate::{assignment, state::State};

/// A replica as it is shown.
pub(super) fn status(state: &State, replica: &Replica) -> ReplicaStatus {
    let schedule = state.service_of(replica).map(|s| &s.schedule);
    let (shown, reason) = stand(state, replica, schedule);
    let seen = &replica.observed;
    ReplicaStatus {
        id: replica.id.clone(),
        node: node_named(state, replica.node),
        state: shown,
        health: seen.health,
        reason,
        generation: replica.generation,
        revision: replica.revision,
        image: schedule.map(|s| s.image.clone()).unwrap_or_default(),
        container: seen.container.clone(),
        restarts: seen.restarts,
        exit_code: seen.exit_code,
        oom_killed: seen.oom_killed,
        started_at: seen.started_at,
        since: replica.observed_at.max(replica.created_at),
        log_tail: Vec::new(),
        tick: replica.tick,
    }
}

/// The state that is shown and why it is not simply `running`.
pub(super) fn stand(
    state: &State,
    replica: &Replica,
    schedule: Option<&ServiceSchedule>,
) -> (ReplicaState, Option<Reason>) {
    if let Some(reason) = why_lost(state, replica) {
        return (ReplicaState::Lost, wait(reason));
    }
    let seen = &replica.observed;
    if replica.intent == Intent::Remove {
        return match (seen.state, seen.reason.clone()) {
            // What the agent says of a stop that does not get on is worth more.
            (ReplicaState::Stopping, Some(reason)) => (ReplicaState::Stopping, Some(reason)),
            _ => (ReplicaState::Stopping, wait(why_it_goes(state, replica))),
        };
    }
    if let Some(reason) = being_replaced(state, replica) {
        return (ReplicaState::Updating, wait(reason));
    }
    match seen.state {
        ReplicaState::Running => (seen.state, why_it_leaves(state, replica).and_then(wait)),
        ReplicaState::Completed => (seen.state, None),
        ReplicaState::Pending => pending(state, replica),
        shown => {
            let words = || Reason { code: None, message: generic(shown, seen.health, schedule) };
            (shown, Some(seen.reason.clone().unwrap_or_else(words)))
        }
    }
}

fn wait(message: String) -> Option<Reason> {
    Some(Reason { code: None, message })
}

/// The name of a node; of one that has left, its number.
pub(super) fn node_named(state: &State, node: NodeId) -> NodeName {
    match state.node(node) {
        Some(node) => node.name.clone(),
        None => NodeName::new(format!("node-{node}")).expect("`node-<number>` is a name"),
    }
}

/// Why a replica is being stopped.
fn why_it_goes(state: &State, replica: &Replica) -> String {
    let id = &replica.id;
    let Some(deployment) = state.deployment(&id.deployment) else {
        return "being stopped".to_owned();
    };
    let emptied = state.node(replica.node).filter(|n| n.is_being_emptied());
    if let Some(tick) = replica.tick.filter(|_| state.runs_at_times(&id.deployment, &id.service)) {
        return cron::why_it_goes(state, replica, tick);
    }
    match deployment.phase {
        DeploymentPhase::Stopped => "being stopped: the deployment is stopped",
        DeploymentPhase::Deleting { .. } => "being stopped: the deployment is deleted",
        DeploymentPhase::Running if state.service(&id.deployment, &id.service).is_none() => {
            "being stopped: the service is no longer in the manifest"
        }
        DeploymentPhase::Running if !state.is_current(replica) => "being stopped: it was replaced",
        DeploymentPhase::Running if emptied.is_some() => "being stopped: its node is being emptied",
        DeploymentPhase::Running => "being stopped: it is no longer wanted",
    }
    .to_owned()
}

/// A replica whose present generation has no container yet.
fn pending(state: &State, replica: &Replica) -> (ReplicaState, Option<Reason>) {
    let waiting_on = assignment::waiting_on(state, replica);
    if !waiting_on.is_empty() {
        let reason = format!("waits for {}", waiting_on.join(", "));
        return (ReplicaState::Pending, wait(reason));
    }
    if let Some(reason) = replica.observed.reason.clone() {
        return (ReplicaState::Pending, Some(reason));
    }
    if replica.generation > 1 {
        let reason =
            format!("its container is being replaced by generation {}", replica.generation);
        return (ReplicaState::Updating, wait(reason));
    }
    (ReplicaState::Pending, wait("its node has not picked it up yet".to_owned()))
}

/// Whether a running replica is going to be replaced by the rollout under way, and how far that is.
fn being_replaced(state: &State, replica: &Replica) -> Option<String> {
    if !replica.is_running() || replica.tick.is_some() || state.is_current(replica) {
        return None;
    }
    let rollout = state.deployment(&replica.id.deployment)?.rollout.as_ref()?;
    if !matches!(rollout.phase, RolloutPhase::Rolling | RolloutPhase::RollingBack) {
        return None;
    }
    let to = rollout.to;
    Some(match replica.preparation.as_ref().map(|p| &p.result) {
        Some(None) => format!("runs on while the image of revision {to} is fetched"),
        Some(Some(Err(reason))) => {
            format!("runs on: the image of revision {to} cannot be fetched: {}", reason.message)
        }
        Some(Some(Ok(()))) => format!("about to be replaced by revision {to}"),
        None => format!("waits for its turn to be replaced by revision {to}"),
    })
}

/// What a state means when the node gave no reason.
fn generic(state: ReplicaState, health: Health, schedule: Option<&ServiceSchedule>) -> String {
    match (state, health) {
        (ReplicaState::Pulling, _) => {
            format!("fetches {}", schedule.map_or("its image", |s| s.image.as_str()))
        }
        (ReplicaState::Starting, Health::Starting) => "waits for its health check".to_owned(),
        (ReplicaState::Starting, _) => "has just been started".to_owned(),
        (ReplicaState::Degraded, Health::Unhealthy) => "its health check fails".to_owned(),
        (ReplicaState::Degraded, _) => "its container ended and is started again".to_owned(),
        (ReplicaState::Stopping, _) => "being stopped".to_owned(),
        (ReplicaState::Failed, _) => "given up until the next apply or restart".to_owned(),
        (other, _) => other.to_string(),
    }
}

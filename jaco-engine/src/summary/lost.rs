//! Why a replica is lost and what becomes of it, and why one that runs is going to leave its node.

use jaco_api::model::{
    Deployment, DeploymentPhase, Intent, Mode, Node, NodeCondition, Replica, ReplicaState,
    ServiceSchedule,
};

use crate::{
    scheduler::{
        Readings,
        lost::{FENCE_MARGIN, Fate, Tie, fate, grace},
        may_roll,
    },
    state::State,
};

/// Why a replica counts as lost; nothing when it does not.
pub(super) fn why_lost(state: &State, replica: &Replica) -> Option<String> {
    let Some(node) = state.node(replica.node) else {
        let done = replica.is_completed() || (replica.tick.is_some() && replica.has_ended());
        let over = done && replica.intent == Intent::Run;
        return (!over).then(|| "its node has left the cluster".to_owned());
    };
    if node.condition.holds_replicas() {
        let silent = replica.observed.state == ReplicaState::Lost && replica.intent == Intent::Run;
        return silent.then(|| format!("{} is back and has not said yet what it found", node.name));
    }
    if replica.intent == Intent::Remove {
        return Some(format!("{}; it is stopped when {} is back", cause(node), node.name));
    }
    if replica.has_ended() {
        return None;
    }
    Some(match becomes(state, replica, node) {
        Some(what) => format!("{}; {what}", cause(node)),
        None => cause(node),
    })
}

fn cause(node: &Node) -> String {
    match node.condition {
        NodeCondition::Degraded => {
            format!("the container engine of {} does not answer", node.name)
        }
        _ => format!("{} is down", node.name),
    }
}

/// What becomes of a replica on a lost node.
fn becomes(state: &State, replica: &Replica, node: &Node) -> Option<String> {
    if let Some(lead) = state.lead_of(replica) {
        return becomes(state, lead, node);
    }
    let deployment = state.deployment(&replica.id.deployment)?;
    if deployment.phase != DeploymentPhase::Running {
        return None;
    }
    let service = &replica.id.service;
    let schedule = &state.service(&deployment.name, service)?.schedule;
    let settings = state.settings();
    let placement = schedule.placement.as_ref().unwrap_or(&settings.default_placement);
    let name = &node.name;
    let fate = fate(replica, schedule, placement, node, settings, &Readings::default())?;
    Some(match fate {
        Fate::Waits(Tie::Data) => format!("its data is there, so it waits for {name}"),
        Fate::Waits(Tie::Hosts) => format!("it is pinned to its hosts, so it waits for {name}"),
        Fate::Waits(Tie::Global) => format!("it is the one of {name} and waits for it"),
        Fate::Waits(Tie::Once) => {
            format!("a run that is not started again, so it waits for {name}")
        }
        Fate::Waits(Tie::Unfenced) => {
            "whether it still runs there is not known, so it is not started elsewhere".to_owned()
        }
        Fate::Moves(_) if is_left_over(state, deployment, replica) => {
            format!("it waits for {name}: {}", left_over(replica))
        }
        Fate::Moves(_) => match deployment.unplaced.get(service) {
            Some(why) => format!("no node can take its successor: {why}"),
            None => format!("placed elsewhere {} after it was lost", patience(state, schedule)),
        },
    })
}

fn patience(state: &State, schedule: &ServiceSchedule) -> jaco_api::model::Span {
    let grace = grace(schedule, state.settings()).to_std();
    if schedule.singleton { (grace + FENCE_MARGIN).into() } else { grace.into() }
}

/// Whether a replica is of old content and the rollout that was to replace it was given up.
fn is_left_over(state: &State, deployment: &Deployment, replica: &Replica) -> bool {
    !state.is_current(replica) && !may_roll(deployment)
}

fn left_over(replica: &Replica) -> String {
    format!("it is of revision {}, and the rollout that replaces it was given up", replica.revision)
}

/// What a running replica waits for on a node that is being emptied.
pub(super) fn why_it_leaves(state: &State, replica: &Replica) -> Option<String> {
    if let Some(lead) = state.lead_of(replica) {
        return why_it_leaves(state, lead);
    }
    let node = state.node(replica.node).filter(|n| n.is_being_emptied())?;
    let deployment = state.deployment(&replica.id.deployment)?;
    let schedule = &state.service(&deployment.name, &replica.id.service)?.schedule;
    let name = &node.name;
    Some(if schedule.is_global() {
        format!("about to stop: {name} is being emptied")
    } else if schedule.is_tied() {
        format!("runs on: its data is on {name}, which is being emptied")
    } else if schedule.mode == Mode::Job {
        format!("runs to its end on {name}, which is being emptied")
    } else if is_left_over(state, deployment, replica) {
        format!("runs on while {name} is being emptied: {}", left_over(replica))
    } else if let Some(why) = deployment.unplaced.get(&replica.id.service) {
        format!("runs on while {name} is being emptied: no node can take its successor: {why}")
    } else {
        format!("runs until its successor does: {name} is being emptied")
    })
}

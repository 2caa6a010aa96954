//! Emptying a node: what is in the way, and what is left.
//!
//! In: the state and a node, whether or not it is being emptied yet. Out: replicas with reasons.
//! `plan` moves what can be moved; nothing here does.

use std::sync::Arc;

use jaco_api::model::{
    Availability, DeploymentName, DeploymentPhase, Intent, Mode, Node, NodeCondition, NodeId,
    Replica, ReplicaId, ServiceName, Timestamp,
};

use super::{
    Readings,
    input::Service,
    lost,
    pass::Pass,
    place::Board,
    rollout::{Tally, tally},
};
use crate::state::{State, is_cut_off};

/// The replicas that keep a node from being emptied, and why; nothing when all of them can move or
/// have moved. A node that is emptied by force is judged as if it were not.
#[must_use]
pub fn obstacles(state: &State, node: NodeId) -> Vec<(ReplicaId, String)> {
    let Some(row) = state.node(node) else { return Vec::new() };
    let emptied = emptied(state, row);
    let readings = Readings::default();
    // Nothing is due yet: a replica that is lost is judged like one that moves.
    let mut pass = Pass::new(&emptied, Timestamp(0), &readings);
    pass.left_out = Some(node);
    let mut found = Vec::new();
    let mut services: Vec<(&DeploymentName, &ServiceName)> =
        emptied.replicas_on(node).map(|r| (&r.id.deployment, &r.id.service)).collect();
    services.dedup();
    for (deployment, service) in services {
        found.extend(of_service(&mut pass, row, deployment, service));
    }
    found
}

/// The replicas that must go before a node may be removed. One that is going already is waited for
/// as long as its node can say that it is gone, by force not even for an engine that does not
/// answer; a singleton until its node has certainly stopped it.
#[must_use]
pub fn left(state: &State, node: NodeId, now: Timestamp) -> Vec<ReplicaId> {
    let Some(row) = state.node(node) else { return Vec::new() };
    let waits = |replica: &&Arc<Replica>| match replica.intent {
        Intent::Run => !replica.is_completed() && replica.takes_room(),
        Intent::Remove => can_tell(row) || may_run_twice(state, row, replica, now),
    };
    state.replicas_on(node).filter(waits).map(|r| r.id.clone()).collect()
}

/// Whether a node is going to say what has become of its replicas, as far as that is waited for.
fn can_tell(node: &Node) -> bool {
    match node.condition {
        NodeCondition::Down => false,
        NodeCondition::Degraded => !node.gives_up_replicas(),
        _ => true,
    }
}

/// Whether a singleton on a lost node may still run there.
fn may_run_twice(state: &State, node: &Node, replica: &Replica, now: Timestamp) -> bool {
    let Some(service) = state.service_of(replica).filter(|s| s.schedule.singleton) else {
        return false;
    };
    let readings = Readings::default();
    !is_cut_off(state, node.id)
        || lost::cut_off_until(node, &service.schedule, state.settings(), &readings) > now
}

/// The state with the node being emptied in order.
fn emptied(state: &State, node: &Node) -> State {
    let mut state = state.clone();
    let availability = Availability::Draining;
    let row = Node { availability, forced: false, ..node.clone() }.settled();
    state.nodes.put(row.id, Arc::new(row));
    state
}

fn of_service<'a>(
    pass: &mut Pass<'a>,
    node: &Node,
    deployment: &DeploymentName,
    name: &ServiceName,
) -> Vec<(ReplicaId, String)> {
    let state = pass.state;
    let running = state.deployment(deployment).filter(|d| d.phase == DeploymentPhase::Running);
    let revision = running.and_then(|d| state.revision(deployment, d.revision));
    let planned = revision.and_then(|r| r.services.get_key_value(name));
    let (Some(row), Some(revision), Some((name, planned))) = (running, revision, planned) else {
        // It is on its way out.
        return Vec::new();
    };
    let service = Service::new(pass, row, revision, name, planned);
    // A companion goes with its lead.
    if planned.schedule.is_global() || planned.schedule.beside.is_some() {
        return Vec::new();
    }
    let tally = tally(pass, &service);
    let stays = service.current.iter().copied().filter(|r| !r.is_completed());
    let mut found: Vec<_> = stays
        .filter(|r| r.node == node.id)
        .map(|r| (r.id.clone(), why_it_stays(&service, node)))
        .collect();
    let mut missing =
        planned.schedule.replicas.saturating_sub(u32::try_from(service.current.len()).unwrap_or(0));
    let mut board = None;
    for outgoing in service.outgoing.iter().filter(|o| o.replica.node == node.id) {
        let replica = outgoing.replica;
        if service.cannot_move(replica) {
            found.push((replica.id.clone(), why_it_stays(&service, node)));
        } else if outgoing.outdated && !service.may_roll() {
            found.push((replica.id.clone(), why_it_is_not_replaced(replica)));
        } else if missing > 0 {
            missing -= 1;
            let board = board.get_or_insert_with(|| Board::new(pass, &service, |_| true));
            if let Err(why) = board.take(pass, &service) {
                found.push((replica.id.clone(), format!("no other node can take it: {why}")));
            }
        } else if let Some(why) = why_its_successor_fails(&tally) {
            found.push((replica.id.clone(), why));
        }
    }
    found
}

/// Why a replica is not moved by the scheduler.
fn why_it_stays(service: &Service<'_>, node: &Node) -> String {
    let schedule = &service.planned.schedule;
    match schedule.volumes.first() {
        Some(volume) => format!("its data is on {}: volume {volume}", node.name),
        None if schedule.stateful => format!("it uses directories of {}", node.name),
        None if schedule.cron.is_some() => "it is a run that has not ended".to_owned(),
        None if schedule.mode == Mode::Job => "it is a job that has not ended".to_owned(),
        None => format!("it stays on {}", node.name),
    }
}

fn why_it_is_not_replaced(replica: &Replica) -> String {
    format!("it is of revision {}, and the rollout that replaces it was given up", replica.revision)
}

fn why_its_successor_fails(tally: &Tally<'_>) -> Option<String> {
    tally.failures.last().map(|why| format!("its replacement failed: {why}"))
}

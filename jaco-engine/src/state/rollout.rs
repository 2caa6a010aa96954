//! What a rollout must leave running: one answer for the scheduler that plans and the state machine
//! that refuses.

use std::collections::BTreeSet;

use jaco_api::model::{
    Deployment, DeploymentName, Intent, Rollout, RolloutPhase, ServiceName, Slot,
};

use super::State;

/// The revision in force and those that a rollout needs: one under way, or the next one after one that
/// failed, which goes back to the same.
pub(crate) fn needed_revisions(deployment: &Deployment) -> BTreeSet<u64> {
    let mut needed = BTreeSet::from([deployment.revision]);
    let open = |r: &&Rollout| r.ended_at.is_none() || r.phase == RolloutPhase::Failed;
    if let Some(rollout) = deployment.rollout.as_ref().filter(open) {
        needed.extend([rollout.from, rollout.to]);
    }
    needed
}

/// A service's running replicas against what its rollout must leave of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolloutFloor {
    /// Replicas that run and are healthy on a member, of whatever content.
    pub running: u32,
    /// How many must be left.
    pub floor: u32,
}

/// What the rollout of a service must leave running; absent when the revision in force has no such
/// service. A `global` service wants the replicas it has on nodes that are there, whichever those
/// are: what a lost node had cannot be held. Of a companion as many are wanted as of its lead.
#[must_use]
pub fn rollout_floor(
    state: &State,
    deployment: &DeploymentName,
    service: &ServiceName,
) -> Option<RolloutFloor> {
    let schedule = &state.service(deployment, service)?.schedule;
    let origin = state.revision_in_force(deployment)?.origin;
    let (mut covered, mut running) = (0, 0);
    for replica in state.replicas_of_service(deployment, service).filter(|r| r.tick.is_none()) {
        let on_node = matches!(replica.id.slot, Slot::Node(_));
        let there = state.node(replica.node).is_some_and(|n| n.condition.holds_replicas());
        covered += u32::from(on_node && there && replica.intent == Intent::Run);
        running += u32::from(replica.is_running() && state.node(replica.node).is_some());
    }
    let lead = schedule.beside.as_ref().and_then(|lead| state.service(deployment, lead));
    let counted = lead.map_or(schedule, |lead| &lead.schedule);
    let desired = if counted.is_global() { covered } else { counted.replicas };
    Some(RolloutFloor { running, floor: schedule.floor(desired, origin) })
}

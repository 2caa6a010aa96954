//! No step of a rollout leaves fewer running than the service's floor.

use jaco_api::model::{
    DeploymentName, DeploymentPhase, Intent, Replica, RolloutPhase, ServiceName, Slot,
};
use jaco_engine::{
    command::{Command, Outcome},
    state::State,
    testing::replay::{Content, Step},
};

use super::{Broken, Invariant};

pub(super) struct Floor;

impl Invariant for Floor {
    fn name(&self) -> &'static str {
        "rollout floor held"
    }

    fn entry(&mut self, step: &Step) -> Result<(), Broken> {
        let Content::Command { envelope, outcome: Outcome::Done } = &step.content else {
            return Ok(());
        };
        let Command::Reconcile(batch) = &envelope.command else { return Ok(()) };
        let name = &batch.deployment;
        let (Some(row), Some(revision)) =
            (step.before.deployment(name), step.before.revision_in_force(name))
        else {
            return Ok(());
        };
        let rolls = row
            .rollout
            .as_ref()
            .is_some_and(|r| matches!(r.phase, RolloutPhase::Rolling | RolloutPhase::RollingBack));
        // One that is stopped or deleted keeps nothing running.
        let rolls = rolls && row.phase == DeploymentPhase::Running;
        let same = step.after.deployment(name).is_some_and(|d| d.revision == row.revision);
        if !rolls || !same {
            return Ok(());
        }
        for (service, planned) in &revision.services {
            let after = running(&step.after, name, service);
            let taken = taken(step, name, service);
            let schedule = &planned.schedule;
            let wanted = match schedule.is_global() {
                true => covered(&step.after, name, service),
                false => schedule.replicas,
            };
            let floor = schedule.floor(wanted, revision.origin);
            if !taken.is_empty() && after < floor {
                let index = step.index;
                return Err(format!("entry {index} takes {taken:?} and leaves {after} of {floor}"));
            }
        }
        Ok(())
    }
}

fn running(state: &State, deployment: &DeploymentName, service: &ServiceName) -> u32 {
    let all = state.replicas_of_service(deployment, service);
    let runs = all.filter(|r| r.is_running() && state.node(r.node).is_some());
    u32::try_from(runs.count()).unwrap_or(u32::MAX)
}

/// Replicas that ran before an entry and do not after it. What operators give up by force with a node
/// is not held.
fn taken(step: &Step, deployment: &DeploymentName, service: &ServiceName) -> Vec<String> {
    let held = |r: &&std::sync::Arc<Replica>| {
        r.is_running() && step.before.node(r.node).is_some_and(|n| !n.gives_up_replicas())
    };
    let before = step.before.replicas_of_service(deployment, service).filter(held);
    // A companion goes with the container that it was made beside.
    let alone = |r: &std::sync::Arc<Replica>| {
        let lead = step.after.lead_of(r).map(|lead| lead.generation);
        r.beside.as_ref().is_some_and(|beside| lead != Some(beside.generation))
    };
    let gone = before
        .filter(|r| !step.after.replica(&r.id).is_some_and(|r| r.is_running()))
        .filter(|r| !alone(r));
    gone.map(|r| r.id.to_string()).collect()
}

/// Where a global service is to run: on nodes that are there.
fn covered(state: &State, deployment: &DeploymentName, service: &ServiceName) -> u32 {
    let all = state.replicas_of_service(deployment, service);
    let there = all.filter(|r| {
        let lives = state.node(r.node).is_some_and(|n| n.condition.holds_replicas());
        lives && matches!(r.id.slot, Slot::Node(_)) && r.intent == Intent::Run
    });
    u32::try_from(there.count()).unwrap_or(u32::MAX)
}

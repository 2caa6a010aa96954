//! What a node saw of its replicas: transitions in, nothing decided.

use jaco_api::{
    error::ErrorCode,
    model::{
        DeploymentName, Intent, Observation, Replica, ReplicaReport, ReplicaState, Report,
        Timestamp,
    },
};

use super::{Outcome, delete, rejection::Rejection};
use crate::state::Transaction;

/// Takes what a node reports. What is about replicas it does not own, or about generations that are
/// no longer, is left out; so is what runs on a node that counts as lost, until it is back.
pub(super) fn apply(report: &Report, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
    let Some(node) = tx.view().node(report.node) else {
        return Err(Rejection::new(
            ErrorCode::UnknownNode,
            format!("there is no node {}", report.node),
        ));
    };
    let counts = node.condition.holds_replicas();
    for part in &report.replicas {
        let row = tx.view().replica(&part.id).filter(|r| r.node == report.node);
        let Some(row) = row.map(|r| Replica::clone(r)) else { continue };
        match (&part.observation, row.intent) {
            (None, Intent::Remove) => remove(tx, row),
            _ if counts => note(tx, row, part),
            _ => {}
        }
    }
    for name in &report.removed_volumes {
        let row = tx.view().volume_on(name, report.node).filter(|v| v.removing);
        if let Some(deployment) = row.map(|v| v.deployment.clone()) {
            tx.remove_volume(name, report.node);
            delete::finish(tx, &deployment);
        }
    }
    Ok(Outcome::Done)
}

/// The container of a replica that was to go is gone.
fn remove(tx: &mut Transaction<'_>, mut row: Replica) {
    if row.observed.state != ReplicaState::Stopped {
        row.observed = Observation {
            generation: row.generation,
            state: ReplicaState::Stopped,
            ..Observation::default()
        };
        tx.replica_event(&row);
    }
    let deployment: DeploymentName = row.id.deployment.clone();
    tx.remove_replica(&row.id);
    delete::finish(tx, &deployment);
}

fn note(tx: &mut Transaction<'_>, old: Replica, part: &ReplicaReport) {
    let mut new = old.clone();
    if let Some(seen) = part.observation.as_ref().filter(|o| o.generation == old.generation) {
        observe(&mut new, seen, tx.at());
        if let Some(tail) = &part.log_tail {
            new.log_tail = Some(tail.clone());
        }
    }
    if let (Some((of, result)), Some(preparation)) = (&part.prepared, new.preparation.as_mut())
        && *of == preparation.container
    {
        preparation.result = Some(result.clone());
    }
    if new == old {
        return;
    }
    if (new.observed.state, &new.observed.reason) != (old.observed.state, &old.observed.reason) {
        tx.replica_event(&new);
    }
    tx.put_replica(new);
}

/// Takes an observation of the present generation.
fn observe(replica: &mut Replica, seen: &Observation, at: Timestamp) {
    use ReplicaState::{Degraded, Running, Starting};
    if replica.observed == *seen {
        return;
    }
    if matches!(seen.state, Starting | Running | Degraded) {
        replica.starting_at.get_or_insert(at);
    }
    if seen.state == Running && replica.observed.state != Running {
        replica.running_since = Some(at);
    }
    replica.observed = seen.clone();
    replica.observed_at = at;
}

//! Generations of replicas: each is one container, made from the revision in force of its time.

use jaco_api::model::{
    DeploymentName, Intent, NodeId, Observation, PlannedService, Replica, ReplicaId, ReplicaState,
    ServiceName, Timestamp,
};

use super::{address, companion, rejection::Rejection, subnet};
use crate::state::Transaction;

/// The first generation of a replica.
pub(super) fn first(
    id: ReplicaId,
    node: NodeId,
    plan: &PlannedService,
    revision: u64,
    at: Timestamp,
) -> Replica {
    Replica {
        id,
        node,
        intent: Intent::Run,
        generation: 1,
        container: plan.container,
        epoch: plan.epoch,
        revision,
        replaces: None,
        preparation: None,
        observed: Observation { generation: 1, ..Observation::default() },
        observed_at: at,
        starting_at: None,
        running_since: None,
        log_tail: None,
        created_at: at,
        tick: None,
        beside: None,
    }
}

/// The next generation of a replica, from the service's present content: nothing that was seen of
/// the former one holds for it.
pub(super) fn advance(tx: &mut Transaction<'_>, replica: &Replica) -> Result<(), Rejection> {
    let ReplicaId { deployment, service, .. } = &replica.id;
    let present = tx
        .view()
        .revision_in_force(deployment)
        .and_then(|r| Some((r.services.get(service)?.clone(), r.number)));
    let Some((plan, revision)) = present else {
        return Err(Rejection::conflict(format!(
            "the revision in force of {deployment} has no service {service}"
        )));
    };
    subnet::provide(tx, deployment, &plan.schedule, replica.node)?;
    address::provide_if_any(tx, deployment, service, &plan.schedule);
    let generation = replica.generation + 1;
    let beside = companion::beside(tx.view(), &replica.id, &plan);
    tx.put_replica(Replica {
        generation,
        beside,
        observed: Observation { generation, ..Observation::default() },
        ..first(replica.id.clone(), replica.node, &plan, revision, tx.at())
    });
    companion::advance_all(tx, &replica.id)
}

/// Gives the failed replicas of these services a new generation; says how many there were.
pub(super) fn renew_failed(
    tx: &mut Transaction<'_>,
    deployment: &DeploymentName,
    concerned: impl Fn(&ServiceName) -> bool,
) -> usize {
    let failed: Vec<_> = tx
        .view()
        .replicas_of(deployment)
        .filter(|r| r.intent == Intent::Run && r.observed.state == ReplicaState::Failed)
        .filter(|r| r.observed.generation == r.generation && concerned(&r.id.service))
        // The next tick is another run.
        .filter(|r| r.tick.is_none())
        .cloned()
        .collect();
    let mut renewed = 0;
    for replica in failed {
        // Its lead's may have brought it a new one already.
        let row = tx.view().replica(&replica.id).filter(|r| r.generation == replica.generation);
        let row = row.cloned();
        renewed += usize::from(row.is_none_or(|row| advance(tx, &row).is_ok()));
    }
    renewed
}

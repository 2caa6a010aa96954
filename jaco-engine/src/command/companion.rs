//! Companions go where their leads go: each container of a lead has theirs beside it, made, replaced and
//! removed in the same entry of the log.

use jaco_api::model::{
    Beside, DeploymentName, Intent, PlannedService, Replica, ReplicaId, ServiceName,
};

use super::{
    address, delete, generation,
    placing::settle_volumes,
    reconcile::{deployment, planned},
    rejection::Rejection,
    subnet,
};
use crate::state::{State, Transaction};

/// The container that a replica of this service is made beside now.
pub(super) fn beside(state: &State, id: &ReplicaId, plan: &PlannedService) -> Option<Beside> {
    let service = plan.schedule.beside.clone()?;
    let lead = state.replica(&ReplicaId { service, ..id.clone() })?;
    let runs = lead.intent == Intent::Run;
    runs.then(|| Beside { replica: lead.id.clone(), generation: lead.generation })
}

/// Creates the companion of a replica that is there.
pub(super) fn accompany(
    tx: &mut Transaction<'_>,
    name: &DeploymentName,
    service: &ServiceName,
    lead: &ReplicaId,
) -> Result<(), Rejection> {
    let plan = planned(tx, name, service)?;
    let id = ReplicaId { service: service.clone(), ..lead.clone() };
    let node = tx.view().replica(lead).map(|l| l.node);
    let (Some(beside), Some(node)) = (beside(tx.view(), &id, &plan), node) else {
        return Err(Rejection::conflict(format!("{lead} is not there to be accompanied")));
    };
    if beside.replica != *lead || *name != lead.deployment {
        return Err(Rejection::conflict(format!("{service} does not live beside {lead}")));
    }
    if tx.view().replica(&id).is_some() {
        return Err(Rejection::conflict(format!("replica {id} exists already")));
    }
    settle_volumes(tx, name, &plan, node)?;
    subnet::provide(tx, name, &plan.schedule, node)?;
    address::provide_if_any(tx, name, service, &plan.schedule);
    let mut row = deployment(tx, name)?;
    if let Some(index) = id.slot.index() {
        let last = row.last_index.entry(service.clone()).or_insert(0);
        *last = index.max(*last);
    }
    let first = generation::first(id, node, &plan, row.revision, tx.at());
    tx.put_deployment(row);
    tx.put_replica(Replica { beside: Some(beside), ..first });
    Ok(())
}

/// Creates the companions of a replica that was just created. One whose predecessor of the same name is
/// not gone yet comes later.
pub(super) fn accompany_all(tx: &mut Transaction<'_>, lead: &ReplicaId) -> Result<(), Rejection> {
    let name = &lead.deployment;
    for service in tx.view().companions(name, &lead.service) {
        let id = ReplicaId { service: service.clone(), ..lead.clone() };
        if tx.view().replica(&id).is_none() {
            accompany(tx, name, &service, lead)?;
        }
    }
    Ok(())
}

/// The next generation of all that was made beside a replica, whose container is another one now, and the
/// first of what is new. What the revision in force does not have beside it any more is left for the
/// scheduler.
pub(super) fn advance_all(tx: &mut Transaction<'_>, lead: &ReplicaId) -> Result<(), Rejection> {
    for companion in tx.view().followers(lead) {
        let service = tx.view().service(&lead.deployment, &companion.id.service);
        let follows = service.is_some_and(|s| s.schedule.beside.as_ref() == Some(&lead.service));
        if follows && companion.intent == Intent::Run {
            generation::advance(tx, &companion)?;
        }
    }
    accompany_all(tx, lead)
}

/// What was made beside a replica goes with it.
pub(super) fn remove_all(tx: &mut Transaction<'_>, lead: &Replica) {
    for companion in tx.view().followers(&lead.id) {
        if tx.view().node(companion.node).is_none() {
            tx.remove_replica(&companion.id);
            delete::finish(tx, &companion.id.deployment);
        } else if companion.intent == Intent::Run {
            let (intent, preparation) = (Intent::Remove, None);
            tx.put_replica(Replica { intent, preparation, ..Replica::clone(&companion) });
        }
    }
}

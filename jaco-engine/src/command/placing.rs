//! Replicas on nodes: created, moved, told to go.

use std::sync::Arc;

use jaco_api::model::{
    AuditKind, DeploymentName, DeploymentPhase, Intent, NodeId, NodeName, NodeStatus,
    PlannedService, Replica, ReplicaId, ServiceName, Slot, Volume,
};

use super::{
    address, companion, delete, generation,
    reconcile::{deployment, planned, wanted},
    rejection::Rejection,
    subnet,
};
use crate::state::{Transaction, is_cut_off, payload};

pub(super) fn create(
    tx: &mut Transaction<'_>,
    name: &DeploymentName,
    service: &ServiceName,
    node: NodeId,
    slot: Option<&NodeName>,
    replaces: Option<&ReplicaId>,
) -> Result<ReplicaId, Rejection> {
    let mut row = deployment(tx, name)?;
    if row.phase != DeploymentPhase::Running {
        return Err(Rejection::conflict(format!("{name} is not to run")));
    }
    let plan = planned(tx, name, service)?;
    if let Some(lead) = &plan.schedule.beside {
        return Err(Rejection::conflict(format!("{service} is created beside {lead} only")));
    }
    match tx.view().node(node) {
        Some(row) if row.status == NodeStatus::Ready => {}
        Some(row) => return Err(Rejection::conflict(format!("{} takes no new work", row.name))),
        None => return Err(Rejection::conflict(format!("node {node} is gone"))),
    }
    if plan.schedule.singleton {
        refuse_second_copy(tx, name, service)?;
    }
    let slot = match slot {
        Some(node) => Slot::Node(node.clone()),
        None => {
            let last = row.last_index.entry(service.clone()).or_insert(0);
            *last += 1;
            Slot::Index(*last)
        }
    };
    let id = ReplicaId { deployment: name.clone(), service: service.clone(), slot };
    if tx.view().replica(&id).is_some() {
        return Err(Rejection::conflict(format!("replica {id} exists already")));
    }
    settle_volumes(tx, name, &plan, node)?;
    subnet::provide(tx, name, &plan.schedule, node)?;
    address::provide_first(tx, name, service, &plan.schedule)?;
    let first = generation::first(id.clone(), node, &plan, row.revision, tx.at());
    tx.put_deployment(row);
    tx.put_replica(Replica { replaces: replaces.cloned(), ..first });
    companion::accompany_all(tx, &id)?;
    Ok(id)
}

/// Refuses to start a singleton beside a copy that may still run: only one on a node that is down is
/// stopped by that node itself. How long that takes is the scheduler's to wait for.
fn refuse_second_copy(
    tx: &Transaction<'_>,
    name: &DeploymentName,
    service: &ServiceName,
) -> Result<(), Rejection> {
    let may_run = |r: &&Arc<Replica>| !is_cut_off(tx.view(), r.node);
    let companions = tx.view().companions(name, service);
    let services = std::iter::once(service).chain(&companions);
    let mut copies = services.flat_map(|s| tx.view().replicas_of_service(name, s));
    match copies.find(may_run) {
        Some(other) => Err(Rejection::conflict(format!("{} may still run", other.id))),
        None => Ok(()),
    }
}

/// The container of a replica is to go. What was on a node that is no member is gone already.
pub(super) fn remove(tx: &mut Transaction<'_>, row: &Replica) {
    companion::remove_all(tx, row);
    if tx.view().node(row.node).is_none() {
        tx.remove_replica(&row.id);
        delete::finish(tx, &row.id.deployment);
        return;
    }
    tx.put_replica(Replica { intent: Intent::Remove, preparation: None, ..row.clone() });
}

/// Creates the successor of a replica on another node.
pub(super) fn relocate(
    tx: &mut Transaction<'_>,
    name: &DeploymentName,
    id: &ReplicaId,
    to: NodeId,
    reason: &str,
) -> Result<(), Rejection> {
    let row = wanted(tx, name, id)?;
    let schedule = planned(tx, name, &id.service)?.schedule;
    let succeeds = |r: &Arc<Replica>| r.replaces.as_ref() == Some(id);
    if !tx.view().is_current(&row)
        || row.node == to
        || !schedule.moves_start_first()
        || tx.view().replicas_of_service(name, &id.service).any(succeeds)
    {
        return Err(Rejection::conflict(format!("replica {id} is not to move")));
    }
    create(tx, name, &id.service, to, None, Some(id))?;
    let named = |node| tx.view().node(node).map(|n| n.name.to_string()).unwrap_or_default();
    let facts = payload([
        ("replica", id.to_string()),
        ("from", named(row.node)),
        ("to", named(to)),
        ("reason", reason.to_owned()),
    ]);
    tx.audit(AuditKind::RebalanceMoved, facts);
    Ok(())
}

/// Ties the volumes of a service to the node of its first replica.
pub(super) fn settle_volumes(
    tx: &mut Transaction<'_>,
    name: &DeploymentName,
    plan: &PlannedService,
    node: NodeId,
) -> Result<(), Rejection> {
    for volume in &plan.schedule.volumes {
        if let Some(row) = tx.view().volume_on(volume, node) {
            if row.removing {
                return Err(Rejection::conflict(format!("volume {volume} is being removed")));
            }
            continue;
        }
        let external = tx
            .view()
            .revision_in_force(name)
            .and_then(|r| r.volumes.values().find(|spec| spec.engine_name == *volume))
            .is_some_and(|spec| spec.external);
        tx.put_volume(Volume {
            name: volume.clone(),
            node,
            deployment: name.clone(),
            external,
            removing: false,
        });
    }
    Ok(())
}

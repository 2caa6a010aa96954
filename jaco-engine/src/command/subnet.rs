//! Blocks of addresses: given to networks that replicas need, and given back to everybody.

use jaco_api::{
    error::ErrorCode,
    model::{AuditKind, BlockCount, DeploymentName, NodeId, ServiceSchedule, Subnet, SubnetKey},
};

use super::{Outcome, rejection::Rejection};
use crate::state::Transaction;

/// Blocks whose quarantine is over: every member has confirmed that their bridge is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseSubnets {
    /// As they were when that was found; one that is another by now stays as it is.
    pub subnets: Vec<Subnet>,
}

impl ReleaseSubnets {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        for found in &self.subnets {
            let row = tx.view().subnet(&found.key);
            if found.released.is_some() && row.is_some_and(|row| **row == *found) {
                tx.remove_subnet(&found.key);
            }
        }
        Ok(Outcome::Done)
    }
}

/// Gives every network of a service a block on a node, where it has none: all or none. A block that
/// was released there before is taken back: nobody else has had it.
pub(super) fn provide(
    tx: &mut Transaction<'_>,
    deployment: &DeploymentName,
    schedule: &ServiceSchedule,
    node: NodeId,
) -> Result<(), Rejection> {
    let key = |network: &_| SubnetKey {
        deployment: deployment.clone(),
        network: jaco_api::model::NetworkName::clone(network),
        node,
    };
    let (mut missing, mut released) = (Vec::new(), Vec::new());
    for key in schedule.networks.iter().map(key) {
        match tx.view().subnet(&key) {
            None => missing.push(key),
            Some(row) if row.released.is_some() => released.push(Subnet::clone(row)),
            Some(_) => {}
        }
    }
    if missing.len() as u64 > tx.view().blocks().free() {
        return Err(exhausted(tx));
    }
    for row in released {
        give(tx, Subnet { released: None, ..row });
    }
    for key in missing {
        let Some(prefix) = tx.view().next_block() else { return Err(exhausted(tx)) };
        give(tx, Subnet { key, prefix, released: None });
    }
    Ok(())
}

fn give(tx: &mut Transaction<'_>, row: Subnet) {
    tx.audit_subnet(AuditKind::SubnetAllocated, &row);
    tx.put_subnet(row);
}

fn exhausted(tx: &Transaction<'_>) -> Rejection {
    let BlockCount { capacity, taken, used, quarantined } = tx.view().blocks();
    let mut rejection = Rejection::new(
        ErrorCode::SubnetPoolExhausted,
        format!("no address block is free: {taken} of {capacity} are taken, {quarantined} of them in quarantine"),
    )
    .with("used", used)
    .with("quarantined", quarantined)
    .with("capacity", capacity)
    .hint("add a pool: `jaco cluster set address_pools \"<present pools>, <address>/<length>:<block>\"`");
    for (pool, count) in tx.view().pools() {
        let BlockCount { capacity, used, quarantined, .. } = count;
        let text = format!("{used} used, {quarantined} quarantined, {capacity} in all");
        rejection = rejection.with(&format!("pool {pool}"), text);
    }
    rejection
}

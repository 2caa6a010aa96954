//! Virtual addresses: given to services, one on each network that they are on.

use jaco_api::{
    error::ErrorCode,
    model::{DeploymentName, ServiceName, ServiceSchedule, VirtualAddress},
};

use super::rejection::Rejection;
use crate::state::{AddressCount, Transaction};

/// Gives a service the virtual addresses that it lacks: all or none.
pub(super) fn provide(
    tx: &mut Transaction<'_>,
    deployment: &DeploymentName,
    service: &ServiceName,
    schedule: &ServiceSchedule,
) -> Result<(), Rejection> {
    let missing: Vec<_> = tx.view().lacking_addresses(deployment, service, schedule).collect();
    if missing.len() as u64 > tx.view().virtual_address_count().free() {
        return Err(exhausted(tx));
    }
    for key in missing {
        let Some(address) = tx.view().next_virtual_address() else { return Err(exhausted(tx)) };
        tx.put_virtual_address(VirtualAddress { key, address });
    }
    Ok(())
}

/// The same before a replica is created: the first one of a service waits for the addresses.
pub(super) fn provide_first(
    tx: &mut Transaction<'_>,
    deployment: &DeploymentName,
    service: &ServiceName,
    schedule: &ServiceSchedule,
) -> Result<(), Rejection> {
    if tx.view().replicas_of_service(deployment, service).next().is_none() {
        return provide(tx, deployment, service, schedule);
    }
    provide_if_any(tx, deployment, service, schedule);
    Ok(())
}

/// The same for what goes on without them, with names that lead to its replicas: it is given them
/// once there are enough.
pub(super) fn provide_if_any(
    tx: &mut Transaction<'_>,
    deployment: &DeploymentName,
    service: &ServiceName,
    schedule: &ServiceSchedule,
) {
    // Without enough of them nothing is given, and the scheduler says so.
    let _refused = provide(tx, deployment, service, schedule);
}

fn exhausted(tx: &Transaction<'_>) -> Rejection {
    let AddressCount { capacity, used } = tx.view().virtual_address_count();
    let pool = tx.view().settings().service_pool;
    Rejection::new(
        ErrorCode::SubnetPoolExhausted,
        format!(
            "too few addresses for services are free in {pool}: {used} of {capacity} are taken"
        ),
    )
    .with("used", used)
    .with("capacity", capacity)
    .hint("give services more: `jaco cluster set service_pool <a larger prefix around it>`")
}

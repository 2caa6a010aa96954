//! What people and programs are shown, derived from the state on every question, never stored.
//!
//! In: the state. Out: statuses of deployments, services, replicas, nodes, routes and certificates. Everything that is not
//! simply running says why. Nothing here decides what happens next.

mod certificate;
mod cron;
mod deployment;
mod lost;
mod node;
mod replica;
mod serving;
#[cfg(test)]
mod serving_tests;
#[cfg(test)]
mod tests;

use jaco_api::model::{DeploymentName, DeploymentStatus, Replica, ReplicaStatus};

pub use certificate::{certificate, certificates};
pub use node::member;
pub use serving::{ToServe, compare, not_reached, stored_routes, to_serve};

use crate::state::State;

/// A deployment, as `jaco status` shows it.
#[must_use]
pub fn deployment(state: &State, name: &DeploymentName) -> Option<DeploymentStatus> {
    state.deployment(name).map(|row| deployment::status(state, row))
}

/// Every deployment, by name.
#[must_use]
pub fn deployments(state: &State) -> Vec<DeploymentStatus> {
    state.deployments().map(|row| deployment::status(state, row)).collect()
}

/// A replica, as `jaco status` and `jaco get replica` show it; without its last output, which is
/// sealed.
#[must_use]
pub fn replica(state: &State, replica: &Replica) -> ReplicaStatus {
    replica::status(state, replica)
}

/// Every replica, or those of one deployment, ordered by deployment, service and slot.
#[must_use]
pub fn replicas(state: &State, deployment: Option<&DeploymentName>) -> Vec<ReplicaStatus> {
    match deployment {
        Some(name) => state.replicas_of(name).map(|r| replica(state, r)).collect(),
        None => state.replicas().map(|r| replica(state, r)).collect(),
    }
}

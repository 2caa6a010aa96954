//! What a node serves to visitors, projected from the state.
//!
//! In: the state and the node. Out: [`Frontends`]. The cost is that of all routes and published ports of the
//! cluster with the replicas of their services.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jaco_api::model::{
    Backend, DeploymentName, FrontPort, FrontRoute, Frontends, NodeCondition, NodeId, Replica,
    ReplicaState, ServiceName,
};

use crate::state::State;

/// What `node` serves by this state; absent when it is no member.
#[must_use]
pub fn frontends(state: &State, node: NodeId) -> Option<Frontends> {
    let own = state.node(node)?;
    let mut frontends = Frontends {
        node: own.name.clone(),
        index: state.index(),
        routes: Vec::new(),
        ports: BTreeMap::new(),
    };
    for deployment in state.deployments() {
        let Some(revision) = state.revision_in_force(&deployment.name) else { continue };
        for spec in &revision.routes {
            let (deployment, spec) = (deployment.name.clone(), spec.clone());
            let backends = backends(state, &deployment, &spec.service);
            frontends.routes.push(FrontRoute { deployment, spec, backends });
        }
        for (service, planned) in &revision.services {
            for port in &planned.schedule.ports {
                let Some(published) = port.published else { continue };
                let front = FrontPort {
                    deployment: deployment.name.clone(),
                    service: service.clone(),
                    target: port.target,
                    proxy_protocol: port.proxy_protocol,
                    backends: backends(state, &deployment.name, service),
                };
                frontends.ports.insert((published, port.protocol), front);
            }
        }
    }
    frontends
        .routes
        .sort_by(|a, b| (&a.spec.domain, &a.spec.path).cmp(&(&b.spec.domain, &b.spec.path)));
    Some(frontends)
}

/// The replicas of a service that visitors can be led to.
pub(crate) fn backends(
    state: &State,
    deployment: &DeploymentName,
    service: &ServiceName,
) -> Vec<Backend> {
    let replicas = state.replicas_of_service(deployment, service);
    replicas.filter_map(|replica| backend(state, replica)).collect()
}

/// A replica that is healthy, or was until it was told to stop, on a node that is heard of.
fn backend(state: &State, replica: &Replica) -> Option<Backend> {
    let node = state.node(replica.node)?;
    let observed = &replica.observed;
    let runs = observed.generation == replica.generation
        && observed.state == ReplicaState::Running
        && node.condition != NodeCondition::Down;
    let address = observed.addresses.values().next().filter(|_| runs)?;
    Some(Backend {
        replica: replica.id.clone(),
        node: node.name.clone(),
        address: *address,
        draining: !replica.is_running(),
    })
}

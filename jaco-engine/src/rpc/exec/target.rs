//! Which replica does what was asked of a service. Pure.

use std::sync::Arc;

use jaco_api::{
    convert::parse,
    error::{ApiError, ErrorCode},
    model::{DeploymentName, Intent, NodeId, Replica, ReplicaId, ReplicaState, ServiceName},
    pb,
};

use crate::state::State;

/// What was named: one replica, or a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Replica(ReplicaId),
    Service(DeploymentName, ServiceName),
}

/// A replica with its container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) replica: Arc<Replica>,
    pub(super) container: String,
}

impl Target {
    pub(super) fn parse(target: Option<pb::ReplicaTarget>) -> Result<Self, ApiError> {
        let target = target.unwrap_or_default();
        if !target.replica.is_empty() {
            return Ok(Self::Replica(parse("replica", &target.replica)?));
        }
        let deployment = parse("deployment", &target.deployment)?;
        Ok(Self::Service(deployment, parse("service", &target.service)?))
    }

    pub(super) fn deployment(&self) -> &DeploymentName {
        match self {
            Self::Replica(id) => &id.deployment,
            Self::Service(deployment, _) => deployment,
        }
    }

    /// The replicas that may do it, the best first; never none. `here` is the node that was asked.
    pub(super) fn find(&self, state: &State, here: NodeId) -> Result<Vec<Found>, ApiError> {
        match self {
            Self::Replica(id) => {
                let replica = state.replica(id).ok_or_else(|| {
                    ApiError::new(ErrorCode::ReplicaNotFound, format!("there is no replica {id}"))
                })?;
                let container = replica.observed.container.clone();
                let container = container.ok_or_else(|| not_running(replica))?;
                Ok(vec![Found { replica: Arc::clone(replica), container }])
            }
            Self::Service(deployment, service) => of_service(state, here, deployment, service),
        }
    }
}

fn of_service(
    state: &State,
    here: NodeId,
    deployment: &DeploymentName,
    service: &ServiceName,
) -> Result<Vec<Found>, ApiError> {
    let missing = |code, message| Err(ApiError::new(code, message));
    if state.deployment(deployment).is_none() {
        return missing(
            ErrorCode::DeploymentNotFound,
            format!("there is no deployment {deployment}"),
        );
    }
    let all: Vec<_> = state.replicas_of_service(deployment, service).collect();
    if all.is_empty() && state.service(deployment, service).is_none() {
        let message = format!("deployment {deployment} has no service {service}");
        return missing(ErrorCode::ServiceNotFound, message);
    }
    let mut running: Vec<Found> = all
        .iter()
        .filter(|replica| has_processes(replica.observed.state))
        .filter_map(|replica| {
            let container = replica.observed.container.clone()?;
            Some(Found { replica: Arc::clone(replica), container })
        })
        .collect();
    // Those that run well, those that stay, those of the present revision, those that are near;
    // then in order.
    running.sort_by_key(|found| {
        let replica = &found.replica;
        let leaves = replica.intent != Intent::Run;
        (!replica.is_running(), leaves, !state.is_current(replica), replica.node != here)
    });
    match all.first() {
        _ if !running.is_empty() => Ok(running),
        Some(replica) => Err(not_running(replica)),
        None => missing(
            ErrorCode::ReplicaNotRunning,
            format!("service {service} of {deployment} has no replica at the moment"),
        ),
    }
}

/// Whether a container in this state can be looked into: also one that is not well.
fn has_processes(state: ReplicaState) -> bool {
    use ReplicaState::{Degraded, Running, Starting, Stopping, Updating};
    matches!(state, Running | Degraded | Starting | Updating | Stopping)
}

fn not_running(replica: &Replica) -> ApiError {
    let (id, seen) = (&replica.id, &replica.observed);
    let error = ApiError::new(
        ErrorCode::ReplicaNotRunning,
        format!("replica {id} is {} and has no running container", seen.state),
    );
    match &seen.reason {
        Some(reason) => error.with("reason", reason),
        None => error,
    }
}

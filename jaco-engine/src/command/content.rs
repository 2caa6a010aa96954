//! What the commands on deployments share: finding one, refusing what others own, and putting a
//! content in force.

use std::{collections::BTreeMap, sync::Arc};

use jaco_api::{
    error::ErrorCode,
    model::{
        Deployment, DeploymentName, DeploymentPhase, Intent, PlannedService, Replica, Revision,
        RevisionOrigin, Rollout, RolloutPhase, ServiceName, Timestamp,
    },
};

use super::{cron, rejection::Rejection};
use crate::state::{Content, State, Transaction};

/// The deployment of this name.
pub(super) fn existing(state: &State, name: &DeploymentName) -> Result<Arc<Deployment>, Rejection> {
    state.deployment(name).cloned().ok_or_else(|| {
        Rejection::new(ErrorCode::DeploymentNotFound, format!("there is no deployment {name}"))
    })
}

/// Its revision in force.
pub(super) fn in_force(state: &State, deployment: &Deployment) -> Result<Arc<Revision>, Rejection> {
    state.revision(&deployment.name, deployment.revision).cloned().ok_or_else(|| {
        Rejection::new(
            ErrorCode::Internal,
            format!("revision {} of {} is missing", deployment.revision, deployment.name),
        )
    })
}

pub(super) fn no_service(deployment: &DeploymentName, service: &ServiceName) -> Rejection {
    Rejection::new(
        ErrorCode::ServiceNotFound,
        format!("deployment {deployment} has no service {service}"),
    )
}

pub(super) fn refuse_deleting(deployment: &Deployment) -> Result<(), Rejection> {
    match deployment.phase {
        DeploymentPhase::Deleting { .. } => {
            Err(Rejection::conflict(format!("{} is being deleted", deployment.name))
                .hint("wait until it is gone"))
        }
        DeploymentPhase::Running | DeploymentPhase::Stopped => Ok(()),
    }
}

/// Refuses routes and ports that another deployment owns, and a domain with two tls settings.
pub(super) fn refuse_taken(
    state: &State,
    name: &DeploymentName,
    content: &Content,
) -> Result<(), Rejection> {
    for route in &content.routes {
        let shown = format!("{}{}", route.domain, route.path);
        if let Some(owner) = state.route_owner(&route.domain, &route.path).filter(|o| *o != name) {
            return Err(Rejection::new(
                ErrorCode::RouteConflict,
                format!("route {shown} belongs to deployment {owner}"),
            )
            .with("route", shown)
            .with("owner", owner));
        }
        for (owner, other) in state.routes_of_domain(&route.domain).filter(|(o, _)| *o != name) {
            if other.tls != route.tls {
                return Err(Rejection::new(
                    ErrorCode::RouteTlsMixed,
                    format!(
                        "route {shown} has another tls setting than {}{} of deployment {owner}",
                        other.domain, other.path
                    ),
                )
                .with("route", shown)
                .with("owner", owner));
            }
        }
    }
    for port in content.services.values().flat_map(|s| &s.schedule.ports) {
        let Some(published) = port.published else { continue };
        if let Some(owner) = state.port_owner(published, port.protocol).filter(|o| *o != name) {
            return Err(Rejection::new(
                ErrorCode::PortConflict,
                format!("port {published} is published by deployment {owner}"),
            )
            .with("port", published)
            .with("owner", owner));
        }
    }
    Ok(())
}

/// A deployment before its first revision.
pub(super) fn first(name: &DeploymentName, at: Timestamp) -> Deployment {
    Deployment {
        name: name.clone(),
        revision: 0,
        last_revision: 0,
        phase: DeploymentPhase::Running,
        rollout: None,
        last_index: BTreeMap::new(),
        version: 0,
        created_at: at,
        unplaced: BTreeMap::new(),
        ticks: BTreeMap::new(),
    }
}

/// Makes this content the revision in force, with the rollout that it needs; its number is the next
/// one.
pub(super) fn put_in_force(
    tx: &mut Transaction<'_>,
    deployment: Deployment,
    content: Content,
    origin: RevisionOrigin,
) -> u64 {
    let number = deployment.last_revision + 1;
    let rollout = next_rollout(tx.view(), &deployment, &content.services, number, tx.at());
    put_revision(tx, Deployment { rollout, ..deployment }, content, origin)
}

/// Makes this content the revision in force; the rollout is the one of the row.
pub(super) fn put_revision(
    tx: &mut Transaction<'_>,
    mut deployment: Deployment,
    content: Content,
    origin: RevisionOrigin,
) -> u64 {
    let number = deployment.last_revision + 1;
    deployment.unplaced.retain(|service, _| content.services.contains_key(service));
    let former = tx.view().revision(&deployment.name, deployment.revision).cloned();
    cron::settle(&mut deployment, former.as_deref(), &content.services, tx.at());
    let revision = Revision {
        number,
        origin,
        actor: tx.actor().clone(),
        at: tx.at(),
        services: content.services,
        networks: content.networks,
        volumes: content.volumes,
        routes: content.routes,
        acme_email: content.acme_email,
    };
    tx.put_revision(&deployment.name, revision);
    tx.put_deployment(Deployment { revision: number, last_revision: number, ..deployment });
    number
}

/// The rollout that a new revision (or new epochs) of these services starts, or goes on with.
///
/// A new one starts when there are replicas to replace; one under way is superseded when what it
/// rolls out changes, and only gets a new end when nothing but counts and placement do.
pub(super) fn next_rollout(
    state: &State,
    deployment: &Deployment,
    services: &BTreeMap<ServiceName, PlannedService>,
    number: u64,
    at: Timestamp,
) -> Option<Rollout> {
    let under_way = deployment.rollout.as_ref().filter(|r| r.ended_at.is_none());
    if let Some(rollout) = under_way
        && !rolls(state.revision_in_force(&deployment.name).map(|r| &r.services), services)
    {
        return Some(Rollout { to: number, ..rollout.clone() });
    }
    let stale = stale_replicas(state, deployment, services);
    (stale || under_way.is_some()).then(|| Rollout {
        from: last_good(state, deployment),
        to: number,
        phase: RolloutPhase::Rolling,
        started_at: at,
        ended_at: None,
        last_step: BTreeMap::new(),
        failures: BTreeMap::new(),
        reason: None,
    })
}

/// Whether containers of a service that stays become others; those of runs never do.
fn rolls(
    old: Option<&BTreeMap<ServiceName, PlannedService>>,
    new: &BTreeMap<ServiceName, PlannedService>,
) -> bool {
    old.into_iter().flatten().any(|(name, old)| {
        new.get(name).is_some_and(|new| {
            let runs = old.schedule.cron.is_some() && new.schedule.cron.is_some();
            !runs && (new.container, new.epoch) != (old.container, old.epoch)
        })
    })
}

/// Whether a replica that is to run is not what the revision in force makes.
pub(super) fn has_stale_replicas(state: &State, deployment: &Deployment) -> bool {
    state
        .revision_in_force(&deployment.name)
        .is_some_and(|revision| stale_replicas(state, deployment, &revision.services))
}

fn stale_replicas(
    state: &State,
    deployment: &Deployment,
    services: &BTreeMap<ServiceName, PlannedService>,
) -> bool {
    let rolled = |r: &&Arc<Replica>| r.intent == Intent::Run && r.tick.is_none();
    state.replicas_of(&deployment.name).filter(rolled).any(|replica| {
        services
            .get(&replica.id.service)
            .filter(|s| s.schedule.cron.is_none())
            .is_some_and(|s| (s.container, s.epoch) != (replica.container, replica.epoch))
    })
}

/// The revision a failed rollout would go back to: the one in force, unless that is itself still
/// being rolled out or was given up.
fn last_good(state: &State, deployment: &Deployment) -> u64 {
    let restored = |number| {
        state
            .revision(&deployment.name, number)
            .is_some_and(|r| matches!(r.origin, RevisionOrigin::AutoRollback(_)))
    };
    let in_force = deployment.revision;
    match &deployment.rollout {
        Some(Rollout { phase: RolloutPhase::Rolling | RolloutPhase::Paused, from, .. }) => *from,
        Some(Rollout { phase: RolloutPhase::Failed, from, .. }) if !restored(in_force) => *from,
        _ => in_force,
    }
}

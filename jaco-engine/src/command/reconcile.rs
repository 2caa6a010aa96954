//! What the scheduler decided for one deployment: all of its steps or none.

use std::sync::Arc;

use jaco_api::model::{
    AuditKind, Beside, Deployment, DeploymentName, DeploymentPhase, Intent, Node, NodeId, NodeName,
    PlannedService, Preparation, Replica, ReplicaId, RolloutPhase, ServiceName, Timestamp,
};

use super::{
    Outcome, address, companion, content, cron, generation,
    placing::{create, relocate, remove},
    rejection::Rejection,
    rollout, subnet,
};
use crate::state::{RolloutFloor, Transaction, payload, rollout_floor};

/// What the scheduler decided for one deployment, valid only for the version it looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconcile {
    /// The deployment.
    pub deployment: DeploymentName,
    /// [`jaco_api::model::Deployment::version`] it was planned from; another one is `conflict`.
    pub version: u64,
    /// Steps, in order; all or none are taken.
    pub actions: Vec<Action>,
}

/// One step of the scheduler. Indexes, generations and revision numbers are given by `apply`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A new replica of the service's present content.
    Create {
        /// The service.
        service: ServiceName,
        /// Where it runs.
        node: NodeId,
        /// Set for a `global` service: the slot is the node's name, not an index.
        slot: Option<NodeName>,
    },
    /// The virtual addresses that a service lacks, of which there are replicas already: all or none.
    Address {
        /// The service.
        service: ServiceName,
    },
    /// The companion of a replica that is there, where that is.
    Accompany {
        /// The companion's service.
        service: ServiceName,
        /// The replica.
        lead: ReplicaId,
    },
    /// Fetch the image of the service's present content while the replica keeps running.
    Prepare {
        /// The replica.
        replica: ReplicaId,
    },
    /// The next generation of a replica, made from the service's present content.
    Advance {
        /// The replica.
        replica: ReplicaId,
    },
    /// The replica's container goes. Refused (`rollout_invariant_hold`) when it runs and fewer
    /// than the rollout's floor would be left.
    Remove {
        /// The replica.
        replica: ReplicaId,
    },
    /// A new replica on another node to take the place of this one, which goes once the new one has
    /// settled.
    Move {
        /// The replica.
        replica: ReplicaId,
        /// Where its successor runs.
        to: NodeId,
        /// Why, for the audit log.
        reason: String,
    },
    /// Why replicas of a service cannot be placed; absent when they can again.
    Unplaced {
        /// The service.
        service: ServiceName,
        /// Filters and their counts.
        reason: Option<String>,
    },
    /// A replacement failed.
    CountFailure {
        /// The service.
        service: ServiceName,
        /// Why.
        reason: String,
    },
    /// The rollout ends or is given up.
    EndRollout(RolloutEnd),
    /// A run starts; again, when the node it was on is lost.
    StartRun {
        /// The service.
        service: ServiceName,
        /// The run.
        tick: Timestamp,
        /// Where it runs.
        node: NodeId,
    },
    /// A run that has not ended is given up.
    CancelRun {
        /// The service.
        service: ServiceName,
        /// The run.
        tick: Timestamp,
        /// Why.
        reason: String,
    },
    /// A run that has ended is no longer kept.
    DropRun {
        /// The service.
        service: ServiceName,
        /// The run.
        tick: Timestamp,
    },
}

/// How a rollout ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutEnd {
    /// Every replica is current.
    Completed,
    /// `failure_action: pause`.
    Paused {
        /// Why.
        reason: String,
    },
    /// `failure_action: rollback`: the revision that was replaced is restored in full, as a new
    /// revision, and the rollout goes on towards it in phase `rolling_back`.
    RolledBack {
        /// Why.
        reason: String,
    },
    /// Nothing to go back to.
    Failed {
        /// Why.
        reason: String,
    },
}

impl Reconcile {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let Some(deployment) = tx.view().deployment(&self.deployment) else {
            return Err(Rejection::conflict(format!("{} is gone", self.deployment)));
        };
        if deployment.version != self.version {
            return Err(Rejection::conflict(format!(
                "{} is at version {}, the plan was made from {}",
                self.deployment, deployment.version, self.version
            )));
        }
        for action in &self.actions {
            action.apply(tx, &self.deployment)?;
        }
        Ok(Outcome::Done)
    }
}

impl Action {
    fn apply(&self, tx: &mut Transaction<'_>, name: &DeploymentName) -> Result<(), Rejection> {
        match self {
            Self::Create { service, node, slot } => {
                create(tx, name, service, *node, slot.as_ref(), None)?;
                rollout::note_step(tx, name, service);
            }
            Self::Address { service } => {
                let plan = planned(tx, name, service)?;
                address::provide(tx, name, service, &plan.schedule)?;
            }
            Self::Accompany { service, lead } => {
                companion::accompany(tx, name, service, lead)?;
                rollout::note_step(tx, name, service);
            }
            Self::Prepare { replica } => prepare(tx, name, replica)?,
            Self::Advance { replica } => {
                let row = wanted(tx, name, replica)?;
                generation::advance(tx, &row)?;
                refuse_below_floor(tx, &row)?;
                rollout::note_step(tx, name, &replica.service);
            }
            Self::Remove { replica } => {
                let row = own(tx, name, replica)?;
                if row.intent == Intent::Run {
                    remove(tx, &row);
                    refuse_below_floor(tx, &row)?;
                    rollout::note_step(tx, name, &replica.service);
                }
            }
            Self::Move { replica, to, reason } => relocate(tx, name, replica, *to, reason)?,
            Self::Unplaced { service, reason } => {
                let mut row = deployment(tx, name)?;
                match reason {
                    Some(reason) => row.unplaced.insert(service.clone(), reason.clone()),
                    None => row.unplaced.remove(service),
                };
                tx.put_deployment(row);
            }
            Self::CountFailure { service, reason } => {
                rollout::count_failure(tx, name, service, reason)?;
            }
            Self::EndRollout(end) => rollout::end(tx, name, end)?,
            Self::StartRun { service, tick, node } => cron::start(tx, name, service, *tick, *node)?,
            Self::CancelRun { service, tick, reason } => {
                cron::give_up(tx, name, service, *tick, reason)?;
            }
            Self::DropRun { service, tick } => cron::forget(tx, name, service, *tick)?,
        }
        Ok(())
    }
}

pub(super) fn deployment(
    tx: &Transaction<'_>,
    name: &DeploymentName,
) -> Result<Deployment, Rejection> {
    content::existing(tx.view(), name).map(|d| Deployment::clone(&d))
}

/// A replica of the deployment this batch is for.
fn own(tx: &Transaction<'_>, name: &DeploymentName, id: &ReplicaId) -> Result<Replica, Rejection> {
    tx.view()
        .replica(id)
        .filter(|r| r.id.deployment == *name)
        .map(|r| Replica::clone(r))
        .ok_or_else(|| Rejection::conflict(format!("replica {id} is gone")))
}

/// A replica that is to run.
pub(super) fn wanted(
    tx: &Transaction<'_>,
    name: &DeploymentName,
    id: &ReplicaId,
) -> Result<Replica, Rejection> {
    own(tx, name, id).and_then(|row| match row.intent {
        Intent::Run => Ok(row),
        Intent::Remove => Err(Rejection::conflict(format!("replica {id} is being removed"))),
    })
}

pub(super) fn planned(
    tx: &Transaction<'_>,
    name: &DeploymentName,
    service: &ServiceName,
) -> Result<PlannedService, Rejection> {
    tx.view().service(name, service).cloned().ok_or_else(|| {
        Rejection::conflict(format!("the revision in force of {name} has no service {service}"))
    })
}

fn prepare(
    tx: &mut Transaction<'_>,
    name: &DeploymentName,
    id: &ReplicaId,
) -> Result<(), Rejection> {
    let row = wanted(tx, name, id)?;
    let plan = planned(tx, name, &id.service)?;
    subnet::provide(tx, name, &plan.schedule, row.node)?;
    let container = plan.container;
    tx.put_replica(Replica { preparation: Some(Preparation { container, result: None }), ..row });
    Ok(())
}

/// Refuses to have taken a running replica away when that leaves its rollout with too few. Called
/// after the change, on the working copy, which is then dropped.
fn refuse_below_floor(tx: &Transaction<'_>, taken: &Replica) -> Result<(), Rejection> {
    let ReplicaId { deployment: name, service, .. } = &taken.id;
    let rolling = tx.view().deployment(name).is_some_and(|d| {
        let phase = d.rollout.as_ref().map(|r| &r.phase);
        d.phase == DeploymentPhase::Running
            && matches!(phase, Some(RolloutPhase::Rolling | RolloutPhase::RollingBack))
    });
    // What operators give up with a node is not held.
    let held = |node: &Arc<Node>| !node.gives_up_replicas();
    // A run serves nobody, and neither does what has lost the container that it was made beside.
    let alone = |b: &Beside| {
        let lead = tx.view().replica(&b.replica).filter(|l| l.intent == Intent::Run);
        lead.is_none_or(|l| l.generation != b.generation)
    };
    let serves = taken.is_running()
        && taken.tick.is_none()
        && !taken.beside.as_ref().is_some_and(alone)
        && tx.view().node(taken.node).is_some_and(held);
    if !(serves && rolling) {
        return Ok(());
    }
    match rollout_floor(tx.view(), name, service) {
        Some(RolloutFloor { running, floor }) if running < floor => {
            let id = taken.id.to_string();
            let facts = payload([
                ("replica", id.clone()),
                ("running", running.to_string()),
                ("floor", floor.to_string()),
            ]);
            Err(Rejection::conflict(format!(
                "without {id} only {running} replicas of {service} run, its rollout needs {floor}"
            ))
            .audited(AuditKind::RolloutInvariantHold, facts))
        }
        _ => Ok(()),
    }
}

//! Whether the rollout of a deployment goes on, has ended or has failed.
//!
//! In: the services with their replicas and how each is doing. Out: counted failures and, where it
//! is due, the end of the rollout. A rollout fails when more than `max_failure_ratio` of a service's
//! replacements failed; the first deployment is no rollout and never fails here.

use jaco_api::model::{
    Deployment, FailureAction, PlannedService, Replica, Rollout, RolloutPhase, Timestamp,
};

use super::{
    input::{Service, active_rollout},
    pass::Pass,
    restart::Progress,
};
use crate::command::{Action, RolloutEnd};

/// What has become of a service's replacements.
#[derive(Debug, Default)]
pub(super) struct Tally<'a> {
    /// Replacements that have not settled.
    pub(super) under_way: Vec<&'a Replica>,
    /// Replacements that have settled and serve.
    pub(super) settled: u32,
    /// Replacements whose node was lost before they had settled or after.
    pub(super) lost: Vec<&'a Replica>,
    /// Why replacements failed, one each.
    pub(super) failures: Vec<String>,
    /// When one of them settles or times out.
    pub(super) next: Option<Timestamp>,
}

/// How the replicas of a service's present content are doing, and fetching the images of those to
/// come.
pub(super) fn tally<'a>(pass: &Pass<'_>, service: &Service<'a>) -> Tally<'a> {
    let mut tally = Tally::default();
    for replica in &service.current {
        match service.progress(pass, replica) {
            Progress::Settled => tally.settled += u32::from(service.serves(replica)),
            Progress::Failed(reason) => tally.failures.push(reason),
            Progress::Lost => tally.lost.push(replica),
            Progress::UnderWay(until) => {
                tally.under_way.push(replica);
                tally.next = tally.next.into_iter().chain(until).min();
            }
        }
    }
    for outgoing in &service.outgoing {
        if let Some(reason) = preparation_failed(outgoing.replica, service.planned) {
            tally.failures.push(reason);
        }
    }
    tally
}

/// Why the image of the present content cannot be fetched for a replica that still runs.
pub(super) fn preparation_failed(replica: &Replica, planned: &PlannedService) -> Option<String> {
    let preparation = replica.preparation.as_ref()?;
    match &preparation.result {
        Some(Err(reason)) if preparation.container == planned.container => {
            Some(format!("{}: {reason}", replica.id))
        }
        _ => None,
    }
}

/// Failures that were not counted yet, and the end of the rollout when they are too many.
pub(super) fn failures(
    pass: &Pass<'_>,
    deployment: &Deployment,
    services: &[(Service<'_>, Tally<'_>)],
) -> (Vec<Action>, Option<RolloutEnd>) {
    let mut actions = Vec::new();
    let Some(rollout) = active_rollout(deployment) else { return (actions, None) };
    for (service, tally) in services.iter().filter(|(s, _)| s.rolled) {
        let counted = rollout.failures.get(service.name).copied().unwrap_or(0);
        let seen = u32::try_from(tally.failures.len()).unwrap_or(u32::MAX);
        let Some(reason) = tally.failures.last() else { continue };
        for fresh in tally.failures.iter().skip(counted as usize) {
            actions.push(Action::CountFailure {
                service: service.name.clone(),
                reason: fresh.clone(),
            });
        }
        let update = service.update();
        let tolerated =
            u64::from(service.desired(pass.state)) * u64::from(update.max_failure_permille) / 1000;
        // On the way back only what fails there counts.
        let judged = if rollout.phase == RolloutPhase::Rolling { seen.max(counted) } else { seen };
        if u64::from(judged) <= tolerated {
            continue;
        }
        if let Some(end) = give_up(pass, service, rollout, reason) {
            return (actions, Some(end));
        }
    }
    (actions, None)
}

/// What the failure action comes to; nothing when the rollout goes on.
fn give_up(
    pass: &Pass<'_>,
    service: &Service<'_>,
    rollout: &Rollout,
    reason: &str,
) -> Option<RolloutEnd> {
    let (reason, deployment) = (reason.to_owned(), service.deployment);
    // What is said of the way there does not hold for the way back.
    let holds =
        rollout.phase == RolloutPhase::Rolling || service.planned.schedule.rollback.is_some();
    let can_go_back = rollout.phase == RolloutPhase::Rolling
        && rollout.from != 0
        && rollout.from != rollout.to
        && pass.state.revision(&deployment.name, rollout.from).is_some();
    match service.update().failure_action {
        FailureAction::Continue if holds => None,
        FailureAction::Pause if rollout.phase == RolloutPhase::Rolling => {
            Some(RolloutEnd::Paused { reason })
        }
        FailureAction::Rollback if can_go_back => Some(RolloutEnd::RolledBack { reason }),
        _ => Some(RolloutEnd::Failed { reason }),
    }
}

/// Where one service of the rollout is after the steps of this call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// Every replica is current and has settled, or has failed.
    Done,
    /// Something is still going to happen.
    Working,
    /// Replicas are left that cannot be replaced without going below the floor.
    Stuck,
}

/// The end of a rollout in which nothing is left to do: complete when all replicas are current and
/// those of the changed services have settled, failed when the rest cannot be replaced.
pub(super) fn completion(
    deployment: &Deployment,
    services: &[(Service<'_>, Tally<'_>)],
    stands: &[Stand],
) -> Option<RolloutEnd> {
    active_rollout(deployment)?;
    let mut stuck = None;
    for ((_, tally), stand) in services.iter().zip(stands).filter(|((s, _), _)| s.rolled) {
        match stand {
            Stand::Working => return None,
            Stand::Done => {}
            Stand::Stuck => stuck = Some(tally.failures.last().cloned().or(stuck)?),
        }
    }
    Some(match stuck {
        None => RolloutEnd::Completed,
        Some(reason) => RolloutEnd::Failed { reason },
    })
}

//! The course and the end of a rollout.

use std::collections::BTreeMap;

use jaco_api::model::{
    AuditKind, Deployment, DeploymentName, Revision, RevisionOrigin, Rollout, RolloutPhase,
    ServiceName,
};

use super::{RolloutEnd, content, rejection::Rejection};
use crate::state::{Content, Transaction, payload};

/// Notes when a service last took a step of the rollout under way: `delay` counts from there.
pub(super) fn note_step(tx: &mut Transaction<'_>, name: &DeploymentName, service: &ServiceName) {
    let at = tx.at();
    if let Ok((deployment, mut rollout)) = under_way(tx, name) {
        rollout.last_step.insert(service.clone(), at);
        tx.put_deployment(Deployment { rollout: Some(rollout), ..deployment });
    }
}

/// Counts a failed replacement.
pub(super) fn count_failure(
    tx: &mut Transaction<'_>,
    name: &DeploymentName,
    service: &ServiceName,
    reason: &str,
) -> Result<(), Rejection> {
    let (deployment, mut rollout) = under_way(tx, name)?;
    *rollout.failures.entry(service.clone()).or_insert(0) += 1;
    if rollout.phase == RolloutPhase::Rolling {
        rollout.reason = Some(reason.to_owned());
    }
    tx.put_deployment(Deployment { rollout: Some(rollout), ..deployment });
    Ok(())
}

fn under_way(
    tx: &Transaction<'_>,
    name: &DeploymentName,
) -> Result<(Deployment, Rollout), Rejection> {
    let deployment = Deployment::clone(&*content::existing(tx.view(), name)?);
    match deployment.rollout.clone().filter(|r| r.ended_at.is_none()) {
        Some(rollout) => Ok((deployment, rollout)),
        None => Err(Rejection::conflict(format!("{name} has no rollout under way"))),
    }
}

/// Ends the rollout under way, or turns it back.
pub(super) fn end(
    tx: &mut Transaction<'_>,
    name: &DeploymentName,
    end: &RolloutEnd,
) -> Result<(), Rejection> {
    let (deployment, rollout) = under_way(tx, name)?;
    match end {
        RolloutEnd::Completed => complete(tx, deployment, rollout),
        RolloutEnd::Paused { reason } => {
            audit_failure(tx, &deployment, &rollout, reason, [("action", "pause".to_owned())]);
            let rollout =
                Rollout { phase: RolloutPhase::Paused, reason: Some(reason.clone()), ..rollout };
            tx.put_deployment(Deployment { rollout: Some(rollout), ..deployment });
        }
        RolloutEnd::RolledBack { reason } => roll_back(tx, deployment, rollout, reason),
        RolloutEnd::Failed { reason } => give_up(tx, deployment, rollout, reason.clone()),
    }
    Ok(())
}

/// Every replica is current: a success, or the end of the way back.
fn complete(tx: &mut Transaction<'_>, deployment: Deployment, mut rollout: Rollout) {
    rollout.ended_at = Some(tx.at());
    if rollout.phase == RolloutPhase::RollingBack {
        rollout.phase = RolloutPhase::Failed;
    } else {
        rollout.phase = RolloutPhase::Completed;
        rollout.reason = None;
        tx.audit(
            AuditKind::RolloutCompleted,
            payload([
                ("deployment", deployment.name.to_string()),
                ("from", rollout.from.to_string()),
                ("to", rollout.to.to_string()),
            ]),
        );
    }
    tx.put_deployment(Deployment { rollout: Some(rollout), ..deployment });
}

/// Restores the revision that was replaced, in full and as a new revision. Without one to go back
/// to, or when its routes or ports belong to others by now, the rollout is given up where it is.
fn roll_back(tx: &mut Transaction<'_>, deployment: Deployment, rollout: Rollout, reason: &str) {
    let name = deployment.name.clone();
    let previous = tx
        .view()
        .revision(&name, rollout.from)
        .filter(|r| r.number != deployment.revision)
        .filter(|_| rollout.phase != RolloutPhase::RollingBack)
        .cloned();
    let (Some(previous), Some(present)) = (previous, tx.view().revision_in_force(&name).cloned())
    else {
        return give_up(tx, deployment, rollout, reason.to_owned());
    };
    let restored = restored_content(&previous, &present);
    if let Err(refusal) = content::refuse_taken(tx.view(), &name, &restored) {
        let reason = format!("{reason}; cannot be rolled back: {}", refusal.error.message);
        return give_up(tx, deployment, rollout, reason);
    }
    let back = Rollout {
        from: deployment.revision,
        to: deployment.last_revision + 1,
        phase: RolloutPhase::RollingBack,
        started_at: tx.at(),
        ended_at: None,
        last_step: BTreeMap::new(),
        failures: rollout.failures.clone(),
        reason: Some(reason.to_owned()),
    };
    let actions = [
        ("action", "rollback".to_owned()),
        ("restored", previous.number.to_string()),
        ("revision", back.to.to_string()),
    ];
    audit_failure(tx, &deployment, &rollout, reason, actions);
    let row = Deployment { rollout: Some(back), ..deployment };
    content::put_revision(tx, row, restored, RevisionOrigin::AutoRollback(previous.number));
}

/// The former content with epochs under which its replicas that still run are current again. A
/// service that was restarted meanwhile and is otherwise the same keeps its new epoch.
fn restored_content(previous: &Revision, present: &Revision) -> Content {
    let mut content = Content::of(previous);
    for (name, service) in &mut content.services {
        if let Some(now) = present.services.get(name)
            && now.container == service.container
        {
            service.epoch = now.epoch;
        }
    }
    content
}

fn give_up(tx: &mut Transaction<'_>, deployment: Deployment, mut rollout: Rollout, reason: String) {
    audit_failure(tx, &deployment, &rollout, &reason, [("action", "none".to_owned())]);
    rollout.phase = RolloutPhase::Failed;
    rollout.ended_at = Some(tx.at());
    rollout.reason = Some(reason);
    tx.put_deployment(Deployment { rollout: Some(rollout), ..deployment });
}

fn audit_failure<const N: usize>(
    tx: &mut Transaction<'_>,
    deployment: &Deployment,
    rollout: &Rollout,
    reason: &str,
    more: [(&str, String); N],
) {
    let mut facts = payload([
        ("deployment", deployment.name.to_string()),
        ("from", rollout.from.to_string()),
        ("to", rollout.to.to_string()),
        ("reason", reason.to_owned()),
    ]);
    facts.extend(payload(more));
    tx.audit(AuditKind::RolloutFailed, facts);
}

//! Rows of deployments, services and replicas: as tables and as JSON or YAML.

use jaco_api::model::{
    DeploymentStatus, ReplicaState, ReplicaStatus, RolloutPhase, RolloutStatus, ServiceName,
    ServiceStatus, Timestamp,
};
use jaco_client::StatusView;

use crate::output::{
    style::{age, upper},
    table::{Field, Table},
};

/// A table of deployments.
pub fn deployment_table<'a>(
    rows: impl IntoIterator<Item = &'a DeploymentStatus>,
    now: Timestamp,
) -> Table {
    let mut table = Table::new(&[
        "DEPLOYMENT",
        "REVISION",
        "STATE",
        "SERVICES",
        "REPLICAS",
        "ROLLOUT",
        "UPDATED",
        "REASON",
    ]);
    for d in rows {
        let (running, desired) =
            d.services.iter().fold((0, 0), |(r, n), s| (r + s.running, n + s.desired));
        table.row([
            d.name.as_str().into(),
            d.revision.to_string().into(),
            Field::state(upper(&d.state)),
            d.services.len().to_string().into(),
            format!("{running}/{desired}").into(),
            d.rollout.as_ref().map(rollout).unwrap_or_default().into(),
            age(now, d.updated_at).into(),
            deployment_reason(d).into(),
        ]);
    }
    table
}

fn rollout(r: &RolloutStatus) -> String {
    match r.from {
        0 => format!("{} {}", r.to, upper(&r.phase)),
        from => format!("{from}→{} {}", r.to, upper(&r.phase)),
    }
}

fn deployment_reason(d: &DeploymentStatus) -> String {
    let failed = d
        .rollout
        .as_ref()
        .filter(|r| matches!(r.phase, RolloutPhase::Failed | RolloutPhase::Paused))
        .and_then(|r| r.reason.clone());
    d.reason.clone().or(failed).unwrap_or_default()
}

/// A table of services.
pub fn service_table<'a>(rows: impl IntoIterator<Item = &'a ServiceStatus>) -> Table {
    let mut table =
        Table::new(&["SERVICE", "IMAGE", "STATE", "RUNNING", "UPDATED", "DESIRED", "REASON"]);
    for s in rows {
        table.row([
            s.name.as_str().into(),
            s.image.as_str().into(),
            Field::state(upper(&s.state)),
            s.running.to_string().into(),
            s.updated.to_string().into(),
            s.desired.to_string().into(),
            s.reason.clone().unwrap_or_default().into(),
        ]);
    }
    table
}

/// A table of replicas: every one that does not run has a reason.
pub fn replica_table<'a>(
    rows: impl IntoIterator<Item = &'a ReplicaStatus>,
    now: Timestamp,
) -> Table {
    let mut table = Table::new(&[
        "REPLICA", "NODE", "STATE", "HEALTH", "REVISION", "RESTARTS", "SINCE", "REASON",
    ]);
    for r in rows {
        table.row([
            r.id.to_string().into(),
            r.node.as_str().into(),
            Field::state(upper(&r.state)),
            Field::state(upper(&r.health)),
            r.revision.to_string().into(),
            r.restarts.to_string().into(),
            age(now, r.since).into(),
            reason(r).into(),
        ]);
    }
    table
}

/// Why a replica is not simply running.
#[must_use]
pub fn reason(r: &ReplicaStatus) -> String {
    if let Some(reason) = &r.reason {
        return reason.to_string();
    }
    let text = match r.state {
        ReplicaState::Running => "",
        ReplicaState::Completed => "ended well",
        ReplicaState::Pending => "its node has not begun yet",
        ReplicaState::Pulling => "the image is being fetched",
        ReplicaState::Starting => "waits for the health check",
        ReplicaState::Updating => "is being replaced",
        ReplicaState::Stopping => "is being stopped",
        ReplicaState::Stopped => "was stopped",
        ReplicaState::Lost => "its node is gone",
        ReplicaState::Degraded | ReplicaState::Failed => match r.exit_code {
            Some(code) if r.oom_killed => {
                return format!("exited with code {code}, killed for lack of memory");
            }
            Some(code) => return format!("exited with code {code}"),
            None => "does not run",
        },
    };
    text.to_owned()
}

/// Replicas of the view, of one service only when one is named.
pub fn replicas_of<'a>(
    view: &'a StatusView,
    service: Option<&'a ServiceName>,
) -> impl Iterator<Item = &'a ReplicaStatus> {
    view.replicas().filter(move |r| service.is_none_or(|s| r.id.service == *s))
}

//! Brings what the runtime agent sees into the state.

use std::{collections::BTreeMap, sync::Arc};

use jaco_api::model::{Actor, ReplicaReport, Report};
use jaco_runtime::reconcile::{AgentReplicaReport, AgentReport};
use tokio::sync::mpsc;

use crate::{command::Command, rpc::Membership, seal, state::State};

/// Proposes what differs from the state, everything that waits as one batch. What does not get
/// through is dropped: the agent tells it again until the state shows it.
pub(crate) async fn forward(membership: Arc<Membership>, mut reports: mpsc::Receiver<AgentReport>) {
    while let Some(first) = reports.recv().await {
        let mut waiting = vec![first];
        while let Ok(next) = reports.try_recv() {
            waiting.push(next);
        }
        let Some(report) = compose(&membership, waiting) else { continue };
        let actor = Actor::system(Some(membership.name.clone()));
        let command = Command::Report(report);
        if let Err(error) = membership.submitter.submit(actor, None, command).await {
            tracing::warn!(%error, "what this node sees could not be reported; it is told again");
        }
    }
}

/// One report of everything that the state does not hold yet; the newest word on a replica counts.
fn compose(membership: &Membership, waiting: Vec<AgentReport>) -> Option<Report> {
    let state = membership.state.newest();
    let mut replicas = BTreeMap::new();
    let mut volumes = BTreeMap::new();
    for report in waiting {
        for replica in report.replicas {
            replicas.insert(replica.id.clone(), replica);
        }
        volumes.extend(report.removed_volumes.into_iter().map(|v| (v, ())));
    }
    replicas.retain(|_, replica| is_news(&state, replica));
    volumes.retain(|name, ()| state.volume(name).is_some());
    if replicas.is_empty() && volumes.is_empty() {
        return None;
    }
    let seal_tail = |lines: Vec<String>| {
        (!lines.is_empty())
            .then(|| membership.keyring.seal(seal::LOG_TAIL, lines.join("\n").as_bytes()))
    };
    let replicas = replicas.into_values().map(|r| ReplicaReport {
        id: r.id,
        observation: r.observation,
        prepared: r.prepared,
        log_tail: seal_tail(r.log_tail),
    });
    Some(Report {
        node: membership.id,
        replicas: replicas.collect(),
        removed_volumes: volumes.into_keys().collect(),
    })
}

fn is_news(state: &State, report: &AgentReplicaReport) -> bool {
    let Some(replica) = state.replica(&report.id) else { return false };
    let held = replica.preparation.as_ref();
    let prepared = report.prepared.as_ref().is_some_and(|(of, result)| {
        held.is_some_and(|p| p.container == *of && p.result.as_ref() != Some(result))
    });
    prepared || report.observation.as_ref() != Some(&replica.observed)
}

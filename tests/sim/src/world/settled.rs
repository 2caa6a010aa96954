//! What is not yet as it is wanted, a line each.

use std::collections::{BTreeMap, BTreeSet};

use jaco_api::model::{
    Availability, DeploymentState, Intent, Mode, NodeStatus, Replica, ReplicaState, RolloutPhase,
};
use jaco_engine::{
    raft::voters::voters_of,
    state::{State, snapshot},
    summary,
};
use jaco_runtime::container::{Container, label};

use super::World;

impl World {
    /// What is not as it is wanted: nothing, once the cluster has converged.
    #[must_use]
    pub fn unsettled(&self) -> Vec<String> {
        let mut left = Vec::new();
        self.unsettled_members(&mut left);
        if let Some(state) = self.cluster.leader().and_then(|at| self.cluster.host(at).state()) {
            unsettled_nodes(&state, &mut left);
            unsettled_deployments(&state, &mut left);
            self.unsettled_containers(&state, &mut left);
        } else {
            left.push("nobody leads".to_owned());
        }
        left
    }

    fn unsettled_members(&self, left: &mut Vec<String>) {
        let mut states: Vec<(String, u64, Vec<u8>)> = Vec::new();
        for host in self.cluster.hosts() {
            let name = host.name();
            let (Some(status), Some(state)) = (host.status(), host.state()) else {
                left.push(format!("{name} is no member"));
                continue;
            };
            if !status.caught_up {
                left.push(format!("{name} has not caught up"));
            }
            if let Some(fault) = &status.fault {
                left.push(format!("{name} has a fault: {fault}"));
            }
            let (voters, all) = (status.voters().count(), status.members.len());
            if voters != voters_of(self.hosts) || all != self.hosts {
                left.push(format!("{name} sees {voters} voters of {all} members"));
            }
            states.push((name.to_string(), state.index(), snapshot::write(&state)));
        }
        if let Some((first, index, bytes)) = states.first() {
            for (name, other, differs) in states.iter().map(|(n, i, b)| (n, i, b != bytes)) {
                if differs {
                    left.push(format!("{first} at {index} and {name} at {other} differ"));
                }
            }
        }
    }

    /// Containers of the cluster that are there and should not be, or the reverse.
    fn unsettled_containers(&self, state: &State, left: &mut Vec<String>) {
        let Some(cluster) = state.cluster().map(|c| c.id.to_string()) else { return };
        for host in self.cluster.hosts() {
            let Some(node) = host.member() else { continue };
            let ours = |c: &Container| c.labels.get(label::CLUSTER) == Some(&cluster);
            // Runs come and go at their times, and are kept when they have ended.
            let there: BTreeMap<(String, String), bool> = host
                .engine()
                .containers()
                .iter()
                .filter(|c| ours(c) && !c.labels.contains_key(label::TICK))
                .map(|c| (labels(c), c.status.is_alive()))
                .collect();
            let wanted: BTreeMap<(String, String), bool> = state
                .replicas_on(node)
                .filter(|r| r.intent == Intent::Run && r.tick.is_none())
                .map(|r| {
                    let runs = r.observed.state != ReplicaState::Completed;
                    ((r.id.to_string(), r.generation.to_string()), runs)
                })
                .collect();
            if there != wanted {
                left.push(format!("{} has {there:?} instead of {wanted:?}", host.name()));
            }
            let used: BTreeSet<String> =
                state.replicas_on(node).map(|r| r.id.deployment.to_string()).collect();
            let stale = host.engine().network_names();
            let stale = stale.iter().filter(|n| {
                let deployment = n.strip_prefix("jaco_").and_then(|n| n.strip_suffix("_default"));
                !deployment.is_some_and(|d| used.contains(d))
            });
            left.extend(stale.map(|n| format!("{} still has network {n}", host.name())));
        }
    }
}

fn labels(container: &Container) -> (String, String) {
    let label = |key: &str| container.labels.get(key).cloned().unwrap_or_default();
    (label(label::REPLICA), label(label::GENERATION))
}

fn unsettled_nodes(state: &State, left: &mut Vec<String>) {
    for node in state.nodes() {
        if node.status != NodeStatus::Ready || node.availability != Availability::Active {
            let reason = node.reason.clone().unwrap_or_default();
            left.push(format!("{} is {} {reason}", node.name, node.status));
        }
    }
    if state.cluster().is_some_and(|c| c.key_due) {
        left.push("a data key is due".to_owned());
    }
}

fn unsettled_deployments(state: &State, left: &mut Vec<String>) {
    for status in summary::deployments(state) {
        let rolls = status
            .rollout
            .as_ref()
            .is_some_and(|r| matches!(r.phase, RolloutPhase::Rolling | RolloutPhase::RollingBack));
        let settled = matches!(status.state, DeploymentState::Active | DeploymentState::Stopped);
        if !settled || rolls {
            let reason = status.reason.unwrap_or_default();
            left.push(format!("{} is {:?}: {reason}", status.name, status.state));
        }
    }
    for replica in state.replicas().filter(|r| r.tick.is_none()) {
        let id = &replica.id;
        if replica.intent == Intent::Remove {
            left.push(format!("{id} is still going"));
        } else if replica.observed.state != end_of(state, replica) {
            left.push(format!("{id} is {}", replica.observed.state));
        } else if !state.is_current(replica) {
            left.push(format!("{id} is of an old revision"));
        }
    }
}

/// The state a replica comes to in the end.
fn end_of(state: &State, replica: &Replica) -> ReplicaState {
    match state.service_of(replica).map(|service| service.schedule.mode) {
        Some(Mode::Job) => ReplicaState::Completed,
        _ => ReplicaState::Running,
    }
}

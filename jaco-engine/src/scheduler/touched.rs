//! Which deployments a change of the state concerns.

use std::collections::BTreeSet;

use jaco_api::model::{Deployment, DeploymentName, Node};

use crate::state::State;

/// The deployments that may need a step after the change from `old` to `new`. O(changes), and
/// O(deployments) when nodes, settings or room on nodes changed.
#[must_use]
pub fn touched(old: &State, new: &State) -> BTreeSet<DeploymentName> {
    let mut touched = BTreeSet::new();
    for change in old.deployments.diff(&new.deployments) {
        touched.insert(change.key.clone());
    }
    let mut room = false;
    for change in old.replicas.diff(&new.replicas) {
        touched.insert(change.key.deployment.clone());
        room |= change.new.is_none_or(|r| !r.takes_room());
    }
    for change in old.volumes.diff(&new.volumes) {
        room |= change.new.is_none();
    }
    for change in old.subnets.diff(&new.subnets) {
        room |= change.new.is_none();
    }
    for change in old.virtual_addresses.diff(&new.virtual_addresses) {
        room |= change.new.is_none();
    }
    let settings = old.settings() != new.settings();
    let mut nodes = false;
    for change in old.nodes.diff(&new.nodes) {
        if same_for_placement(change.old.map(|n| &**n), change.new.map(|n| &**n)) {
            continue;
        }
        nodes = true;
        touched.extend(new.replicas_on(*change.key).map(|r| r.id.deployment.clone()));
    }
    if room || nodes || settings {
        let concerned = new
            .deployments()
            .filter(|d| settings || !d.unplaced.is_empty() || (nodes && has_global(new, d)));
        touched.extend(concerned.map(|d| d.name.clone()));
    }
    touched.retain(|name| new.deployment(name).is_some());
    touched
}

/// Whether nothing that placement looks at has changed.
fn same_for_placement(old: Option<&Node>, new: Option<&Node>) -> bool {
    let (Some(old), Some(new)) = (old, new) else { return false };
    old.condition == new.condition
        && old.availability == new.availability
        && old.forced == new.forced
        && old.name == new.name
        && old.labels == new.labels
        && old.facts.platform == new.facts.platform
        && old.facts.cpu_millis == new.facts.cpu_millis
        && old.facts.memory_bytes == new.facts.memory_bytes
}

fn has_global(state: &State, deployment: &Deployment) -> bool {
    state
        .revision(&deployment.name, deployment.revision)
        .is_some_and(|r| r.services.values().any(|s| s.schedule.is_global()))
}

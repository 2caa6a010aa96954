//! Networks and volumes of the node: made before they are used, removed when nothing needs them.
//!
//! What is not labelled as this cluster's is never changed, except for a network that another
//! JACO cluster left behind under a name that is needed here: it is replaced when nothing uses it. One
//! of our own with other addresses than it is to have is replaced once its deployment has no container
//! here: what runs is never torn down for it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jaco_api::model::{
    AssignedReplica, Assignment, ClusterId, ContainerSpec, DeploymentName, NetworkSpec,
};

use tokio::time::Instant;

use super::{
    EngineStatus,
    engine::{Engine, Link},
    memory::doubled,
    report::{Board, at},
};
use crate::{
    container::{Labels, Network, NetworkRequest, RuntimeError, label},
    spec,
};

/// What to do so that a network is as wanted.
#[derive(Debug, PartialEq, Eq)]
enum NetworkStep {
    /// It is there.
    Keep,
    /// Make it.
    Make,
    /// Remove another cluster's, by id, then make it.
    Replace(String),
    /// It is ours with other addresses: remove it, by id, once its deployment has no container here.
    Renew(String),
    /// It belongs to somebody else.
    Refuse,
}

/// Decides about one network. Pure.
fn network_step(existing: &[Network], wanted: &NetworkRequest) -> NetworkStep {
    let same = |labels: &Labels, key: &str| labels.get(key) == wanted.labels.get(key);
    let named: Vec<&Network> = existing.iter().filter(|n| n.name == wanted.name).collect();
    let ours = |n: &&&Network| {
        [label::CLUSTER, label::DEPLOYMENT, label::NETWORK].iter().all(|key| same(&n.labels, key))
    };
    let left =
        |n: &&&Network| n.labels.contains_key(label::CLUSTER) && !same(&n.labels, label::CLUSTER);
    match named.as_slice() {
        [] => NetworkStep::Make,
        named if named.iter().any(|n| ours(&n) && is_as_wanted(n, wanted)) => NetworkStep::Keep,
        named if named.iter().any(|n| ours(&n)) => {
            let old = named.iter().find(|n| ours(n));
            NetworkStep::Renew(old.map(|n| n.id.clone()).unwrap_or_default())
        }
        named => match named.iter().find(left) {
            Some(left) => NetworkStep::Replace(left.id.clone()),
            None => NetworkStep::Refuse,
        },
    }
}

/// Whether a network of ours has the addresses it is to have, and is policed by whom it is to be; where it
/// is to have no addresses of its own, it is as wanted whatever the engine gave it.
fn is_as_wanted(network: &Network, wanted: &NetworkRequest) -> bool {
    let same = |key| network.labels.get(key) == wanted.labels.get(key);
    !wanted.labels.contains_key(label::SUBNET) || (same(label::SUBNET) && same(label::POLICED))
}

/// Whether a network of ours is one that the assignment needs. One without addresses of ours takes
/// nothing from anybody.
fn is_needed(network: &Network, assignment: &Assignment) -> Needed {
    let Some(assigned) = assignment.networks.get(&network.name) else { return Needed::Not };
    let wanted = assigned.subnet.as_ref().map(|s| s.prefix.to_string());
    match network.labels.get(label::SUBNET) {
        Some(found) if Some(found) != wanted.as_ref() => Needed::Otherwise,
        _ => Needed::Yes,
    }
}

/// What becomes of a network of ours.
#[derive(Debug, PartialEq, Eq)]
enum Needed {
    /// It stays.
    Yes,
    /// It holds addresses that are not its own any more, until its deployment's containers are gone.
    Otherwise,
    /// It goes.
    Not,
}

impl Engine {
    /// Makes the networks of a replica that are not there.
    pub(super) async fn ensure_networks(
        &self,
        cluster: ClusterId,
        replica: &AssignedReplica,
        container: &ContainerSpec,
    ) -> Result<(), RuntimeError> {
        if container.networks.is_empty() {
            return Ok(());
        }
        let underlay = self.underlay().await?;
        let _alone = self.networks.lock().await;
        let existing = self.runtime.networks(&Labels::new()).await?;
        let newest = self.newest();
        for attachment in &container.networks {
            let deployment = &replica.id.deployment;
            let name = NetworkSpec::engine_name(deployment, &attachment.network);
            let assigned = newest.as_ref().and_then(|a| a.networks.get(&name));
            let Some(assigned) = assigned else {
                // Its addresses may be another's by now.
                let message = format!("network {name} is not to be on this node any more");
                return Err(RuntimeError::Conflict { message });
            };
            let wanted = spec::network(cluster, &name, assigned, underlay.as_deref());
            match network_step(&existing, &wanted) {
                NetworkStep::Keep => continue,
                NetworkStep::Make => {}
                NetworkStep::Replace(id) => self.runtime.remove_network(&id).await?,
                NetworkStep::Renew(_) if self.has_containers(cluster, deployment).await? => {
                    continue;
                }
                NetworkStep::Renew(id) => self.runtime.remove_network(&id).await?,
                NetworkStep::Refuse => {
                    let message = format!("a network {name} exists that is not of this cluster");
                    return Err(RuntimeError::Conflict { message });
                }
            }
            self.runtime.create_network(&wanted).await?;
        }
        Ok(())
    }

    /// Whether there are containers of a deployment here, running or not.
    async fn has_containers(
        &self,
        cluster: ClusterId,
        deployment: &DeploymentName,
    ) -> Result<bool, RuntimeError> {
        let mut labels = spec::cluster_labels(cluster);
        labels.insert(label::DEPLOYMENT.to_owned(), deployment.to_string());
        Ok(!self.runtime.list(&labels).await?.is_empty())
    }

    /// Makes the volumes of a replica that are not there.
    pub(super) async fn ensure_volumes(
        &self,
        cluster: ClusterId,
        replica: &AssignedReplica,
        container: &ContainerSpec,
    ) -> Result<(), RuntimeError> {
        let (made, awaited) = spec::volumes(cluster, &replica.id, container);
        for request in made {
            if self.runtime.volume(&request.name).await?.is_none() {
                self.runtime.create_volume(&request).await?;
            }
        }
        for name in awaited {
            if self.runtime.volume(&name).await?.is_none() {
                let message = format!("external volume {name} does not exist on this node");
                return Err(RuntimeError::NotFound { message });
            }
        }
        Ok(())
    }

    /// Removes what the newest assignment does not need any more. What is in use stays: false
    /// when there is such a thing.
    async fn tidy(&self, board: &Board) -> Result<bool, RuntimeError> {
        let Some(assignment) = self.newest().filter(|a| a.caught_up) else { return Ok(true) };
        let all = self.tidy_networks(&assignment).await?;
        let gone = self.tidy_volumes(&assignment).await?;
        let all = all && gone.len() == assignment.remove_volumes.len();
        board.post_volumes(gone);
        Ok(all)
    }

    async fn tidy_networks(&self, assignment: &Assignment) -> Result<bool, RuntimeError> {
        let _alone = self.networks.lock().await;
        let ours = self.runtime.networks(&spec::cluster_labels(assignment.cluster)).await?;
        let newest = self.newest();
        let Some(newest) = newest.filter(|a| a.caught_up) else { return Ok(true) };
        let mut all = true;
        for network in ours.iter().filter(|n| is_needed(n, &newest) == Needed::Not) {
            match self.runtime.remove_network(&network.id).await {
                Ok(()) => tracing::info!(network = network.name, "removed network"),
                Err(error) if error.is_not_found() => {}
                Err(RuntimeError::Conflict { message } | RuntimeError::Refused { message, .. }) => {
                    tracing::debug!(network = network.name, message, "network stays");
                    all = false;
                }
                Err(error) => return Err(error),
            }
        }
        if all && ours.iter().all(|n| is_needed(n, &newest) != Needed::Otherwise) {
            self.networks_are_of(newest);
        }
        Ok(all)
    }

    /// The volumes that were to be removed and are gone. Another's volume of that name is left
    /// alone and counts as gone.
    async fn tidy_volumes(&self, a: &Assignment) -> Result<BTreeSet<String>, RuntimeError> {
        let mut gone = BTreeSet::new();
        for name in &a.remove_volumes {
            let ours = match self.runtime.volume(name).await? {
                Some(v) => v.labels.get(label::CLUSTER) == Some(&a.cluster.to_string()),
                None => false,
            };
            let removed = match ours {
                false => true,
                true => match self.runtime.remove_volume(name).await {
                    Ok(()) => true,
                    Err(error) if error.is_not_found() => true,
                    Err(RuntimeError::Conflict { .. } | RuntimeError::Refused { .. }) => false,
                    Err(error) => return Err(error),
                },
            };
            if removed {
                gone.insert(name.clone());
            }
        }
        Ok(gone)
    }
}

/// First and longest pause before what was in use is tried again: the engine may let go of it a
/// little later than of the container that used it.
const AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// The task that tidies whenever something may have become free.
pub(crate) async fn run(engine: Arc<Engine>, board: Arc<Board>) {
    let mut link = engine.link();
    let mut tries = None;
    loop {
        let again = tries.map(|n| Instant::now() + doubled(AGAIN.0, n, AGAIN.1));
        let freed = tokio::select! {
            () = engine.freed.notified() => true,
            () = at(again) => false,
        };
        let up = |l: &Link| matches!(l.status, EngineStatus::Up(_));
        if link.wait_for(up).await.is_err() {
            return;
        }
        let all = engine.tidy(&board).await.unwrap_or_else(|error| {
            match error.is_unreachable() {
                true => engine.lost(&error.to_string()),
                false => tracing::warn!(%error, "cannot tidy networks and volumes"),
            }
            false
        });
        tries = match tries {
            _ if all => None,
            Some(n) if !freed => Some(n + 1),
            _ => Some(0),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sample;

    fn wanted() -> NetworkRequest {
        let assignment = sample::assignment([sample::replica("shop.web.1", 1)]);
        let (name, assigned) = assignment.networks.first_key_value().unwrap();
        spec::network(assignment.cluster, name, assigned, None)
    }
    fn existing(labels: &[(&str, &str)]) -> Network {
        let mut all = wanted().labels;
        all.extend(labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        Network { id: "n1".into(), name: wanted().name, labels: all }
    }

    #[test]
    fn only_our_own_network_is_used_and_only_another_clusters_is_replaced() {
        let step = |networks: &[Network]| network_step(networks, &wanted());
        let unlabelled = Network { labels: Labels::new(), ..existing(&[]) };
        assert_eq!(step(&[]), NetworkStep::Make);
        assert_eq!(step(&[existing(&[])]), NetworkStep::Keep);
        assert_eq!(step(&[existing(&[("user", "x")])]), NetworkStep::Keep);
        assert_eq!(step(&[existing(&[(label::CLUSTER, "x")])]), NetworkStep::Replace("n1".into()));
        assert_eq!(step(&[existing(&[(label::DEPLOYMENT, "x")])]), NetworkStep::Refuse);
        assert_eq!(step(std::slice::from_ref(&unlabelled)), NetworkStep::Refuse);
        assert_eq!(step(&[unlabelled, existing(&[])]), NetworkStep::Keep);
    }

    #[test]
    fn a_network_of_ours_with_other_addresses_is_renewed() {
        let plain = wanted();
        let mut wanted = plain.clone();
        wanted.labels.insert(label::SUBNET.into(), "10.244.1.0/24".into());
        let step = |labels: &[(&str, &str)], wanted| network_step(&[existing(labels)], wanted);
        let renew = || NetworkStep::Renew("n1".into());
        assert_eq!(step(&[], &wanted), renew(), "from before networks had addresses of their own");
        assert_eq!(step(&[(label::SUBNET, "10.244.1.0/24")], &wanted), NetworkStep::Keep);
        assert_eq!(step(&[(label::SUBNET, "10.244.2.0/24")], &wanted), renew());
        assert_eq!(step(&[(label::SUBNET, "10.244.2.0/24")], &plain), NetworkStep::Keep);
    }

    #[test]
    fn addresses_that_are_not_its_own_any_more_are_held_by_a_network_that_stays() {
        let mut assignment = sample::assignment([sample::replica("shop.web.1", 1)]);
        let needed = |a: &Assignment, labels: &[(&str, &str)]| is_needed(&existing(labels), a);
        assert_eq!(needed(&assignment, &[]), Needed::Yes);
        assert_eq!(needed(&assignment, &[(label::SUBNET, "10.244.1.0/24")]), Needed::Otherwise);
        for network in assignment.networks.values_mut() {
            network.subnet = Some(sample::subnet("10.244.1.0/24"));
        }
        assert_eq!(needed(&assignment, &[(label::SUBNET, "10.244.1.0/24")]), Needed::Yes);
        assert_eq!(needed(&assignment, &[]), Needed::Yes);
        assignment.networks.clear();
        assert_eq!(needed(&assignment, &[]), Needed::Not);
    }
}

//! What is asked of an engine for one replica. Pure.
//!
//! Input: an assigned replica. Output: requests for its container, networks and volumes. Never
//! looks at what the engine has.

use std::sync::Arc;

use jaco_api::model::{
    AssignedNetwork, AssignedReplica, Attachment, ClusterId, ContainerSpec, MountSource,
    NetworkName, NetworkSpec, ReplicaId,
};

use crate::{
    container::{ContainerRequest, Labels, NetworkJoin, NetworkRequest, VolumeRequest, label},
    reconcile::Underlay,
};

/// The variable that tells a run its tick; it wins over the user's.
const TICK_VARIABLE: &str = "JACO_TICK";

/// The name of a replica's container.
#[must_use]
pub fn container_name(id: &ReplicaId) -> String {
    format!("jaco.{id}")
}

/// The label that everything of a cluster carries.
#[must_use]
pub fn cluster_labels(cluster: ClusterId) -> Labels {
    Labels::from([(label::CLUSTER.to_owned(), cluster.to_string())])
}

/// The labels by which the containers of one replica are found.
#[must_use]
pub fn replica_labels(cluster: ClusterId, replica: &str) -> Labels {
    let mut labels = cluster_labels(cluster);
    labels.insert(label::REPLICA.to_owned(), replica.to_owned());
    labels
}

/// The container of a replica.
#[must_use]
pub fn container(
    cluster: ClusterId,
    replica: &AssignedReplica,
    spec: &Arc<ContainerSpec>,
) -> ContainerRequest {
    let id = &replica.id;
    let mut labels = spec.labels.clone();
    labels.extend(replica_labels(cluster, &id.to_string()));
    labels.extend(
        [
            (label::DEPLOYMENT, id.deployment.to_string()),
            (label::SERVICE, id.service.to_string()),
            (label::GENERATION, replica.generation.to_string()),
            (label::REVISION, replica.revision.to_string()),
        ]
        .map(|(k, v)| (k.to_owned(), v)),
    );
    let mut spec = Arc::clone(spec);
    if let Some(tick) = replica.tick {
        labels.insert(label::TICK.to_owned(), tick.to_string());
        let environment = &mut Arc::make_mut(&mut spec).environment;
        environment.insert(TICK_VARIABLE.to_owned(), Some(tick.to_string()));
    }
    ContainerRequest {
        name: container_name(id),
        labels,
        networks: joins(id, &spec.networks),
        files: replica.files.clone(),
        spec,
        lead: None,
    }
}

/// The same container beside the one with this id.
#[must_use]
pub fn beside(lead: &str, mut request: ContainerRequest) -> ContainerRequest {
    request.labels.insert(label::LEAD.to_owned(), lead.to_owned());
    request.lead = Some(lead.to_owned());
    request
}

/// The network that provides the default gateway of a container.
#[must_use]
pub fn gateway_network(attachments: &[Attachment]) -> Option<&NetworkName> {
    let by_place = sorted(attachments);
    let said = attachments.iter().any(|a| a.gw_priority != 0);
    let first = match said {
        true => by_place.into_iter().rev().max_by_key(|a| a.gw_priority),
        false => by_place.into_iter().next(),
    };
    first.map(|attachment| &attachment.network)
}

fn sorted(attachments: &[Attachment]) -> Vec<&Attachment> {
    let mut sorted: Vec<&Attachment> = attachments.iter().collect();
    sorted.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.network.cmp(&b.network)));
    sorted
}

/// Highest priority first; equal priorities keep the order of names, so that it never varies.
/// The first one provides the default gateway, unless the attachments say which one does.
fn joins(id: &ReplicaId, attachments: &[Attachment]) -> Vec<NetworkJoin> {
    let said = attachments.iter().any(|a| a.gw_priority != 0);
    sorted(attachments)
        .into_iter()
        .enumerate()
        .map(|(place, a)| {
            let mut aliases = vec![id.service.to_string()];
            aliases.extend(a.aliases.iter().filter(|x| **x != *id.service.as_str()).cloned());
            aliases.dedup();
            let by_place = if place == 0 { 1 } else { -i64::try_from(place).unwrap_or(0) };
            NetworkJoin {
                network: NetworkSpec::engine_name(&id.deployment, &a.network),
                aliases,
                gateway: if said { i64::from(a.gw_priority) } else { by_place },
                interface: a.interface_name.clone(),
                driver_opts: a.driver_opts.clone(),
            }
        })
        .collect()
}

/// A network of a deployment, on a node that makes this much of its network itself.
#[must_use]
pub fn network(
    cluster: ClusterId,
    name: &str,
    assigned: &AssignedNetwork,
    underlay: Option<&Underlay>,
) -> NetworkRequest {
    let mut labels = assigned.spec.labels.clone();
    labels.extend(network_labels(cluster, assigned));
    let mut driver_opts = assigned.spec.driver_opts.clone();
    if let Some(subnet) = &assigned.subnet {
        driver_opts.insert(NetworkRequest::BRIDGE_NAME.to_owned(), subnet.bridge.clone());
    }
    let policed = underlay.is_some_and(|u| u.policed) && assigned.subnet.is_some();
    if policed {
        // Containers on other nodes see the address of this one, and the node lets nothing out of an
        // internal network: the engine would leave its containers without a way to other nodes, too.
        driver_opts.insert(NetworkRequest::MASQUERADE.to_owned(), "false".to_owned());
        // Who reaches whom is decided by the node's own rules; the engine's would drop what comes by the mesh.
        let unprotected = "nat-unprotected".to_owned();
        driver_opts.insert(NetworkRequest::GATEWAY_MODE.to_owned(), unprotected);
        labels.insert(label::POLICED.to_owned(), "true".to_owned());
    }
    if let Some(mtu) = underlay.and_then(|u| u.mtu) {
        driver_opts.entry(NetworkRequest::MTU.to_owned()).or_insert_with(|| mtu.to_string());
    }
    NetworkRequest {
        name: name.to_owned(),
        labels,
        internal: assigned.spec.internal && !policed,
        driver_opts,
        addresses: assigned.subnet.as_ref().map(|s| (s.prefix, s.gateway)),
    }
}

/// The labels that make a network ours.
#[must_use]
pub fn network_labels(cluster: ClusterId, assigned: &AssignedNetwork) -> Labels {
    let mut labels = cluster_labels(cluster);
    labels.insert(label::DEPLOYMENT.to_owned(), assigned.deployment.to_string());
    labels.insert(label::NETWORK.to_owned(), assigned.network.to_string());
    if let Some(subnet) = &assigned.subnet {
        labels.insert(label::SUBNET.to_owned(), subnet.prefix.to_string());
    }
    labels
}

/// The volumes that must exist before a container: those of the engine that JACO makes, and the
/// names of those that must be there already.
#[must_use]
pub fn volumes(
    cluster: ClusterId,
    id: &ReplicaId,
    spec: &ContainerSpec,
) -> (Vec<VolumeRequest>, Vec<String>) {
    let (mut made, mut awaited) = (Vec::new(), Vec::new());
    for mount in &spec.mounts {
        let MountSource::Volume { name, external, driver, driver_opts, labels: own, .. } =
            &mount.source
        else {
            continue;
        };
        if name.is_empty() {
            continue;
        }
        if *external {
            awaited.push(name.clone());
            continue;
        }
        let mut labels = own.clone();
        labels.extend(cluster_labels(cluster));
        labels.insert(label::DEPLOYMENT.to_owned(), id.deployment.to_string());
        made.push(VolumeRequest {
            name: name.clone(),
            driver: driver.clone(),
            driver_opts: driver_opts.clone(),
            labels,
        });
    }
    (made, awaited)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sample;

    #[test]
    fn our_labels_win_and_the_name_is_the_replica() {
        let mut spec = ContainerSpec { image: "x".into(), ..Default::default() };
        spec.labels.insert("jaco.cluster_id".into(), "forged".into());
        spec.labels.insert("team".into(), "blue".into());
        let replica = sample::replica("shop.web.2", 7);
        let request = container(sample::cluster(), &replica, &Arc::new(spec));
        assert_eq!(request.name, "jaco.shop.web.2");
        let expected = [
            (label::CLUSTER, sample::cluster().to_string()),
            (label::DEPLOYMENT, "shop".into()),
            (label::GENERATION, "7".into()),
            (label::REPLICA, "shop.web.2".into()),
            (label::REVISION, "1".into()),
            (label::SERVICE, "web".into()),
            ("team", "blue".into()),
        ];
        assert_eq!(request.labels, expected.map(|(k, v)| (k.to_owned(), v)).into());
    }

    #[test]
    fn a_run_is_told_its_tick_and_carries_it() {
        let mut spec = ContainerSpec { image: "x".into(), ..Default::default() };
        spec.environment.insert("JACO_TICK".into(), Some("forged".into()));
        let spec = Arc::new(spec);
        let replica = AssignedReplica {
            tick: Some(jaco_api::model::Timestamp(1_773_144_000_000)),
            ..sample::replica("shop.backup.2", 1)
        };
        let request = container(sample::cluster(), &replica, &spec);
        assert_eq!(request.labels[label::TICK], "2026-03-10T12:00:00.000Z");
        let told = request.spec.environment["JACO_TICK"].as_deref();
        assert_eq!(told, Some("2026-03-10T12:00:00.000Z"));
        let other = container(sample::cluster(), &sample::replica("shop.web.1", 1), &spec);
        assert!(!other.labels.contains_key(label::TICK));
        assert_eq!(other.spec.environment["JACO_TICK"].as_deref(), Some("forged"));
    }

    #[test]
    fn the_network_with_the_highest_priority_comes_first_and_answers_to_the_service_name() {
        let attachment = |name: &str, priority, aliases: &[&str]| Attachment {
            network: name.parse().unwrap(),
            aliases: aliases.iter().map(|a| (*a).to_owned()).collect(),
            priority,
            ..Attachment::to("any".parse().unwrap())
        };
        let spec = ContainerSpec {
            networks: vec![
                attachment("b", 0, &[]),
                attachment("a", 0, &["web", "www"]),
                attachment("front", 10, &[]),
            ],
            ..Default::default()
        };
        let request =
            container(sample::cluster(), &sample::replica("shop.web.1", 1), &Arc::new(spec));
        let seen: Vec<_> =
            request.networks.iter().map(|n| (n.network.as_str(), n.aliases.join(","))).collect();
        assert_eq!(
            seen,
            [
                ("jaco_shop_front", "web".to_owned()),
                ("jaco_shop_a", "web,www".to_owned()),
                ("jaco_shop_b", "web".to_owned())
            ]
        );
    }

    #[test]
    fn volumes_are_labelled_and_external_ones_only_awaited() {
        let volume = |name: &str, external| jaco_api::model::Mount {
            source: MountSource::Volume {
                name: name.into(),
                external,
                driver: String::new(),
                driver_opts: Default::default(),
                nocopy: false,
                subpath: None,
                labels: [("team".to_owned(), "blue".to_owned())].into(),
            },
            target: "/data".into(),
            read_only: false,
        };
        let spec = ContainerSpec {
            mounts: vec![volume("jaco_shop_db", false), volume("backup", true), volume("", false)],
            ..Default::default()
        };
        let id = "shop.db.1".parse().unwrap();
        let (made, awaited) = volumes(sample::cluster(), &id, &spec);
        assert_eq!(made.len(), 1);
        assert_eq!(made[0].labels[label::DEPLOYMENT], "shop");
        assert_eq!(made[0].labels["team"], "blue");
        assert_eq!(awaited, ["backup"]);
    }

    #[test]
    fn the_attachments_say_which_network_provides_the_gateway() {
        let attachment = |name: &str, priority, gw_priority| Attachment {
            priority,
            gw_priority,
            ..Attachment::to(name.parse().unwrap())
        };
        let gateways = |networks: Vec<Attachment>| {
            let spec = Arc::new(ContainerSpec { networks, ..Default::default() });
            let replica = sample::replica("shop.web.1", 1);
            let request = container(sample::cluster(), &replica, &spec);
            request.networks.into_iter().map(|n| (n.network, n.gateway)).collect::<Vec<_>>()
        };
        let named = |all: &[(&str, i64)]| {
            all.iter().map(|(n, g)| (format!("jaco_shop_{n}"), *g)).collect::<Vec<_>>()
        };
        let quiet = vec![attachment("a", 0, 0), attachment("b", 9, 0), attachment("c", 0, 0)];
        assert_eq!(gateways(quiet), named(&[("b", 1), ("a", -1), ("c", -2)]));
        let said = vec![attachment("a", 0, 5), attachment("b", 9, -3)];
        assert_eq!(gateways(said), named(&[("b", -3), ("a", 5)]));
    }
}

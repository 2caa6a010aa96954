//! Sample values, so that a test says only what it is about.

use std::{collections::BTreeMap, sync::Arc};

use jaco_api::model::{
    AssignedNetwork, AssignedReplica, AssignedSubnet, Assignment, Attachment, ClusterId,
    ContainerSpec, Intent, Mode, NetworkName, Observation, RestartPolicy, Span,
};

/// The cluster of all samples.
#[must_use]
pub fn cluster() -> ClusterId {
    "6b1f3a52-0d1e-4c55-9d0b-7a1c5f0e2d11".parse().expect("the text is a UUID")
}

/// A container of `image` with nothing else set, in the `default` network.
#[must_use]
pub fn spec(image: &str) -> ContainerSpec {
    ContainerSpec {
        image: image.to_owned(),
        networks: vec![Attachment::to(NetworkName::default_network())],
        ..ContainerSpec::default()
    }
}

/// A replica that is to run the image `app:1`.
///
/// # Panics
/// When `id` is no replica id.
#[must_use]
pub fn replica(id: &str, generation: u64) -> AssignedReplica {
    replica_of(id, generation, spec("app:1"))
}

/// A replica that is to run this.
///
/// # Panics
/// When `id` is no replica id.
#[must_use]
pub fn replica_of(id: &str, generation: u64, spec: ContainerSpec) -> AssignedReplica {
    AssignedReplica {
        id: id.parse().expect("a sample id is a replica id"),
        intent: Intent::Run,
        generation,
        revision: 1,
        tick: None,
        spec: Some(Arc::new(spec)),
        files: Vec::new(),
        prepare: None,
        waiting_on: Vec::new(),
        retired: BTreeMap::new(),
        start_limit: Span::secs(60),
        beside: None,
        restart: RestartPolicy::default(),
        mode: Mode::Service,
        fenced: false,
        observed: Observation { generation, ..Observation::default() },
        prepared: None,
    }
}

/// These addresses, with the first one for the bridge.
///
/// # Panics
/// When the text is no prefix.
#[must_use]
pub fn subnet(prefix: &str) -> AssignedSubnet {
    let prefix: ipnet::IpNet = prefix.parse().expect("a sample prefix is one");
    let gateway = prefix.hosts().next().expect("a sample prefix has hosts");
    AssignedSubnet {
        prefix,
        gateway,
        bridge: format!("jaco-{}", gateway.to_string().replace('.', "")),
    }
}

/// A caught-up assignment of these replicas with the networks they use.
#[must_use]
pub fn assignment(replicas: impl IntoIterator<Item = AssignedReplica>) -> Assignment {
    let replicas: BTreeMap<_, _> = replicas.into_iter().map(|r| (r.id.clone(), r)).collect();
    let mut networks = BTreeMap::new();
    for replica in replicas.values() {
        for attachment in replica.spec.iter().flat_map(|s| &s.networks) {
            let deployment = replica.id.deployment.clone();
            let network = attachment.network.clone();
            networks.insert(
                jaco_api::model::NetworkSpec::engine_name(&deployment, &network),
                AssignedNetwork { deployment, network, spec: Default::default(), subnet: None },
            );
        }
    }
    Assignment {
        cluster: cluster(),
        node: "node-a".parse().expect("the text is a node name"),
        index: 1,
        caught_up: true,
        replicas,
        networks,
        remove_volumes: Default::default(),
    }
}

//! Which names lead where, and where they are answered. Pure.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use jaco_api::model::{Fabric, FabricService, NetworkId, ReplicaId, ServiceName};
use jaco_net::dns::{
    Bridge, Container, Endpoint, FORWARDER_TIMEOUT, Forwarders, NamedPort, NamedReplica,
    NamedService, Names,
};

use super::rules::scope;

/// The port of DNS.
const DOMAIN: u16 = 53;

/// How a node answers names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// Who is asked for names that are none of the cluster's.
    pub forwarders: Forwarders,
    /// How long each of them has for an answer.
    pub patience: Duration,
    /// Loopback addresses where the host's own programs are answered, besides the gateways where
    /// containers are. They see every deployment, by names below `jaco.internal`.
    pub host: BTreeSet<SocketAddr>,
}

impl From<Forwarders> for Naming {
    fn from(forwarders: Forwarders) -> Self {
        Self { forwarders, patience: FORWARDER_TIMEOUT, host: BTreeSet::new() }
    }
}

impl Naming {
    /// Where questions are answered on a node with this network.
    pub(crate) fn listens(&self, fabric: &Fabric) -> BTreeSet<SocketAddr> {
        let gateways = gateways(fabric).into_iter().map(|ip| SocketAddr::new(ip, DOMAIN));
        gateways.chain(self.host.iter().copied()).collect()
    }

    /// What is answered there.
    pub(crate) fn names(&self, fabric: &Fabric) -> Names {
        Names { host: self.host.iter().map(SocketAddr::ip).collect(), ..names(fabric) }
    }
}

/// What the containers of a node are answered.
fn names(fabric: &Fabric) -> Names {
    let services = |services: &std::collections::BTreeMap<ServiceName, FabricService>| {
        services.iter().map(|(name, service)| named(name, service)).collect()
    };
    let bridges = fabric.networks.iter().filter_map(|(id, network)| {
        let local = network.local.as_ref()?;
        Some((local.gateway, Bridge { block: local.prefix, scope: scope(id) }))
    });
    Names {
        node: fabric.node.clone(),
        pools: fabric.pools.iter().copied().collect(),
        scopes: fabric.networks.iter().map(|(id, n)| (scope(id), services(&n.services))).collect(),
        bridges: bridges.collect(),
        host: BTreeSet::new(),
        containers: fabric.containers.iter().map(|(id, all)| container(id, all)).collect(),
    }
}

/// The addresses that containers ask at.
fn gateways(fabric: &Fabric) -> BTreeSet<IpAddr> {
    fabric.networks.values().filter_map(|network| Some(network.local.as_ref()?.gateway)).collect()
}

fn container(
    id: &ReplicaId,
    addresses: &std::collections::BTreeMap<jaco_api::model::NetworkName, IpAddr>,
) -> Container {
    let of = |network: &jaco_api::model::NetworkName| {
        scope(&NetworkId { deployment: id.deployment.clone(), network: network.clone() })
    };
    Container { addresses: addresses.iter().map(|(n, address)| (of(n), *address)).collect() }
}

fn named(name: &ServiceName, service: &FabricService) -> NamedService {
    let ports = service.ports.iter().map(|(number, protocol)| NamedPort {
        name: None,
        number: *number,
        protocol: *protocol,
    });
    let replicas = service.replicas.iter().map(|(slot, replica)| NamedReplica {
        slot: slot.clone(),
        addresses: replica.address.into_iter().collect(),
        node: replica.node.clone(),
        healthy: replica.healthy,
        hostname: replica.hostname.clone(),
    });
    NamedService {
        name: name.clone(),
        endpoint: match service.address {
            Some(address) => Endpoint::Vip(vec![address]),
            None => Endpoint::Dnsrr,
        },
        aliases: service.aliases.iter().cloned().collect(),
        ports: ports.collect(),
        replicas: replicas.collect(),
    }
}

//! What the firewall must hold. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;
use jaco_api::model::{Fabric, FabricService, NetworkId, NetworkName};
use jaco_net::{Bridge, IngressPort, InterfaceName, MeshLink, Ruleset, Scope};

use super::Mesh;

/// The ruleset of a node.
pub(crate) fn rules(fabric: &Fabric, mesh: Option<&Mesh>) -> Ruleset {
    let members = fabric.members.values().filter_map(|member| member.mesh_address);
    let link = mesh.and_then(|mesh| mesh.interface.parse().ok()).map(|interface| MeshLink {
        interface,
        own: fabric.mesh_address.into_iter().collect(),
        members: members.collect(),
    });
    let bridges = fabric.networks.iter().filter_map(|(id, network)| {
        let local = network.local.as_ref()?;
        let name: InterfaceName = local.bridge.parse().ok()?;
        let bridge = Bridge {
            scope: scope(id),
            blocks: [(local.prefix, local.gateway)].into(),
            internal: network.internal,
            host_access: network.host_access,
        };
        Some((name, bridge))
    });
    Ruleset {
        pools: fabric.pools.clone(),
        scopes: fabric.networks.iter().map(|(id, n)| (scope(id), n.blocks.clone())).collect(),
        bridges: bridges.collect(),
        mesh: link,
        ingress: fabric
            .served
            .iter()
            .map(|(port, protocol)| IngressPort { protocol: *protocol, port: *port })
            .collect(),
        virtual_pools: [fabric.service_pool].into(),
        virtuals: virtuals(fabric),
        homes: homes(fabric),
    }
}

/// The addresses of services with those of their healthy replicas, as many as can be told apart.
fn virtuals(fabric: &Fabric) -> BTreeMap<IpAddr, BTreeSet<IpAddr>> {
    let services = fabric.networks.values().flat_map(|network| network.services.values());
    let healthy = |service: &FabricService| {
        let replicas = service.replicas.values().filter(|replica| replica.healthy);
        let addresses = replicas.filter_map(|replica| replica.address);
        addresses.filter(|a| is_pooled(fabric, *a)).take(Ruleset::MOST_REPLICAS).collect()
    };
    services.filter_map(|service| Some((service.address?, healthy(service)))).collect()
}

/// The containers of this node that are in several networks, by their addresses.
fn homes(fabric: &Fabric) -> BTreeSet<BTreeSet<IpAddr>> {
    let here: Vec<IpNet> =
        fabric.networks.values().filter_map(|n| Some(n.local.as_ref()?.prefix)).collect();
    let of = |addresses: &BTreeMap<NetworkName, IpAddr>| -> BTreeSet<IpAddr> {
        let here = |address: &IpAddr| here.iter().any(|block| block.contains(address));
        addresses.values().copied().filter(here).collect()
    };
    fabric.containers.values().map(of).filter(|addresses| addresses.len() > 1).collect()
}

fn is_pooled(fabric: &Fabric, address: IpAddr) -> bool {
    fabric.pools.iter().any(|pool| pool.contains(&address))
}

pub(super) fn scope(id: &NetworkId) -> Scope {
    Scope { deployment: id.deployment.clone(), network: id.network.clone() }
}

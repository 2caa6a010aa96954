//! What the firewall must hold. Pure.

use jaco_api::model::{Fabric, NetworkId};
use jaco_net::{Bridge, InterfaceName, MeshLink, Ruleset, Scope};

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
        ingress: Default::default(),
    }
}

pub(super) fn scope(id: &NetworkId) -> Scope {
    Scope { deployment: id.deployment.clone(), network: id.network.clone() }
}

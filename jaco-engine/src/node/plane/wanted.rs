//! What the doctor compares the kernel of this node with. Pure.

use jaco_api::model::{Fabric, MeshKey};
use jaco_net::{
    InterfaceName,
    doctor::{PROBE_PORT, Serving, Wanted, WantedMesh, WantedPeer},
};

use super::{Mesh, rules, tunnels};

/// Everything that this node keeps; `mesh` with the largest packet that fits through it.
pub(crate) fn wanted(
    fabric: &Fabric,
    mesh: Option<(&Mesh, u32)>,
    policed: bool,
    names: bool,
) -> Wanted {
    let rules = rules(fabric, mesh.map(|(mesh, _)| mesh));
    let tunnels = mesh.and_then(|(mesh, mtu)| {
        let interface: InterfaceName = mesh.interface.parse().ok()?;
        let config = tunnels(fabric, mesh.port, mtu);
        let peers = fabric.members.iter().filter_map(|(name, member)| {
            let key: MeshKey = member.mesh.as_ref()?.public_key;
            Some((key, WantedPeer { name: name.clone(), address: member.mesh_address? }))
        });
        Some(WantedMesh { interface, config, peers: peers.collect(), probe_port: PROBE_PORT })
    });
    Wanted { bridges: rules.bridges.clone(), names, rules: policed.then_some(rules), mesh: tunnels }
}

/// Where the doctors of the other members are answered.
pub(crate) fn serving(fabric: &Fabric) -> Serving {
    Serving {
        addresses: fabric.mesh_address.into_iter().collect(),
        port: PROBE_PORT,
        members: fabric.members.values().filter_map(|member| member.mesh_address).collect(),
    }
}

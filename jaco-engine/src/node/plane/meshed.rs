//! How the tunnels of this node are, by the names of the members. Pure.

use std::collections::BTreeMap;

use jaco_api::model::{Fabric, MeshKey, MeshPeerStatus, MeshStatus, Span};
use jaco_net::PeerStatus;

use super::Mesh;

/// What the device says of the members that have an end of the mesh. One that the device does not know
/// yet was never heard from.
pub(crate) fn meshed(
    fabric: Option<&Fabric>,
    mesh: &Mesh,
    own: MeshKey,
    held: &BTreeMap<MeshKey, PeerStatus>,
) -> MeshStatus {
    let members = fabric.into_iter().flat_map(|fabric| &fabric.members);
    let peers = members.filter_map(|(name, member)| {
        let key = member.mesh.as_ref()?.public_key;
        let status = held.get(&key).cloned().unwrap_or_default();
        Some(MeshPeerStatus {
            node: name.clone(),
            public_key: key,
            endpoint: status.endpoint,
            handshake_ms: status.last_handshake.map(|age| Span::from(age).0),
            received: status.received,
            sent: status.sent,
        })
    });
    MeshStatus {
        device: mesh.device.kind(),
        reason: mesh.reason.clone(),
        interface: mesh.interface.clone(),
        public_key: own,
        listen_port: mesh.port,
        address: fabric.and_then(|fabric| fabric.mesh_address),
        peers: peers.collect(),
    }
}

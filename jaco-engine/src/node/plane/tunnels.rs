//! What the mesh interface must hold. Pure.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ipnet::IpNet;
use jaco_api::model::{Fabric, FabricMember, MeshKey};
use jaco_net::{MeshConfig, MeshPeer};

/// Often enough for the NAT of any home router.
const KEEPALIVE: Duration = Duration::from_secs(25);

/// The mesh of a node: one peer for each other member that has said where its tunnels end.
pub(crate) fn tunnels(fabric: &Fabric, port: u16, mtu: u32) -> MeshConfig {
    // With the length of the pool, so that all members are reached through the interface.
    let own = fabric.mesh_address.and_then(|a| IpNet::new(a, fabric.mesh_pool.prefix_len()).ok());
    let peers: BTreeMap<MeshKey, MeshPeer> = fabric.members.values().filter_map(peer).collect();
    MeshConfig { addresses: own.into_iter().collect(), listen_port: port, mtu, peers }
}

fn peer(member: &FabricMember) -> Option<(MeshKey, MeshPeer)> {
    let facts = member.mesh.as_ref()?;
    let own = member.mesh_address.map(IpNet::from);
    let allowed = member.blocks.iter().copied().chain(own).collect();
    let endpoint = is_reachable(facts.endpoint).then_some(facts.endpoint);
    Some((facts.public_key, MeshPeer { endpoint, allowed, keepalive: Some(KEEPALIVE) }))
}

fn is_reachable(endpoint: SocketAddr) -> bool {
    !endpoint.ip().is_unspecified() && endpoint.port() != 0
}

/// Where the other members are: what decides how large a packet may be.
pub(crate) fn endpoints(fabric: &Fabric) -> impl Iterator<Item = IpAddr> {
    let facts = fabric.members.values().filter_map(|member| member.mesh.as_ref());
    facts.map(|facts| facts.endpoint).filter(|e| is_reachable(*e)).map(|endpoint| endpoint.ip())
}

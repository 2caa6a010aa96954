//! Keeps the mesh equal to what the members are, and this node's key what they know of it.

use std::{sync::Arc, time::Duration};

use jaco_api::model::{Fabric, FabricMember, MeshKey};
use jaco_net::{NetError, PrivateKey, mesh::mtu::mesh_mtu};
use tokio::{net::UdpSocket, sync::watch, time::sleep};

use super::Looks;
use crate::{
    node::{
        mesh_key::Keys,
        plane::{Mesh, endpoints, tunnels},
    },
    retry::Backoff,
};

/// The port of whoever wants no packets (RFC 863).
const DISCARD: u16 = 9;

/// What the mesh is kept with, and who is told of it.
pub(crate) struct Meshing {
    pub(crate) mesh: Mesh,
    pub(crate) keys: watch::Receiver<Keys>,
    pub(crate) fabric: watch::Receiver<Option<Arc<Fabric>>>,
    pub(crate) looks: Looks,
    /// The largest packet that fits through the tunnels.
    pub(crate) mtu: watch::Sender<Option<u32>>,
    /// The key that the device holds.
    pub(crate) taken: watch::Sender<Option<MeshKey>>,
}

/// Applies the mesh whenever it changes or the interface may have been changed, until the node stops.
/// Nothing is done before this node knows who the members are.
pub(crate) async fn keep_meshed(mut meshing: Meshing) {
    let mut changes = meshing.mesh.device.watch();
    let mut pauses = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    // The key, the own address and the members that the mesh was made of.
    let mut made = None;
    loop {
        changes.borrow_and_update();
        let mends = meshing.looks.begin();
        let keys = meshing.keys.borrow_and_update().clone();
        let known = meshing.fabric.borrow_and_update().clone();
        let ends = known.as_ref().map(|fabric| {
            (keys.in_force(fabric.mesh_key).public(), fabric.mesh_address, fabric.members.clone())
        });
        let applied = match &known {
            // What others made of it stays, for somebody to look at.
            Some(_) if !mends && ends == made => Ok(None),
            Some(fabric) => meshing.apply(keys.in_force(fabric.mesh_key), fabric).await.map(Some),
            None => Ok(None),
        };
        match applied {
            Ok(fits) => {
                pauses.reset();
                made = ends;
                meshing.mtu.send_if_modified(|present| {
                    let differs = fits.is_some() && *present != fits;
                    if differs {
                        *present = fits;
                    }
                    differs
                });
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "the mesh is not as it must be");
                tokio::select! {
                    () = sleep(pauses.pause()) => {}
                    () = meshing.looks.asked() => {}
                }
                continue;
            }
        }
        tokio::select! {
            changed = meshing.fabric.changed() => if changed.is_err() { return },
            Ok(()) = meshing.keys.changed() => {}
            () = meshing.looks.next(&mut changes) => {}
        }
    }
}

impl Meshing {
    /// The largest packet that fits through the tunnels, once they are as they must be.
    async fn apply(&self, key: &PrivateKey, fabric: &Fabric) -> Result<u32, NetError> {
        let mesh = &self.mesh;
        let mut paths = Vec::new();
        for endpoint in endpoints(fabric) {
            paths.extend(mesh.device.path(endpoint).await?);
        }
        let mtu = mesh_mtu(paths);
        mesh.device.apply(key, &tunnels(fabric, mesh.port, mtu)).await?;
        // With another key no session is left, whatever the device says of the last one.
        let anew = self.taken.send_replace(Some(key.public())) != Some(key.public());
        if let Err(error) = greet(mesh, fabric, anew).await {
            tracing::debug!(%error, "members could not be greeted");
        }
        Ok(mtu)
    }
}

/// Sends a packet to every member that this end of the mesh has no keys with yet, or to all `anew`: a tunnel
/// begins with a packet, and the first one that is sent anyway would be the keepalive, many seconds later.
async fn greet(
    mesh: &Mesh,
    fabric: &Fabric,
    anew: bool,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let Some(own) = fabric.mesh_address else { return Ok(()) };
    let status = mesh.device.peers().await?;
    let is_new = |member: &&FabricMember| {
        let key = member.mesh.as_ref().map(|facts| facts.public_key);
        let peer = key.and_then(|key| status.get(&key));
        peer.is_some_and(|peer| anew || peer.last_handshake.is_none())
    };
    let new = fabric.members.values().filter(is_new).filter_map(|member| member.mesh_address);
    let new: Vec<_> = new.collect();
    if new.is_empty() {
        return Ok(());
    }
    let socket = UdpSocket::bind((own, 0)).await?;
    for address in new {
        socket.send_to(&[], (address, DISCARD)).await?;
    }
    Ok(())
}

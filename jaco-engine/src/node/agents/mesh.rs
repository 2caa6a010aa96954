//! Keeps the mesh equal to what the members are.

use std::{sync::Arc, time::Duration};

use jaco_api::model::{Fabric, FabricMember};
use jaco_net::{NetError, PrivateKey, mesh::mtu::mesh_mtu};
use tokio::{net::UdpSocket, sync::watch, time::sleep};

use super::Looks;
use crate::{
    node::plane::{Mesh, endpoints, tunnels},
    retry::Backoff,
};

/// The port of whoever wants no packets (RFC 863).
const DISCARD: u16 = 9;

/// Applies the mesh whenever it changes or the interface may have been changed, until the node stops.
/// Nothing is done before this node knows who the members are.
pub(crate) async fn keep_meshed(
    mesh: Mesh,
    key: PrivateKey,
    mut fabric: watch::Receiver<Option<Arc<Fabric>>>,
    mtu: watch::Sender<Option<u32>>,
    mut looks: Looks,
) {
    let mut changes = mesh.device.watch();
    let mut pauses = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    loop {
        changes.borrow_and_update();
        looks.begin();
        let known = fabric.borrow_and_update().clone();
        let applied = match &known {
            Some(fabric) => apply(&mesh, &key, fabric).await.map(Some),
            None => Ok(None),
        };
        match applied {
            Ok(fits) => {
                pauses.reset();
                mtu.send_if_modified(|present| {
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
                    () = looks.asked() => {}
                }
                continue;
            }
        }
        tokio::select! {
            changed = fabric.changed() => if changed.is_err() { return },
            () = looks.next(&mut changes) => {}
        }
    }
}

/// The largest packet that fits through the tunnels, once they are as they must be.
async fn apply(mesh: &Mesh, key: &PrivateKey, fabric: &Fabric) -> Result<u32, NetError> {
    let mut paths = Vec::new();
    for endpoint in endpoints(fabric) {
        paths.extend(mesh.device.path(endpoint).await?);
    }
    let mtu = mesh_mtu(paths);
    mesh.device.apply(key, &tunnels(fabric, mesh.port, mtu)).await?;
    if let Err(error) = greet(mesh, fabric).await {
        tracing::debug!(%error, "members could not be greeted");
    }
    Ok(mtu)
}

/// Sends a packet to every member that this end of the mesh has no keys with yet: a tunnel begins with a
/// packet, and the first one that is sent anyway would be the keepalive, many seconds later.
async fn greet(
    mesh: &Mesh,
    fabric: &Fabric,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let Some(own) = fabric.mesh_address else { return Ok(()) };
    let status = mesh.device.peers().await?;
    let is_new = |member: &&FabricMember| {
        let key = member.mesh.as_ref().map(|facts| facts.public_key);
        key.is_some_and(|key| status.get(&key).is_some_and(|peer| peer.last_handshake.is_none()))
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

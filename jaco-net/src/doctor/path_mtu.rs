//! How large a packet really gets through the tunnel to a peer, and back.
//!
//! Packets that may not be fragmented, of the mesh's full size, go to the peer's responder, which sends some back as
//! long as they came and says of others how long they were: so the direction in which they are lost is known. A path that
//! drops large packets without a word is why connections open and then stand still.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use jaco_api::model::{Check, Finding};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout_at},
};

use super::{
    WantedMesh, WantedPeer, own_address,
    wire::{FRAME, Frame, Kind},
};
use crate::PublicKey;

/// How long answers are waited for, and after how long what is missing is sent again.
const ANSWERS: Duration = Duration::from_millis(1800);
const AGAIN: Duration = Duration::from_millis(300);
/// Sizes between the least that a mesh has and its own that are tried.
const STEPS: u32 = 10;
/// The least that a mesh has, see [`crate::mesh::mtu`], and sizes below it that say how bad it is.
const LEAST: u32 = 1280;
const SMALL: [u32; 2] = [576, 128];

/// What got through, in bytes of a packet in the tunnel.
#[derive(Debug, Default, PartialEq, Eq)]
struct Passed {
    /// The largest that arrived.
    there: Option<u32>,
    /// The largest that arrived and came back.
    back: Option<u32>,
}

/// Tries the mesh's full size with one peer.
pub(super) async fn look(mesh: &WantedMesh, key: &PublicKey, peer: &WantedPeer) -> Finding {
    let skipped = |why: String| Finding::skipped(Check::PathMtu, &peer.name, why);
    let Some(own) = own_address(mesh, peer.address) else {
        return skipped(format!("this node has no mesh address of the family of {}", peer.address));
    };
    let to = SocketAddr::new(peer.address, mesh.probe_port);
    match pass(own, to, mesh.config.mtu).await {
        Ok(passed) => {
            let endpoint = mesh.config.peers.get(key).and_then(|peer| peer.endpoint);
            judge(mesh.config.mtu, peer, endpoint, &passed)
        }
        Err(error) => skipped(format!("no packet can be sent: {error}: see mesh and route")),
    }
}

/// Lets a socket send packets that nobody may cut, whatever was learned of the path.
pub(super) fn unfragmented(socket: &UdpSocket, own: IpAddr) -> io::Result<()> {
    match own {
        IpAddr::V4(_) => set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::PROBE)?,
        IpAddr::V6(_) => set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::PROBE)?,
    }
    Ok(())
}

/// IP and UDP around a datagram.
fn headers(own: IpAddr) -> u32 {
    if own.is_ipv4() { 28 } else { 48 }
}

/// The sizes that are tried, the full one first.
fn sizes(mtu: u32) -> Vec<u32> {
    let step = (mtu.saturating_sub(LEAST) / STEPS).max(20);
    let between = (1..STEPS).map(|n| mtu.saturating_sub(n * step)).take_while(|size| *size > LEAST);
    let rest = [LEAST].into_iter().chain(SMALL).filter(|size| *size < mtu);
    [mtu].into_iter().chain(between).chain(rest).collect()
}

/// Sends all sizes until the full one has come back, or time is up.
async fn pass(own: IpAddr, to: SocketAddr, mtu: u32) -> io::Result<Passed> {
    let socket = UdpSocket::bind(SocketAddr::new(own, 0)).await?;
    unfragmented(&socket, own)?;
    socket.connect(to).await?;
    let end = Instant::now() + ANSWERS;
    let (mut passed, mut asked) = (Passed::default(), BTreeMap::new());
    let mut answer = vec![0; usize::from(u16::MAX)];
    // Nearly always the full size passes at once; the others are sent only if it does not.
    let mut sizes_now = vec![mtu, SMALL[1]];
    while Instant::now() < end {
        let open = |size: &u32, largest: Option<u32>| largest.is_none_or(|largest| *size > largest);
        for size in std::mem::replace(&mut sizes_now, sizes(mtu)) {
            for (kind, largest) in [(Kind::Echo, passed.back), (Kind::Ping, passed.there)] {
                if open(&size, largest) {
                    let frame = Frame::new(kind, rand::random());
                    asked.insert(frame.number, size);
                    let length = size.saturating_sub(headers(own)) as usize;
                    // What the interface does not take has not passed; a full queue takes it next time.
                    let _lost = socket.send(&frame.padded(length)).await;
                }
            }
        }
        let round = end.min(Instant::now() + AGAIN);
        while let Ok(received) = timeout_at(round, socket.recv(&mut answer)).await {
            // Nobody listens there: that is for the probe to say.
            let Ok(received) = received else { continue };
            let Some(frame) = Frame::read(&answer[..received]) else { continue };
            let Some(size) = asked.get(&frame.number).copied() else { continue };
            passed.there = passed.there.max(Some(size));
            if received > FRAME {
                passed.back = passed.back.max(Some(size));
            }
            if passed.back == Some(mtu) {
                return Ok(passed);
            }
        }
    }
    Ok(passed)
}

fn judge(mtu: u32, peer: &WantedPeer, endpoint: Option<SocketAddr>, passed: &Passed) -> Finding {
    let name = &peer.name;
    if passed.back == Some(mtu) {
        return Finding::ok(Check::PathMtu, name);
    }
    let Some(there) = passed.there else {
        let why = "nothing of any size gets through: see probe";
        return Finding::skipped(Check::PathMtu, name, why);
    };
    let back = passed.back.unwrap_or_default();
    let lost = if there == mtu {
        format!("packets of {mtu} bytes get to {name} and are lost on the way back")
    } else {
        format!("packets of {mtu} bytes are lost on the way to {name}")
    };
    let cause = format!("{lost}; {back} get through in both directions");
    // What WireGuard adds, see `mesh_mtu`.
    let around = if endpoint.is_some_and(|endpoint| endpoint.is_ipv6()) { 80 } else { 60 };
    let fix = format!(
        "something between the hosts drops large packets and does not say so: let ICMP \"fragmentation needed\" and \
         \"packet too big\" pass there, or give the interface towards {name} the MTU that is real, about {} (`ip link set \
         dev … mtu`): the mesh follows it",
        back + around
    );
    Finding::failed(Check::PathMtu, name, cause, fix)
}

#[cfg(test)]
mod tests {
    use jaco_api::model::FindingOutcome;

    use super::*;

    #[test]
    fn the_full_size_is_tried_first_and_sizes_fall() {
        for mtu in [1280, 1281, 1380, 1420, 8940] {
            let sizes = sizes(mtu);
            assert_eq!(sizes[0], mtu);
            assert!(sizes.is_sorted_by(|a, b| a > b), "{sizes:?}");
            assert!(sizes.len() <= 14 && sizes.ends_with(&[576, 128]), "{sizes:?}");
        }
    }

    #[test]
    fn the_direction_and_what_passes_are_told() {
        let peer =
            WantedPeer { name: "node-b".parse().unwrap(), address: "10.243.0.2".parse().unwrap() };
        let judged = |there, back| judge(1420, &peer, None, &Passed { there, back }).outcome;
        assert_eq!(judged(Some(1420), Some(1420)), FindingOutcome::Ok);
        assert!(matches!(judged(None, None), FindingOutcome::Skipped { .. }));
        let FindingOutcome::Failed { cause, fix } = judged(Some(1340), Some(1340)) else {
            panic!("it is lost");
        };
        let wanted = "packets of 1420 bytes are lost on the way to node-b; 1340 get through in both directions";
        assert_eq!(cause, wanted);
        assert!(fix.contains("about 1400"), "{fix}");
        let FindingOutcome::Failed { cause, .. } = judged(Some(1420), Some(1280)) else {
            panic!("it is lost");
        };
        assert!(
            cause.starts_with("packets of 1420 bytes get to node-b and are lost on the way back"),
            "{cause}"
        );
    }
}

//! The protocol: peers, sessions and keys of the WireGuard in this process.
//!
//! In: what the interface shall hold. Out: packets between [`Tun`](super::tun) and [`Port`](super::udp).
//! A peer that is not changed keeps its session; another key costs every session, and nothing else.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use gotatun::{
    device::{Device, DeviceBuilder, Peer},
    x25519,
};
use tokio::sync::watch;

use super::{
    bell::Bell,
    tun::{self, TunReader, TunWriter},
    udp::Port,
};
use crate::{
    NetError,
    mesh::{MeshConfig, MeshPeer, PeerChange, PeerStatus, PrivateKey, PublicKey, changes},
};

/// The running protocol.
pub(super) struct Tunnel {
    device: Device<(Port, TunWriter, TunReader)>,
    mtu: watch::Sender<u16>,
    bell: Bell,
    /// Whether its socket is open: it opens none before the first peer.
    listening: bool,
}

/// What a peer is, and how it is doing.
pub(super) type Peers = BTreeMap<PublicKey, (MeshPeer, PeerStatus)>;

impl Tunnel {
    /// Makes the interface and the protocol behind it, still without peers. `changed` changes when either
    /// breaks.
    pub(super) async fn open(
        name: &str,
        key: &PrivateKey,
        config: &MeshConfig,
        changed: watch::Sender<u64>,
    ) -> Result<Self, NetError> {
        let bell = Bell::new(changed);
        let (mtu, known) = watch::channel(narrow(config.mtu));
        let (writer, reader) = tun::open(name, known, bell.clone())?;
        let device = DeviceBuilder::new()
            .with_udp(Port::new(bell.clone()))
            .with_ip_pair(writer, reader)
            .with_private_key(key.secret())
            .with_listen_port(config.listen_port)
            .build()
            .await
            .map_err(|source| NetError::Refused { what: "interface", source: Box::new(source) })?;
        Ok(Self { device, mtu, bell, listening: false })
    }

    /// Whether packets are still taken from the interface and from the network.
    pub(super) fn alive(&self) -> bool {
        !self.bell.is_broken()
    }

    pub(super) async fn port(&self) -> u16 {
        self.device.read(async |device| device.listen_port()).await
    }

    pub(super) async fn peers(&self) -> Peers {
        self.device.peers().await.into_iter().map(|held| peer_of(&held.peer, &held.stats)).collect()
    }

    /// Makes key, port and peers equal to these. After an error it is of no use any more.
    pub(super) async fn change(
        &mut self,
        key: &PrivateKey,
        config: &MeshConfig,
        peers: &BTreeMap<PublicKey, MeshPeer>,
    ) -> Result<(), NetError> {
        self.mtu.send_if_modified(|mtu| std::mem::replace(mtu, narrow(config.mtu)) != *mtu);
        let held = self.peers().await.into_iter().map(|(key, (peer, _))| (key, peer)).collect();
        let changes = changes(&held, peers);
        let port = config.listen_port;
        // The key before the peers: one that is new takes it from there.
        let written = self.device.write(async |device| {
            device.set_private_key(key.secret()).await;
            device.set_listen_port(port);
            for change in &changes {
                match change {
                    PeerChange::Remove(key) => {
                        device.remove_peer(&public(*key)).await;
                    }
                    PeerChange::Set(key, peer) => match held.get(key) {
                        None => {
                            device.add_peer(new_peer(*key, peer));
                        }
                        Some(before) => {
                            let change = |held: &mut _| update(held, before, peer);
                            device.modify_peer(&public(*key), change).await;
                        }
                    },
                }
            }
        });
        written.await.map_err(refused)?;
        if !self.listening && !peers.is_empty() {
            // The library opens its socket with the first peers it is built with, or when it resumes.
            self.device.suspend().await;
            self.device.resume().await.map_err(refused)?;
            self.listening = true;
        }
        Ok(())
    }

    pub(super) async fn stop(self) {
        self.device.stop().await;
    }
}

fn refused(source: gotatun::device::Error) -> NetError {
    NetError::Refused { what: "peers", source: Box::new(source) }
}

/// The largest MTU that an interface of this kind can have is that of an IP packet.
fn narrow(mtu: u32) -> u16 {
    mtu.try_into().unwrap_or(u16::MAX)
}

fn public(key: PublicKey) -> x25519::PublicKey {
    x25519::PublicKey::from(key.0)
}

fn seconds(pause: Option<Duration>) -> Option<u16> {
    pause.map(|pause| pause.as_secs().try_into().unwrap_or(u16::MAX)).filter(|pause| *pause > 0)
}

fn new_peer(key: PublicKey, peer: &MeshPeer) -> Peer {
    let mut new = Peer::new(public(key));
    new.endpoint = peer.endpoint;
    new.keepalive = seconds(peer.keepalive);
    // The library has a type of its own for prefixes, with the same text.
    new.allowed_ips =
        peer.allowed.iter().filter_map(|prefix| prefix.to_string().parse().ok()).collect();
    new
}

fn update(held: &mut gotatun::device::configure::PeerMut, before: &MeshPeer, peer: &MeshPeer) {
    held.set_keepalive(seconds(peer.keepalive));
    if before.allowed != peer.allowed {
        held.clear_allowed_ips();
        let allowed = new_peer(PublicKey([0; 32]), peer).allowed_ips;
        held.add_allowed_ips(allowed);
    }
    // One that stays is left alone: the peer may have moved since it was read.
    if before.endpoint != peer.endpoint {
        held.set_endpoint(peer.endpoint);
    }
}

fn peer_of(
    peer: &Peer,
    stats: &gotatun::device::configure::Stats,
) -> (PublicKey, (MeshPeer, PeerStatus)) {
    let prefix = |n: &_| format!("{n}").parse().ok();
    let held = MeshPeer {
        endpoint: peer.endpoint.map(canonical),
        allowed: peer.allowed_ips.iter().filter_map(prefix).collect(),
        keepalive: peer.keepalive.map(|seconds| Duration::from_secs(seconds.into())),
    };
    let status = PeerStatus {
        endpoint: held.endpoint,
        last_handshake: stats.last_handshake,
        received: stats.rx_bytes as u64,
        sent: stats.tx_bytes as u64,
    };
    (PublicKey(peer.public_key.to_bytes()), (held, status))
}

/// The socket serves both families, and may say an address of IPv4 in the form of IPv6.
fn canonical(endpoint: SocketAddr) -> SocketAddr {
    SocketAddr::new(endpoint.ip().to_canonical(), endpoint.port())
}

//! What the kernel's WireGuard is told, and what it says. Pure.
//!
//! In: changes, or the attributes of a dump. Out: attributes, cut so that each fits into one message,
//! or what the interface holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use ipnet::IpNet;
use netlink_packet_wireguard::{
    WireguardAddressFamily, WireguardAllowedIp, WireguardAllowedIpAttr, WireguardAttribute,
    WireguardPeer, WireguardPeerAttribute, WireguardPeerFlags,
};

use crate::mesh::{MeshPeer, PeerChange, PeerStatus, PrivateKey, PublicKey};

/// Prefixes in one message. An attribute ends at 64 KiB; 500 prefixes are 20 KiB at most.
const PREFIXES: usize = 500;
/// Peers in one message: some 150 bytes each.
const PEERS: usize = 100;

/// What the interface holds, besides what rtnetlink knows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) public_key: Option<PublicKey>,
    pub(super) listen_port: u16,
    pub(super) peers: BTreeMap<PublicKey, MeshPeer>,
    pub(super) statuses: BTreeMap<PublicKey, PeerStatus>,
}

/// The messages that change the interface: none if nothing differs. The key is in them as it is, and
/// what sends them wipes nothing: it is told only when it is another.
pub(super) fn requests(
    key: Option<&PrivateKey>,
    port: Option<u16>,
    changes: &[PeerChange],
    held: &BTreeMap<PublicKey, MeshPeer>,
) -> Vec<Vec<WireguardAttribute>> {
    let mut first = Vec::new();
    first.extend(key.map(|key| WireguardAttribute::PrivateKey(*key.expose())));
    first.extend(port.map(WireguardAttribute::ListenPort));
    let mut requests = Vec::new();
    if !first.is_empty() {
        requests.push(first);
    }
    let (mut peers, mut prefixes) = (Vec::new(), 0);
    for (peer, more) in changes.iter().flat_map(|change| pieces(change, held)) {
        if peers.len() >= PEERS || prefixes + more > PREFIXES {
            requests.push(vec![WireguardAttribute::Peers(std::mem::take(&mut peers))]);
            prefixes = 0;
        }
        peers.push(peer);
        prefixes += more;
    }
    if !peers.is_empty() {
        requests.push(vec![WireguardAttribute::Peers(peers)]);
    }
    requests
}

/// One change, in as many pieces as its prefixes need, with the number of prefixes in each.
fn pieces(
    change: &PeerChange,
    held: &BTreeMap<PublicKey, MeshPeer>,
) -> Vec<(WireguardPeer, usize)> {
    let (key, peer) = match change {
        PeerChange::Remove(key) => {
            return vec![(
                WireguardPeer(vec![key_of(*key), flag(WireguardPeerFlags::RemoveMe)]),
                0,
            )];
        }
        PeerChange::Set(key, peer) => (*key, peer),
    };
    let before = held.get(&key);
    let mut first = vec![key_of(key), flag(WireguardPeerFlags::ReplaceAllowedIps)];
    let keepalive =
        peer.keepalive.map_or(0, |pause| pause.as_secs().try_into().unwrap_or(u16::MAX));
    first.push(WireguardPeerAttribute::PersistentKeepalive(keepalive));
    // An endpoint that stays is left out: the peer may have moved since it was read.
    let endpoint = peer.endpoint.filter(|_| before.is_none_or(|b| b.endpoint != peer.endpoint));
    first.extend(endpoint.map(WireguardPeerAttribute::Endpoint));

    let allowed: Vec<WireguardAllowedIp> = peer.allowed.iter().map(allowed).collect();
    let mut chunks = allowed.chunks(PREFIXES);
    let chunk = chunks.next().unwrap_or_default();
    first.push(WireguardPeerAttribute::AllowedIps(chunk.to_vec()));
    let mut pieces = vec![(WireguardPeer(first), chunk.len())];
    for chunk in chunks {
        let more = vec![
            key_of(key),
            flag(WireguardPeerFlags::UpdateOnly),
            WireguardPeerAttribute::AllowedIps(chunk.to_vec()),
        ];
        pieces.push((WireguardPeer(more), chunk.len()));
    }
    pieces
}

fn key_of(key: PublicKey) -> WireguardPeerAttribute {
    WireguardPeerAttribute::PublicKey(key.0)
}

fn flag(flag: WireguardPeerFlags) -> WireguardPeerAttribute {
    WireguardPeerAttribute::Flags(flag)
}

fn allowed(prefix: &IpNet) -> WireguardAllowedIp {
    let family = match prefix {
        IpNet::V4(_) => WireguardAddressFamily::Ipv4,
        IpNet::V6(_) => WireguardAddressFamily::Ipv6,
    };
    WireguardAllowedIp(vec![
        WireguardAllowedIpAttr::Family(family),
        WireguardAllowedIpAttr::IpAddr(prefix.network()),
        WireguardAllowedIpAttr::Cidr(prefix.prefix_len()),
    ])
}

/// What a dump says. `now` is the time since 1970, by which the kernel dates handshakes, too.
pub(super) fn held(attributes: &[WireguardAttribute], now: Duration) -> Held {
    let mut held = Held::default();
    for attribute in attributes {
        match attribute {
            WireguardAttribute::PublicKey(key) => held.public_key = Some(PublicKey(*key)),
            WireguardAttribute::ListenPort(port) => held.listen_port = *port,
            WireguardAttribute::Peers(peers) => {
                peers.iter().for_each(|peer| add(&mut held, peer, now));
            }
            _ => {}
        }
    }
    held
}

/// Adds a peer, or, of a peer with many prefixes, the next of them.
fn add(held: &mut Held, peer: &WireguardPeer, now: Duration) {
    let key = peer.iter().find_map(|attribute| match attribute {
        WireguardPeerAttribute::PublicKey(key) => Some(PublicKey(*key)),
        _ => None,
    });
    let Some(key) = key else { return };
    let entry = held.peers.entry(key).or_insert_with(|| MeshPeer {
        endpoint: None,
        allowed: BTreeSet::new(),
        keepalive: None,
    });
    let status = held.statuses.entry(key).or_default();
    for attribute in peer.iter() {
        match attribute {
            WireguardPeerAttribute::Endpoint(endpoint) => {
                (entry.endpoint, status.endpoint) = (Some(*endpoint), Some(*endpoint));
            }
            WireguardPeerAttribute::PersistentKeepalive(seconds) => {
                let pause = Duration::from_secs((*seconds).into());
                entry.keepalive = (*seconds > 0).then_some(pause);
            }
            WireguardPeerAttribute::AllowedIps(prefixes) => {
                entry.allowed.extend(prefixes.iter().filter_map(prefix_of));
            }
            WireguardPeerAttribute::LastHandshake(time) => {
                let since = Duration::from_secs(time.seconds.try_into().unwrap_or(0));
                status.last_handshake = (!since.is_zero()).then(|| now.saturating_sub(since));
            }
            WireguardPeerAttribute::RxBytes(bytes) => status.received = *bytes,
            WireguardPeerAttribute::TxBytes(bytes) => status.sent = *bytes,
            _ => {}
        }
    }
}

fn prefix_of(allowed: &WireguardAllowedIp) -> Option<IpNet> {
    let (mut address, mut length): (Option<IpAddr>, _) = (None, None);
    for attribute in allowed.iter() {
        match attribute {
            WireguardAllowedIpAttr::IpAddr(ip) => address = Some(*ip),
            WireguardAllowedIpAttr::Cidr(cidr) => length = Some(*cidr),
            _ => {}
        }
    }
    IpNet::new(address?, length?).ok()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use netlink_packet_wireguard::WireguardTimeSpec;

    use super::*;

    fn peer(endpoint: Option<SocketAddr>, prefixes: u32) -> MeshPeer {
        let prefix = |n: u32| IpNet::new(Ipv4Addr::from((10 << 24) + (n << 8)).into(), 24).unwrap();
        let keepalive = Some(Duration::from_secs(25));
        MeshPeer { endpoint, allowed: (0..prefixes).map(prefix).collect(), keepalive }
    }

    /// As the kernel would take and give the requests.
    fn take(requests: &[Vec<WireguardAttribute>]) -> Held {
        held(&requests.concat(), Duration::from_secs(1000))
    }

    #[test]
    fn what_is_told_is_what_is_read() {
        let endpoint = Some("192.0.2.1:51820".parse().unwrap());
        let peers = BTreeMap::from([
            (PublicKey([1; 32]), peer(endpoint, 3)),
            (PublicKey([2; 32]), MeshPeer { keepalive: None, ..peer(None, 0) }),
        ]);
        let changes = crate::mesh::changes(&BTreeMap::new(), &peers);
        let requests = requests(None, Some(51820), &changes, &BTreeMap::new());
        assert_eq!(requests.len(), 2);
        let held = take(&requests);
        assert_eq!((held.peers, held.listen_port), (peers, 51820));
    }

    #[test]
    fn nothing_to_change_is_nothing_to_say() {
        assert_eq!(requests(None, None, &[], &BTreeMap::new()), Vec::<Vec<_>>::new());
    }

    #[test]
    fn a_thousand_peers_and_a_peer_with_thousands_of_blocks_fit_into_messages() {
        let many = (0..1000u32).map(|n| {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&n.to_be_bytes());
            (PublicKey(key), peer(None, 2))
        });
        let mut peers: BTreeMap<_, _> = many.collect();
        peers.insert(PublicKey([9; 32]), peer(None, 4000));
        let changes = crate::mesh::changes(&BTreeMap::new(), &peers);
        let requests = requests(None, None, &changes, &BTreeMap::new());
        for request in &requests {
            use netlink_packet_core::Emitable as _;
            assert!(request.as_slice().buffer_len() < 1 << 15, "{}", request.len());
        }
        assert_eq!(take(&requests).peers, peers);
    }

    #[test]
    fn an_endpoint_that_stays_is_not_told_again() {
        let endpoint = Some("192.0.2.1:51820".parse().unwrap());
        let before = BTreeMap::from([(PublicKey([1; 32]), peer(endpoint, 1))]);
        let after = BTreeMap::from([(PublicKey([1; 32]), peer(endpoint, 2))]);
        let changes = crate::mesh::changes(&before, &after);
        let told = take(&requests(None, None, &changes, &before));
        assert_eq!(told.peers[&PublicKey([1; 32])].endpoint, None);
        assert_eq!(told.peers[&PublicKey([1; 32])].allowed.len(), 2);
    }

    #[test]
    fn handshakes_have_an_age_unless_there_was_none() {
        let at = |seconds| {
            let time = WireguardTimeSpec { seconds, nano_seconds: 0 };
            let peer = WireguardPeer(vec![
                key_of(PublicKey([1; 32])),
                WireguardPeerAttribute::LastHandshake(time),
            ]);
            let held = take(&[vec![WireguardAttribute::Peers(vec![peer])]]);
            held.statuses[&PublicKey([1; 32])].last_handshake
        };
        assert_eq!(at(0), None);
        assert_eq!(at(990), Some(Duration::from_secs(10)));
        assert_eq!(at(2000), Some(Duration::ZERO), "the clock was set back");
    }
}

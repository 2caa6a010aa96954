//! The peers of one node and what must change between two sets of them. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use ipnet::IpNet;

use super::PublicKey;
use crate::NetError;

/// One other member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshPeer {
    /// Where it is reached; absent until it was heard of.
    pub endpoint: Option<SocketAddr>,
    /// Its mesh address and the blocks of its containers.
    pub allowed: BTreeSet<IpNet>,
    /// Pause between packets that keep a NAT open.
    pub keepalive: Option<Duration>,
}

/// Everything the mesh interface must hold besides the private key: a replace-set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MeshConfig {
    /// Addresses of the interface.
    pub addresses: BTreeSet<IpNet>,
    /// UDP port.
    pub listen_port: u16,
    /// Largest packet through the tunnels.
    pub mtu: u32,
    /// The other members.
    pub peers: BTreeMap<PublicKey, MeshPeer>,
}

/// How a peer is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerStatus {
    /// Where its packets go now: as configured, or where it was last heard from.
    pub endpoint: Option<SocketAddr>,
    /// How long ago keys were last agreed on; `None` if never.
    pub last_handshake: Option<Duration>,
    /// Bytes that came from it, with WireGuard's own.
    pub received: u64,
    /// Bytes that went to it, with WireGuard's own.
    pub sent: u64,
}

/// For how long keys are good: WireGuard's own limit. A peer without newer ones is not connected.
const SESSION: Duration = Duration::from_secs(180);

impl PeerStatus {
    /// Whether packets go back and forth, or did a moment ago.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.last_handshake.is_some_and(|age| age < SESSION)
    }
}

/// One step from a configuration to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerChange {
    /// Add the peer, or replace what it holds.
    Set(PublicKey, MeshPeer),
    /// Remove the peer.
    Remove(PublicKey),
}

impl MeshConfig {
    /// Checks that no two peers claim the same addresses.
    ///
    /// # Errors
    /// [`NetError::OverlappingPeers`] for the first pair in order.
    pub fn check(&self) -> Result<(), NetError> {
        let mut all: Vec<(IpNet, PublicKey)> = Vec::new();
        for (key, peer) in &self.peers {
            all.extend(peer.allowed.iter().map(|prefix| (prefix.trunc(), *key)));
        }
        all.sort_by_key(|(prefix, _)| (prefix.network(), prefix.prefix_len()));
        let mut widest: Option<(IpNet, PublicKey)> = None;
        for (prefix, second) in all {
            match widest {
                Some((outer, first)) if outer.contains(&prefix) => {
                    if first != second {
                        return Err(NetError::OverlappingPeers { prefix, first, second });
                    }
                }
                _ => widest = Some((prefix, second)),
            }
        }
        Ok(())
    }
}

/// The peers as the interface shall hold them: as `wanted`, but where a peer was heard from counts
/// more than where it is thought to be.
///
/// A peer without a configured endpoint keeps the one that was learned. One that is connected keeps
/// its endpoint, too, unless the configured one is another than in `applied`, what was wanted the last
/// time; nobody remembers that right after a start. One that is not connected gets the configured one.
#[must_use]
pub fn settle(
    wanted: &BTreeMap<PublicKey, MeshPeer>,
    applied: Option<&BTreeMap<PublicKey, MeshPeer>>,
    held: &BTreeMap<PublicKey, PeerStatus>,
) -> BTreeMap<PublicKey, MeshPeer> {
    let settled = |key: &PublicKey, peer: &MeshPeer| {
        let allowed = peer.allowed.iter().map(IpNet::trunc).collect();
        let status = held.get(key);
        let learned = status.and_then(|status| status.endpoint);
        let before = applied.and_then(|peers| peers.get(key));
        let news = before.is_some_and(|before| before.endpoint != peer.endpoint);
        let roams = status.is_some_and(PeerStatus::connected) && !news;
        let endpoint = if roams { learned.or(peer.endpoint) } else { peer.endpoint.or(learned) };
        MeshPeer { endpoint, allowed, keepalive: peer.keepalive }
    };
    wanted.iter().map(|(key, peer)| (*key, settled(key, peer))).collect()
}

/// What to do to get from `old` to `new`: removals first, so that a block that moves from one peer
/// to another never belongs to both.
#[must_use]
pub fn changes(
    old: &BTreeMap<PublicKey, MeshPeer>,
    new: &BTreeMap<PublicKey, MeshPeer>,
) -> Vec<PeerChange> {
    let removed = old.keys().filter(|key| !new.contains_key(*key)).copied();
    let set = new.iter().filter(|(key, peer)| old.get(*key) != Some(*peer));
    removed
        .map(PeerChange::Remove)
        .chain(set.map(|(key, peer)| PeerChange::Set(*key, peer.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(allowed: &str) -> MeshPeer {
        let allowed = [allowed.parse().unwrap()].into();
        MeshPeer { endpoint: None, allowed, keepalive: Some(Duration::from_secs(25)) }
    }

    #[test]
    fn only_differences_become_changes_and_removals_come_first() {
        let key = |n| PublicKey([n; 32]);
        let old = [(key(1), peer("10.0.1.0/24")), (key(9), peer("10.0.9.0/24"))].into();
        let new = [(key(1), peer("10.0.1.0/24")), (key(2), peer("10.0.9.0/24"))].into();
        let expected =
            vec![PeerChange::Remove(key(9)), PeerChange::Set(key(2), peer("10.0.9.0/24"))];
        assert_eq!(changes(&old, &new), expected);
        assert_eq!(changes(&new, &new), []);
    }

    /// A peer wanted at one place, perhaps wanted elsewhere before, and held at a third.
    fn settled(wanted: Option<&str>, applied: Option<&str>, held: &PeerStatus) -> String {
        let at = |endpoint: Option<&str>| {
            let endpoint = endpoint.map(|e| e.parse().unwrap());
            BTreeMap::from([(PublicKey([1; 32]), MeshPeer { endpoint, ..peer("10.0.1.0/24") })])
        };
        let held = BTreeMap::from([(PublicKey([1; 32]), held.clone())]);
        let applied = applied.map(|endpoint| at(Some(endpoint)));
        let settled = settle(&at(wanted), applied.as_ref(), &held);
        let endpoint = settled[&PublicKey([1; 32])].endpoint;
        endpoint.map_or("none".to_owned(), |e| e.to_string())
    }

    #[test]
    fn where_a_peer_was_heard_from_counts() {
        let (here, there, heard) = ("192.0.2.1:1", "192.0.2.2:2", "198.51.100.9:9");
        let mut held = PeerStatus { endpoint: Some(heard.parse().unwrap()), ..Default::default() };
        assert_eq!(settled(None, None, &held), heard, "an unknown endpoint resets nothing");
        assert_eq!(settled(Some(here), Some(here), &held), here, "it did not work");

        held.last_handshake = Some(Duration::from_secs(100));
        assert_eq!(settled(Some(here), Some(here), &held), heard, "it works: the peer roams");
        assert_eq!(settled(Some(here), None, &held), heard, "the same after a restart");
        assert_eq!(settled(Some(there), Some(here), &held), there, "the peer moved");
        assert_eq!(settled(None, Some(here), &held), heard);

        held.last_handshake = Some(Duration::from_secs(200));
        assert_eq!(settled(Some(here), Some(here), &held), here, "it worked once");
        assert_eq!(settled(None, None, &PeerStatus::default()), "none");
    }

    #[test]
    fn a_block_with_two_owners_is_refused() {
        let mut config = MeshConfig::default();
        config.peers.insert(PublicKey([1; 32]), peer("10.0.0.0/16"));
        config.peers.insert(PublicKey([2; 32]), peer("10.0.4.0/24"));
        assert!(matches!(config.check(), Err(NetError::OverlappingPeers { .. })));
    }
}

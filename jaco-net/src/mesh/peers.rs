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

    #[test]
    fn a_block_with_two_owners_is_refused() {
        let mut config = MeshConfig::default();
        config.peers.insert(PublicKey([1; 32]), peer("10.0.0.0/16"));
        config.peers.insert(PublicKey([2; 32]), peer("10.0.4.0/24"));
        assert!(matches!(config.check(), Err(NetError::OverlappingPeers { .. })));
    }
}

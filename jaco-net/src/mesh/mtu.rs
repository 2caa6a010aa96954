//! The largest packet that fits through the tunnels. Pure.
//!
//! In: the largest packet of each path to a peer, as the routing table knows it. Out: the MTU of the
//! mesh interface, from which the bridges of the containers take theirs.

use std::net::IpAddr;

/// What every path of the Internet carries, and the least that IPv6 runs over.
pub const LEAST_MTU: u32 = 1280;
/// What is assumed of a path that is not known yet.
const ETHERNET: u32 = 1500;
/// UDP's header, the header of a data message of WireGuard, and the tag of its cipher.
const INNER: u32 = 8 + 16 + 16;

/// A way to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// Where the peer is reached.
    pub endpoint: IpAddr,
    /// The largest packet that gets there in one piece.
    pub mtu: u32,
}

/// What WireGuard adds to a packet on its way to this address.
#[must_use]
pub fn overhead(endpoint: IpAddr) -> u32 {
    let header = match endpoint.to_canonical() {
        IpAddr::V4(_) => 20,
        IpAddr::V6(_) => 40,
    };
    header + INNER
}

/// The MTU with which a packet to any of the peers fits into one datagram. It is that of the
/// narrowest path: an interface has one MTU, and a packet too large for a path is lost in silence
/// where nobody answers with ICMP.
#[must_use]
pub fn mesh_mtu(paths: impl IntoIterator<Item = Path>) -> u32 {
    let inside = |path: Path| path.mtu.saturating_sub(overhead(path.endpoint));
    let narrowest = paths.into_iter().map(inside).min();
    // Without a peer: what fits whatever the family of the first one is.
    narrowest.unwrap_or(ETHERNET - 40 - INNER).max(LEAST_MTU)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mtu(paths: &[(&str, u32)]) -> u32 {
        mesh_mtu(paths.iter().map(|(to, mtu)| Path { endpoint: to.parse().unwrap(), mtu: *mtu }))
    }

    #[test]
    fn the_overhead_is_that_of_the_family() {
        assert_eq!(mtu(&[("192.0.2.1", 1500)]), 1440);
        assert_eq!(mtu(&[("2001:db8::1", 1500)]), 1420);
        assert_eq!(mtu(&[("::ffff:192.0.2.1", 1500)]), 1440);
    }

    #[test]
    fn jumbo_frames_and_overlays_are_used_as_they_are() {
        assert_eq!(mtu(&[("192.0.2.1", 9000), ("192.0.2.2", 9000)]), 8940);
        assert_eq!(mtu(&[("192.0.2.1", 1450)]), 1390);
    }

    #[test]
    fn the_narrowest_path_counts() {
        assert_eq!(mtu(&[("192.0.2.1", 9000), ("192.0.2.2", 1450), ("2001:db8::1", 1500)]), 1390);
    }

    #[test]
    fn it_is_never_below_what_ipv6_needs_and_has_a_value_without_peers() {
        assert_eq!(mtu(&[("192.0.2.1", 576)]), 1280);
        assert_eq!(mtu(&[("192.0.2.1", 0)]), 1280);
        assert_eq!(mtu(&[]), 1420);
    }
}

//! Which of a host's addresses other machines reach it by.
//!
//! Pure: a list of interfaces comes in, one address or the reason why there is none comes out. A
//! public address is never chosen: a cluster port that faces the internet must be asked for.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// An address of the host and the interface that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostAddress {
    /// Name of the interface.
    pub(crate) interface: String,
    /// The address.
    pub(crate) ip: IpAddr,
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.ip, self.interface)
    }
}

/// No address of the host may be chosen without being asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAddress {
    /// Every usable address is public.
    #[error(
        "this host has only public addresses ({}); set `advertise_addr` to the one other hosts are to use",
        list(.0)
    )]
    OnlyPublic(Vec<HostAddress>),
    /// There is no usable address at all.
    #[error(
        "this host has no address that other hosts could reach; set `advertise_addr` (127.0.0.1 is fine for a cluster that stays on one host)"
    )]
    None,
}

fn list(addresses: &[HostAddress]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// How good an address is; the least is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// RFC 1918, on an interface of the host itself.
    Lan,
    /// IPv6 unique local.
    UniqueLocal,
    /// An overlay (by name) or carrier-grade NAT range.
    Overlay,
    Public,
}

/// Interfaces of container engines and hypervisors: their addresses lead to this host only.
const LOCAL_BRIDGES: &[&str] =
    &["docker", "br-", "veth", "virbr", "lxcbr", "lxdbr", "cni", "podman", "jaco"];

/// Interfaces of overlay networks.
const OVERLAYS: &[&str] = &["tailscale", "wg", "zt", "nebula", "tun", "utun", "ppp"];

/// Chooses the address that other hosts are told: RFC 1918 first, then unique local, then overlay
/// and carrier-grade NAT; of equals, the one the system lists first.
pub(crate) fn choose(addresses: &[HostAddress]) -> Result<IpAddr, NoAddress> {
    let usable: Vec<_> =
        addresses.iter().filter_map(|address| rank(address).map(|r| (r, address))).collect();
    match usable.iter().min_by_key(|(rank, _)| *rank) {
        None => Err(NoAddress::None),
        Some((Rank::Public, _)) => {
            Err(NoAddress::OnlyPublic(usable.into_iter().map(|(_, a)| a.clone()).collect()))
        }
        Some((_, address)) => Ok(address.ip),
    }
}

fn rank(address: &HostAddress) -> Option<Rank> {
    let named = |prefixes: &[&str]| prefixes.iter().any(|p| address.interface.starts_with(p));
    if named(LOCAL_BRIDGES) || address.ip.is_loopback() || address.ip.is_unspecified() {
        return None;
    }
    let overlay = named(OVERLAYS);
    match address.ip {
        IpAddr::V4(ip) if ip.is_link_local() => None,
        IpAddr::V4(ip) if overlay || is_carrier_grade(ip) => Some(Rank::Overlay),
        IpAddr::V4(ip) if ip.is_private() => Some(Rank::Lan),
        IpAddr::V6(ip) if is_link_local(ip) => None,
        IpAddr::V6(_) if overlay => Some(Rank::Overlay),
        IpAddr::V6(ip) if is_unique_local(ip) => Some(Rank::UniqueLocal),
        IpAddr::V4(_) | IpAddr::V6(_) => Some(Rank::Public),
    }
}

/// `100.64.0.0/10`.
fn is_carrier_grade(ip: Ipv4Addr) -> bool {
    ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64
}

/// `fc00::/7`.
fn is_unique_local(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xfe00 == 0xfc00
}

/// `fe80::/10`.
fn is_link_local(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xffc0 == 0xfe80
}

/// The addresses the system has now.
pub(crate) fn host_addresses() -> std::io::Result<Vec<HostAddress>> {
    let interfaces = if_addrs::get_if_addrs()?;
    Ok(interfaces.into_iter().map(|i| HostAddress { ip: i.ip(), interface: i.name }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(list: &[(&str, &str)]) -> Vec<HostAddress> {
        list.iter()
            .map(|(interface, ip)| HostAddress {
                interface: (*interface).to_owned(),
                ip: ip.parse().unwrap(),
            })
            .collect()
    }

    #[test]
    fn private_lan_wins_over_overlay_and_public() {
        let all = host(&[
            ("lo", "127.0.0.1"),
            ("tailscale0", "100.101.1.1"),
            ("eth0", "203.0.113.5"),
            ("eth1", "192.168.1.7"),
        ]);
        assert_eq!(choose(&all), Ok("192.168.1.7".parse().unwrap()));
        assert_eq!(choose(&all[..3]), Ok("100.101.1.1".parse().unwrap()));
    }

    #[test]
    fn an_overlay_with_a_private_address_comes_after_the_lan() {
        let all = host(&[("wg0", "10.9.0.1"), ("enp3s0", "172.16.4.2")]);
        assert_eq!(choose(&all), Ok("172.16.4.2".parse().unwrap()));
        assert_eq!(choose(&all[..1]), Ok("10.9.0.1".parse().unwrap()));
    }

    #[test]
    fn bridges_of_container_engines_are_never_chosen() {
        let all = host(&[
            ("docker0", "172.17.0.1"),
            ("br-0a1b2c", "172.18.0.1"),
            ("veth12ab", "10.0.0.9"),
            ("virbr0", "192.168.122.1"),
        ]);
        assert_eq!(choose(&all), Err(NoAddress::None));
    }

    #[test]
    fn a_public_only_host_is_refused_with_the_key_to_set() {
        let all = host(&[("eth0", "203.0.113.5"), ("eth0", "2001:db8::5"), ("eth0", "fe80::1")]);
        let error = choose(&all).unwrap_err();
        assert_eq!(error, NoAddress::OnlyPublic(all[..2].to_vec()));
        assert!(error.to_string().contains("advertise_addr"), "{error}");
    }

    #[test]
    fn borders_of_the_ranges() {
        for (ip, private) in [
            ("172.15.255.255", false),
            ("172.16.0.0", true),
            ("172.31.255.255", true),
            ("172.32.0.0", false),
            ("100.63.255.255", false),
            ("100.64.0.0", true),
            ("100.127.255.255", true),
            ("100.128.0.0", false),
            ("fc00::1", true),
            ("fe00::1", false),
        ] {
            assert_eq!(choose(&host(&[("eth0", ip)])).is_ok(), private, "{ip}");
        }
    }
}

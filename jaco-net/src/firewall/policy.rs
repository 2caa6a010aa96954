//! What the firewall of one node must hold, as data. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    str::FromStr,
};

use ipnet::IpNet;
use jaco_api::model::{DeploymentName, InvalidName, NetworkName, Protocol};

use super::InterfaceName;

/// One network of one deployment: its members may talk to each other and to nobody else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The deployment.
    pub deployment: DeploymentName,
    /// The network, by its key in the compose file.
    pub network: NetworkName,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.deployment, self.network)
    }
}

/// Reads what [`Scope`] displays.
impl FromStr for Scope {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (deployment, network) = text.split_once('/').unwrap_or((text, ""));
        Ok(Self { deployment: deployment.parse()?, network: network.parse()? })
    }
}

/// The bridge of one scope on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// Whose containers are behind it.
    pub scope: Scope,
    /// The blocks its containers have their addresses from, at most one of each address family in
    /// practice, and the gateway address in each.
    pub blocks: BTreeMap<IpNet, IpAddr>,
    /// Whether its containers have no way out to the world.
    pub internal: bool,
    /// Whether its containers may reach every service of this host (`jaco.io/host-access`).
    pub host_access: bool,
}

/// The mesh as the firewall sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshLink {
    /// The interface of the tunnels.
    pub interface: InterfaceName,
    /// The mesh addresses of this node.
    pub own: BTreeSet<IpAddr>,
    /// The mesh addresses of the other members: their host processes reach the containers here,
    /// for ingress, names and health.
    pub members: BTreeSet<IpAddr>,
}

/// A port of this host that containers may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IngressPort {
    /// The transport protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
}

/// Everything the firewall of one node must hold: a replace-set.
///
/// The default has no pool and polices nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// The address pools of the cluster. Only packets with an address in here, or that come out of
    /// one of `bridges`, are policed.
    pub pools: BTreeSet<IpNet>,
    /// The prefixes of each scope, of every node: replicas on other nodes count too.
    pub scopes: BTreeMap<Scope, BTreeSet<IpNet>>,
    /// The bridges of this node.
    pub bridges: BTreeMap<InterfaceName, Bridge>,
    /// The mesh; without one, no container of another node is reached.
    pub mesh: Option<MeshLink>,
    /// What containers may reach on their host besides DNS on their own gateway.
    pub ingress: BTreeSet<IngressPort>,
    /// Addresses that only ever stand for services, of the whole cluster. They are policed like
    /// those in `pools`; nobody has one of them, so no packet with one leaves this node.
    pub virtual_pools: BTreeSet<IpNet>,
    /// Each virtual address with the addresses of the replicas that it stands for, on any node: the
    /// healthy ones. One without any is refused, like one that is not in here. At most
    /// [`Ruleset::MOST_REPLICAS`] of each.
    pub virtuals: BTreeMap<IpAddr, BTreeSet<IpAddr>>,
    /// The containers of this node that are in more than one network: the address of each in all of
    /// them, one family at a time. The scope and the bridge of an address follow from it.
    pub homes: BTreeSet<BTreeSet<IpAddr>>,
}

impl Ruleset {
    /// The most replicas that one virtual address can stand for.
    pub const MOST_REPLICAS: usize = 1024;

    /// The scope that `address` belongs to.
    #[must_use]
    pub fn scope_of(&self, address: IpAddr) -> Option<&Scope> {
        let within = |prefixes: &BTreeSet<IpNet>| prefixes.iter().any(|p| p.contains(&address));
        self.scopes.iter().find(|(_, prefixes)| within(prefixes)).map(|(scope, _)| scope)
    }

    /// Whether containers with these two addresses may exchange packets.
    #[must_use]
    pub fn share_scope(&self, one: IpAddr, other: IpAddr) -> bool {
        self.scope_of(one).is_some_and(|scope| self.scope_of(other) == Some(scope))
    }

    /// Whether `address` is in a pool.
    #[must_use]
    pub fn pooled(&self, address: IpAddr) -> bool {
        self.pools.iter().any(|pool| pool.contains(&address))
    }

    /// Whether `address` can only stand for a service.
    #[must_use]
    pub fn virtual_address(&self, address: IpAddr) -> bool {
        self.virtual_pools.iter().any(|pool| pool.contains(&address))
    }

    /// The bridge of this node with the block that `address` lies in.
    pub(super) fn bridge_of(&self, address: IpAddr) -> Option<(&InterfaceName, &Bridge)> {
        self.bridges.iter().find(|(_, bridge)| bridge.blocks.keys().any(|b| b.contains(&address)))
    }

    /// The gateway of the block that `address` lies in.
    pub(super) fn gateway_of(&self, address: IpAddr) -> Option<IpAddr> {
        let mut blocks = self.bridges.values().flat_map(|bridge| &bridge.blocks);
        blocks.find(|(block, _)| block.contains(&address)).map(|(_, gateway)| *gateway)
    }

    /// The other addresses of the container of this node that has `address`.
    pub(super) fn elsewhere(&self, address: IpAddr) -> impl Iterator<Item = IpAddr> + '_ {
        let home = self.homes.iter().filter(move |home| home.contains(&address));
        home.flatten().copied().filter(move |other| *other != address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_members_of_one_scope_share_it_and_unknown_addresses_share_nothing() {
        let mut rules = Ruleset::default();
        for (scope, prefix) in [
            ("shop/default", "10.244.0.0/24"),
            ("shop/default", "10.244.7.0/24"),
            ("shop/back", "10.244.1.0/24"),
            ("blog/default", "fd00:1::/64"),
        ] {
            let prefixes = rules.scopes.entry(scope.parse().unwrap()).or_default();
            prefixes.insert(prefix.parse().unwrap());
        }
        let share = |a: &str, b: &str| rules.share_scope(a.parse().unwrap(), b.parse().unwrap());
        assert!(share("10.244.0.2", "10.244.7.2"));
        assert!(share("fd00:1::2", "fd00:1::3"));
        assert!(!share("10.244.0.2", "10.244.1.2"));
        assert!(!share("10.244.0.2", "fd00:1::2"));
        assert!(!share("10.244.9.9", "10.244.9.8"), "nobody's address has no scope to share");
    }

    #[test]
    fn a_scope_is_read_as_it_is_shown() {
        let scope: Scope = "shop/default".parse().unwrap();
        assert_eq!(scope.to_string(), "shop/default");
        "shop".parse::<Scope>().unwrap_err();
        "/default".parse::<Scope>().unwrap_err();
    }
}

//! The sets of the table: what of a ruleset they hold, and the ruleset that they hold. Pure.
//!
//! The rules of the table are always the same; everything that differs between two rulesets is an
//! element of one of these sets. [`elements`] and [`ruleset`] are inverses for every ruleset that
//! passes its check.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;
use jaco_api::model::Protocol;

use super::{Bridge, InterfaceName, Ruleset};

mod reading;

pub(super) use reading::ruleset;

/// What one column of a set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Interface,
    V4,
    V6,
    Protocol,
    Port,
    /// Which of the replicas of a virtual address, from zero.
    Slot,
    /// The chain that picks one of so many.
    Pick,
}

/// One set of the table, or one map, which holds a value for each of its elements.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SetSpec {
    pub(super) name: &'static str,
    pub(super) columns: &'static [Column],
    /// Whether an element may be a prefix.
    pub(super) interval: bool,
    /// What a map holds for an element: the last part of it.
    pub(super) value: Option<Column>,
    pub(super) why: &'static str,
}

impl SetSpec {
    /// What `nft` calls it.
    pub(super) fn kind(&self) -> &'static str {
        if self.value.is_some() { "map" } else { "set" }
    }
}

macro_rules! sets {
    (@value) => { None };
    (@value $value:ident) => { Some(Column::$value) };
    ($($name:literal [$($column:ident)+ $(=> $value:ident)?] $interval:literal $why:literal)+) => {
        /// Every set of the table, always there, in the order in which they are written.
        pub(super) const SETS: &[SetSpec] = &[$(SetSpec {
            name: $name,
            columns: &[$(Column::$column),+],
            interval: $interval,
            value: sets!(@value $($value)?),
            why: $why,
        }),+];
    };
}

sets! {
    "pools4" [V4] true "addresses of containers, of every node"
    "pools6" [V6] true "addresses of containers, of every node"
    "scoped4" [V4] true "those that belong to a (deployment, network)"
    "scoped6" [V6] true "those that belong to a (deployment, network)"
    "local4" [V4] true "those behind a bridge of this node"
    "local6" [V6] true "those behind a bridge of this node"
    "reach4" [V4 V4] true "a local block and a prefix that shares its scope"
    "reach6" [V6 V6] true "a local block and a prefix that shares its scope"
    "bridges" [Interface] false "bridges of this node"
    "same" [Interface Interface] false "a bridge of this node, twice"
    "internal" [Interface] false "bridges without a way out"
    "trusted" [Interface] false "bridges that may reach their host"
    "mesh" [Interface] false "the mesh interface"
    "links" [Interface] false "the bridges and the mesh interface"
    "blocks4" [Interface V4] true "a bridge and its block"
    "blocks6" [Interface V6] true "a bridge and its block"
    "gateways4" [Interface V4] false "a bridge and its gateway"
    "gateways6" [Interface V6] false "a bridge and its gateway"
    "own4" [V4] false "mesh addresses of this node"
    "own6" [V6] false "mesh addresses of this node"
    "members4" [V4] false "mesh addresses of the other members"
    "members6" [V6] false "mesh addresses of the other members"
    "ingress" [Protocol Port] false "what containers may reach on their host"
    "virtual4" [V4] true "addresses that stand for services"
    "virtual6" [V6] true "addresses that stand for services"
    "services4" [V4 => Pick] false "a virtual address and the chain that picks a replica"
    "services6" [V6 => Pick] false "a virtual address and the chain that picks a replica"
    "replicas4" [V4 Slot => V4] false "a virtual address, a number, and a replica"
    "replicas6" [V6 Slot => V6] false "a virtual address, a number, and a replica"
    "homed4" [Interface V4] false "a bridge and another address of a container behind it, with its own"
    "homed6" [Interface V6] false "a bridge and another address of a container behind it, with its own"
    "across4" [V4 V4] true "a container and a prefix that shares the scope of another address of it"
    "across6" [V6 V6] true "a container and a prefix that shares the scope of another address of it"
    "homes4" [V4 V4 => V4] true "the same, and the address with which it is seen there"
    "homes6" [V6 V6 => V6] true "the same, and the address with which it is seen there"
}

/// The chains that pick a replica: one for each number of replicas up to here, none of them first.
const EXACT: u16 = 64;
/// The numbers among which the replicas are dealt out where there are more of them.
const FOLDED: u16 = 1024;

/// Among how many numbers a chain picks, for each such chain.
pub(super) fn picks() -> impl Iterator<Item = u16> {
    (0..=EXACT).chain([FOLDED])
}

/// Among how many numbers one of `count` replicas is picked.
fn numbers(count: usize) -> u16 {
    u16::try_from(count).ok().filter(|count| *count <= EXACT).unwrap_or(FOLDED)
}

/// One column of an element.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Interface(InterfaceName),
    Net(IpNet),
    Protocol(Protocol),
    Port(u16),
    Slot(u16),
    Pick(u16),
}

/// The columns of one element, and the value that a map holds for it.
pub(super) type Element = Vec<Part>;

/// The elements of each set, with the comment of those that have one.
pub(super) type Elements = BTreeMap<&'static str, BTreeMap<Element, Option<String>>>;

/// Collects elements under the name of their set and address family.
#[derive(Default)]
struct Writer(Elements);

impl Writer {
    fn put(&mut self, set: &'static str, element: Element) {
        self.0.entry(set).or_default().insert(element, None);
    }

    /// Puts into the first of `sets` when `of` is of IPv4, else into the second.
    fn split(&mut self, sets: [&'static str; 2], of: IpNet, element: Element) {
        let set = if of.addr().is_ipv4() { sets[0] } else { sets[1] };
        self.put(set, element);
    }

    fn net(&mut self, sets: [&'static str; 2], net: IpNet) {
        self.split(sets, net, vec![Part::Net(net)]);
    }
}

/// What every set holds for this ruleset; all sets are there.
pub(super) fn elements(rules: &Ruleset) -> Elements {
    let mut out = Writer(SETS.iter().map(|set| (set.name, BTreeMap::new())).collect());
    // What may never leave and never come in is policed as an address of nobody.
    let policed = rules.pools.iter().chain(&rules.virtual_pools);
    policed.for_each(|pool| out.net(["pools4", "pools6"], *pool));
    for (scope, prefixes) in &rules.scopes {
        for &prefix in prefixes {
            let set = if prefix.addr().is_ipv4() { "scoped4" } else { "scoped6" };
            let scoped = out.0.entry(set).or_default();
            scoped.insert(vec![Part::Net(prefix)], Some(scope.to_string()));
        }
    }
    for (name, bridge) in &rules.bridges {
        put_bridge(&mut out, rules, name, bridge);
    }
    if let Some(mesh) = &rules.mesh {
        out.put("mesh", vec![Part::Interface(mesh.interface.clone())]);
        out.put("links", vec![Part::Interface(mesh.interface.clone())]);
        mesh.own.iter().for_each(|address| out.net(["own4", "own6"], (*address).into()));
        mesh.members.iter().for_each(|a| out.net(["members4", "members6"], (*a).into()));
    }
    for ingress in &rules.ingress {
        out.put("ingress", vec![Part::Protocol(ingress.protocol), Part::Port(ingress.port)]);
    }
    rules.virtual_pools.iter().for_each(|pool| out.net(["virtual4", "virtual6"], *pool));
    for (&address, replicas) in &rules.virtuals {
        put_virtual(&mut out, address.into(), replicas);
    }
    rules.homes.iter().for_each(|home| put_home(&mut out, rules, home));
    out.0
}

fn put_virtual(out: &mut Writer, address: IpNet, replicas: &BTreeSet<IpAddr>) {
    let count = numbers(replicas.len());
    let service = vec![Part::Net(address), Part::Pick(count)];
    out.split(["services4", "services6"], address, service);
    for (number, replica) in (0..count).zip(replicas.iter().cycle()) {
        let replica = Part::Net((*replica).into());
        let element = vec![Part::Net(address), Part::Slot(number), replica];
        out.split(["replicas4", "replicas6"], address, element);
    }
}

/// A container in several networks: from each of its addresses, to each of the other networks.
fn put_home(out: &mut Writer, rules: &Ruleset, home: &BTreeSet<IpAddr>) {
    for &own in home {
        let bridge = rules.bridge_of(own).map(|(name, _)| name);
        for &other in home.iter().filter(|other| **other != own) {
            if let Some(bridge) = bridge {
                let element = vec![Part::Interface(bridge.clone()), Part::Net(other.into())];
                let set = if other.is_ipv4() { "homed4" } else { "homed6" };
                out.0.entry(set).or_default().insert(element, Some(own.to_string()));
            }
            let scope = rules.scope_of(other).and_then(|scope| rules.scopes.get(scope));
            let same_family = |p: &&IpNet| p.addr().is_ipv4() == other.is_ipv4();
            for &prefix in scope.into_iter().flatten().filter(same_family) {
                // Behind its own bridge its neighbours would answer it there, not here.
                let gateway = rules.gateway_of(other).filter(|_| prefix.contains(&other));
                let seen = Part::Net(gateway.unwrap_or(other).into());
                let pair = vec![Part::Net(own.into()), Part::Net(prefix)];
                out.split(["across4", "across6"], prefix, pair.clone());
                out.split(["homes4", "homes6"], prefix, [pair, vec![seen]].concat());
            }
        }
    }
}

fn put_bridge(out: &mut Writer, rules: &Ruleset, name: &InterfaceName, bridge: &Bridge) {
    let interface = || Part::Interface(name.clone());
    out.put("bridges", vec![interface()]);
    out.put("links", vec![interface()]);
    out.put("same", vec![interface(), interface()]);
    if bridge.internal {
        out.put("internal", vec![interface()]);
    }
    if bridge.host_access {
        out.put("trusted", vec![interface()]);
    }
    for (&block, &gateway) in &bridge.blocks {
        out.net(["local4", "local6"], block);
        out.split(["blocks4", "blocks6"], block, vec![interface(), Part::Net(block)]);
        let gateway = vec![interface(), Part::Net(gateway.into())];
        out.split(["gateways4", "gateways6"], block, gateway);
        let same_family = |p: &&IpNet| p.addr().is_ipv4() == block.addr().is_ipv4();
        for &prefix in rules.scopes.get(&bridge.scope).into_iter().flatten().filter(same_family) {
            let pair = vec![Part::Net(block), Part::Net(prefix)];
            out.split(["reach4", "reach6"], block, pair);
        }
    }
}

#[cfg(test)]
mod tests;

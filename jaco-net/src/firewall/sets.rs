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

use super::{Bridge, IngressPort, InterfaceName, MeshLink, Ruleset, Scope};

/// What one column of a set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Interface,
    V4,
    V6,
    Protocol,
    Port,
}

/// One set of the table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SetSpec {
    pub(super) name: &'static str,
    pub(super) columns: &'static [Column],
    /// Whether an element may be a prefix.
    pub(super) interval: bool,
    pub(super) why: &'static str,
}

macro_rules! sets {
    ($($name:literal [$($column:ident)+] $interval:literal $why:literal)+) => {
        /// Every set of the table, always there, in the order in which they are written.
        pub(super) const SETS: &[SetSpec] = &[$(SetSpec {
            name: $name,
            columns: &[$(Column::$column),+],
            interval: $interval,
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
}

/// One column of an element.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Interface(InterfaceName),
    Net(IpNet),
    Protocol(Protocol),
    Port(u16),
}

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
    rules.pools.iter().for_each(|pool| out.net(["pools4", "pools6"], *pool));
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
    out.0
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

/// The ruleset that these elements stand for, as far as they stand for one: whoever wants to know
/// whether they do compares them with [`elements`] of it.
pub(super) fn ruleset(held: &Elements) -> Ruleset {
    let of = |set: &str| held.get(set).into_iter().flatten();
    let nets = |sets: [&'static str; 2]| {
        sets.into_iter().flat_map(of).filter_map(|(element, comment)| match element.as_slice() {
            [Part::Net(net)] => Some((*net, comment.as_deref())),
            _ => None,
        })
    };
    let mut rules = Ruleset {
        pools: nets(["pools4", "pools6"]).map(|(net, _)| net).collect(),
        ..Ruleset::default()
    };
    for (prefix, comment) in nets(["scoped4", "scoped6"]) {
        if let Some(scope) = comment.and_then(|text| text.parse::<Scope>().ok()) {
            rules.scopes.entry(scope).or_default().insert(prefix);
        }
    }
    rules.bridges = bridges(held, &rules);
    let addresses = |sets| nets(sets).map(|(net, _)| net.addr()).collect();
    rules.mesh = interfaces(held, "mesh").into_iter().next().map(|interface| MeshLink {
        interface: interface.clone(),
        own: addresses(["own4", "own6"]),
        members: addresses(["members4", "members6"]),
    });
    rules.ingress = of("ingress")
        .filter_map(|(element, _)| match element.as_slice() {
            [Part::Protocol(protocol), Part::Port(port)] => {
                Some(IngressPort { protocol: *protocol, port: *port })
            }
            _ => None,
        })
        .collect();
    rules
}

fn interfaces<'a>(held: &'a Elements, set: &str) -> BTreeSet<&'a InterfaceName> {
    let all = held.get(set).into_iter().flatten();
    all.filter_map(|(element, _)| match element.as_slice() {
        [Part::Interface(name)] => Some(name),
        _ => None,
    })
    .collect()
}

/// The bridges that have a block, each block with the gateway that lies in it, whose scope is known.
fn bridges(held: &Elements, rules: &Ruleset) -> BTreeMap<InterfaceName, Bridge> {
    let (internal, trusted) = (interfaces(held, "internal"), interfaces(held, "trusted"));
    let blocks = paired(held, ["blocks4", "blocks6"]);
    let gateways = paired(held, ["gateways4", "gateways6"]);
    let by_prefix: BTreeMap<&IpNet, &Scope> = rules
        .scopes
        .iter()
        .flat_map(|(scope, prefixes)| prefixes.iter().map(move |prefix| (prefix, scope)))
        .collect();
    let mut bridges = BTreeMap::new();
    for name in interfaces(held, "bridges") {
        let of = |pairs: &BTreeMap<_, Vec<IpNet>>| pairs.get(name).cloned().unwrap_or_default();
        let gateways = of(&gateways);
        let gateway = |block: &IpNet| gateways.iter().map(IpNet::addr).find(|g| block.contains(g));
        let blocks: BTreeMap<IpNet, IpAddr> =
            of(&blocks).into_iter().filter_map(|block| Some((block, gateway(&block)?))).collect();
        // A block is a prefix of its scope, or, more rarely, a part of one.
        let scope = blocks.keys().find_map(|block| {
            by_prefix.get(block).copied().or_else(|| rules.scope_of(block.addr()))
        });
        if let Some(scope) = scope.cloned() {
            let (internal, host_access) = (internal.contains(name), trusted.contains(name));
            bridges.insert(name.clone(), Bridge { scope, blocks, internal, host_access });
        }
    }
    bridges
}

/// What the sets of interfaces with addresses hold of each interface.
fn paired<'a>(held: &'a Elements, sets: [&str; 2]) -> BTreeMap<&'a InterfaceName, Vec<IpNet>> {
    let mut pairs: BTreeMap<&InterfaceName, Vec<IpNet>> = BTreeMap::new();
    for (element, _) in sets.into_iter().flat_map(|set| held.get(set).into_iter().flatten()) {
        if let [Part::Interface(name), Part::Net(net)] = element.as_slice() {
            pairs.entry(name).or_default().push(*net);
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rulesets that pass their check: each block belongs to one of three scopes.
    fn rulesets() -> impl Strategy<Value = Ruleset> {
        let blocks = prop::collection::vec((0..3_usize, any::<bool>(), any::<[bool; 3]>()), 0..12);
        (blocks, any::<Option<(u8, u8)>>(), prop::collection::btree_set(any::<u16>(), 0..4))
            .prop_map(|(blocks, mesh, ports)| {
                let mut rules = Ruleset {
                    pools: ["10.244.0.0/14", "fd00:244::/32"].map(|p| p.parse().unwrap()).into(),
                    ..Ruleset::default()
                };
                for (n, (scope, v6, [local, internal, host_access])) in
                    blocks.into_iter().enumerate()
                {
                    let scope: Scope = format!("d{scope}/default").parse().unwrap();
                    let (block, gateway) = if v6 {
                        (format!("fd00:244:{n:x}::/64"), format!("fd00:244:{n:x}::1"))
                    } else {
                        (format!("10.244.{n}.0/24"), format!("10.244.{n}.1"))
                    };
                    let block: IpNet = block.parse().unwrap();
                    rules.scopes.entry(scope.clone()).or_default().insert(block);
                    if local {
                        let blocks = [(block, gateway.parse().unwrap())].into();
                        let bridge = Bridge { scope, blocks, internal, host_access };
                        rules.bridges.insert(format!("jaco-{n}").parse().unwrap(), bridge);
                    }
                }
                rules.mesh = mesh.map(|(own, member)| MeshLink {
                    interface: "jaco0".parse().unwrap(),
                    own: [IpAddr::from([10, 243, 0, own])].into(),
                    members: [IpAddr::from([10, 243, 1, member])].into(),
                });
                let tcp = |port| IngressPort { protocol: Protocol::Tcp, port };
                rules.ingress = ports.into_iter().map(tcp).collect();
                rules
            })
    }

    proptest! {
        #[test]
        fn elements_stand_for_the_ruleset_that_they_were_made_of(rules in rulesets()) {
            rules.check().unwrap();
            prop_assert_eq!(ruleset(&elements(&rules)), rules);
        }

        #[test]
        fn there_are_never_more_pairs_than_local_blocks_times_prefixes(rules in rulesets()) {
            let pairs: usize = ["reach4", "reach6"].iter().map(|s| elements(&rules)[s].len()).sum();
            let prefixes = |bridge: &Bridge| rules.scopes[&bridge.scope].len();
            prop_assert!(pairs <= rules.bridges.values().map(prefixes).sum());
        }
    }
}

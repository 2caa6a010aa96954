//! The ruleset that the elements of the sets stand for. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;

use super::{
    super::{Bridge, IngressPort, InterfaceName, MeshLink, Ruleset, Scope},
    Element, Elements, Part,
};

/// The ruleset that these elements stand for, as far as they stand for one: whoever wants to know
/// whether they do compares them with [`elements`](super::elements) of it.
pub(in super::super) fn ruleset(held: &Elements) -> Ruleset {
    let of = |set: &str| held.get(set).into_iter().flatten();
    let nets = |sets: [&'static str; 2]| {
        sets.into_iter().flat_map(of).filter_map(|(element, comment)| match element.as_slice() {
            [Part::Net(net)] => Some((*net, comment.as_deref())),
            _ => None,
        })
    };
    let mut rules = Ruleset {
        virtual_pools: nets(["virtual4", "virtual6"]).map(|(net, _)| net).collect(),
        ..Ruleset::default()
    };
    let pools = nets(["pools4", "pools6"]).map(|(net, _)| net);
    rules.pools = pools.filter(|pool| !rules.virtual_pools.contains(pool)).collect();
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
    rules.virtuals = virtuals(held);
    rules.homes = homes(held);
    rules
}

/// The elements of a set of each family.
fn of_both<'a>(
    held: &'a Elements,
    sets: [&str; 2],
) -> impl Iterator<Item = (&'a Element, &'a Option<String>)> + use<'a> {
    sets.map(|set| held.get(set)).into_iter().flatten().flatten()
}

fn virtuals(held: &Elements) -> BTreeMap<IpAddr, BTreeSet<IpAddr>> {
    let mut virtuals: BTreeMap<IpAddr, BTreeSet<IpAddr>> = BTreeMap::new();
    for (element, _) in of_both(held, ["services4", "services6"]) {
        if let [Part::Net(address), Part::Pick(_)] = element.as_slice() {
            virtuals.entry(address.addr()).or_default();
        }
    }
    for (element, _) in of_both(held, ["replicas4", "replicas6"]) {
        if let [Part::Net(address), Part::Slot(_), Part::Net(replica)] = element.as_slice()
            && let Some(replicas) = virtuals.get_mut(&address.addr())
        {
            replicas.insert(replica.addr());
        }
    }
    virtuals
}

/// The comment of each other address of a container names its own: those that hang together are
/// the addresses of one.
fn homes(held: &Elements) -> BTreeSet<BTreeSet<IpAddr>> {
    let mut homes: Vec<BTreeSet<IpAddr>> = Vec::new();
    for (element, comment) in of_both(held, ["homed4", "homed6"]) {
        let own = comment.as_deref().and_then(|text| text.parse::<IpAddr>().ok());
        let ([Part::Interface(_), Part::Net(other)], Some(own)) = (element.as_slice(), own) else {
            continue;
        };
        let mut home = BTreeSet::from([own, other.addr()]);
        homes.retain(|known| {
            let apart = known.is_disjoint(&home);
            if !apart {
                home.extend(known);
            }
            apart
        });
        homes.push(home);
    }
    homes.into_iter().collect()
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
    for (element, _) in of_both(held, sets) {
        if let [Part::Interface(name), Part::Net(net)] = element.as_slice() {
            pairs.entry(name).or_default().push(*net);
        }
    }
    pairs
}

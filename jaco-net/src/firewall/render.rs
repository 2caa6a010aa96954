//! The script that replaces the table. Pure.
//!
//! Input is a ruleset that passes its check; output is text for `nft -f -`. Nothing gets into it
//! but the constant text here and values whose types exclude that they mean anything to `nft`:
//! addresses, numbers, interface names and scopes. A name would be resolved over DNS.

use std::fmt::Write as _;

use jaco_api::model::Protocol;

use super::{
    Ruleset,
    sets::{Column, Element, Elements, Part, SETS, SetSpec, elements, picks},
};

/// The name of the table.
pub(super) const TABLE: &str = "jaco";

/// The name of the table that is loaded, without being in the way of any packet, to see how `nft`
/// shows the rules.
pub(super) const REFERENCE: &str = "jaco_reference";

/// What the names of the chains that pick a replica begin with.
pub(super) const PICK: &str = "one_of_";

/// The chains and their rules: the same for every ruleset.
const CHAINS: &str = include_str!("chains.nft");

/// Replaces the table by the one of `rules`, in one transaction.
pub(super) fn script(rules: &Ruleset) -> String {
    table(TABLE, "", &elements(rules))
}

/// Turns a table that is exactly the one of `held` into the one of `wanted`, in one transaction;
/// empty when they are the same. What is in both is never touched: the kernel forgets the elements
/// of a set that it replaces for a moment, in which packets that may pass are dropped.
pub(super) fn changes(held: &Ruleset, wanted: &Ruleset) -> String {
    let (held, wanted) = (elements(held), elements(wanted));
    let mut out = String::new();
    let mut change = |verb: &str, from: &Elements, without: &Elements| {
        for spec in SETS {
            let (from, without) = (from.get(spec.name), without.get(spec.name));
            let same = |(element, comment): &(&Element, &Option<String>)| {
                without.and_then(|without| without.get(*element)) == Some(*comment)
            };
            let mut only = from.into_iter().flatten().filter(|pair| !same(pair)).peekable();
            if only.peek().is_some() {
                let _ = write!(out, "{verb} element inet {TABLE} {} ", spec.name);
                list(&mut out, spec, only);
                out.push('\n');
            }
        }
    };
    change("delete", &held, &wanted);
    change("add", &wanted, &held);
    out
}

/// Loads the table of the empty ruleset under another name, with its chains in no hook.
pub(super) fn reference() -> String {
    table(REFERENCE, "flags dormant;\n", &Elements::new())
}

fn table(name: &str, flags: &str, elements: &Elements) -> String {
    // The first line makes the second one succeed when there is no table yet.
    let mut out =
        format!("add table inet {name}\ndelete table inet {name}\ntable inet {name} {{\n{flags}");
    for spec in SETS {
        let _ = writeln!(out, "# {}", spec.why);
        let _ = write!(out, "{} {} {{ {};", spec.kind(), spec.name, type_of(spec));
        if spec.interval {
            out.push_str(" flags interval;");
        }
        if let Some(held) = elements.get(spec.name).filter(|held| !held.is_empty()) {
            out.push_str(" elements = ");
            list(&mut out, spec, held);
        }
        out.push_str(" }\n");
    }
    out.push_str(&pickers());
    out.push_str(CHAINS);
    out.push_str("}\n");
    out
}

/// The chains that pick one of so many replicas, which are told apart by a number.
fn pickers() -> String {
    let mut out = String::new();
    for count in picks() {
        let _ = writeln!(out, "chain {PICK}{count} {{");
        for (ip, family) in [("ip", "4"), ("ip6", "6")].into_iter().filter(|_| count > 0) {
            let number = format!("numgen random mod {count}");
            let _ = writeln!(out, "  dnat {ip} to {ip} daddr . {number} map @replicas{family}");
        }
        out.push_str("}\n");
    }
    out
}

/// Elements in braces.
fn list<'a>(
    out: &mut String,
    spec: &SetSpec,
    elements: impl IntoIterator<Item = (&'a Element, &'a Option<String>)>,
) {
    out.push_str("{\n");
    for (element, comment) in elements {
        out.push_str(&text(spec, element));
        if let Some(comment) = comment {
            let _ = write!(out, " comment \"{comment}\"");
        }
        out.push_str(",\n");
    }
    out.push('}');
}

/// The type of a set as `nft` reads it. The type of a random number has no name: it is told by an
/// example.
fn type_of(spec: &SetSpec) -> String {
    let numbered = spec.columns.contains(&Column::Slot);
    let name = |column: &Column| match (column, numbered) {
        (Column::Interface, _) => "ifname",
        (Column::V4, false) => "ipv4_addr",
        (Column::V6, false) => "ipv6_addr",
        (Column::V4, true) => "ip daddr",
        (Column::V6, true) => "ip6 daddr",
        (Column::Protocol, _) => "inet_proto",
        (Column::Port, _) => "inet_service",
        (Column::Slot, _) => "numgen random mod 65536",
        (Column::Pick, _) => "verdict",
    };
    let columns = spec.columns.iter().map(name).collect::<Vec<_>>().join(" . ");
    let value = spec.value.as_ref().map(|value| format!(" : {}", name(value)));
    format!("{} {columns}{}", if numbered { "typeof" } else { "type" }, value.unwrap_or_default())
}

/// An element as `nft` reads it.
pub(super) fn text(spec: &SetSpec, element: &Element) -> String {
    let part = |part: &Part| match part {
        Part::Interface(name) => format!("\"{name}\""),
        Part::Net(net) if net.prefix_len() == net.max_prefix_len() => net.addr().to_string(),
        Part::Net(net) => net.to_string(),
        Part::Protocol(Protocol::Tcp) => "tcp".to_owned(),
        Part::Protocol(Protocol::Udp) => "udp".to_owned(),
        Part::Port(number) | Part::Slot(number) => number.to_string(),
        Part::Pick(count) => format!("jump {PICK}{count}"),
    };
    let (columns, value) = element.split_at(spec.columns.len().min(element.len()));
    let columns = columns.iter().map(part).collect::<Vec<_>>().join(" . ");
    match value.first() {
        Some(value) => format!("{columns} : {}", part(value)),
        None => columns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bridge, IngressPort, MeshLink};

    #[test]
    fn the_script_of_a_small_node() {
        let mut rules =
            Ruleset { pools: ["10.244.0.0/14".parse().unwrap()].into(), ..Ruleset::default() };
        let scope: crate::Scope = "shop/default".parse().unwrap();
        let blocks = ["10.244.0.0/24", "10.244.1.0/24"].map(|p| p.parse().unwrap());
        rules.scopes.insert(scope.clone(), blocks.into());
        let blocks = [(blocks[0], "10.244.0.1".parse().unwrap())].into();
        let bridge = Bridge { scope, blocks, internal: true, host_access: false };
        rules.bridges.insert("jaco-0123456789".parse().unwrap(), bridge);
        rules.mesh = Some(MeshLink {
            interface: "jaco0".parse().unwrap(),
            own: ["10.243.0.1".parse().unwrap()].into(),
            members: ["10.243.0.2".parse().unwrap()].into(),
        });
        rules.ingress.insert(IngressPort { protocol: Protocol::Tcp, port: 443 });
        rules.check().unwrap();
        insta::assert_snapshot!(script(&rules));
    }

    #[test]
    fn only_what_differs_is_changed() {
        let with = |scope: &str, prefixes: &[&str]| {
            let prefixes = prefixes.iter().map(|p| p.parse().unwrap()).collect();
            let scopes = [(scope.parse().unwrap(), prefixes)].into();
            Ruleset { scopes, ..Ruleset::default() }
        };
        let held = with("a/x", &["10.244.0.0/24", "10.244.1.0/24"]);
        assert_eq!(changes(&held, &held), "");
        let grown = changes(&held, &with("a/x", &["10.244.1.0/24", "fd00::/64"]));
        assert_eq!(
            grown,
            "delete element inet jaco scoped4 {\n10.244.0.0/24 comment \"a/x\",\n}\n\
             add element inet jaco scoped6 {\nfd00::/64 comment \"a/x\",\n}\n"
        );
        // An element with another comment is another element.
        let moved = changes(&held, &with("b/x", &["10.244.0.0/24", "10.244.1.0/24"]));
        assert_eq!(moved.lines().filter(|line| line.starts_with("10.244.0.0/24 ")).count(), 2);
    }

    #[test]
    fn the_reference_has_the_same_chains_and_no_elements() {
        let reference = reference();
        assert!(reference.contains(CHAINS) && script(&Ruleset::default()).contains(CHAINS));
        assert!(!reference.contains("elements"));
        assert!(reference.contains("dormant"), "it is in nobody's way");
    }
}

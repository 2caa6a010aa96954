//! What `nft -j list table` says is loaded, and how it differs from what should be. Pure.
//!
//! Rules are compared as `nft` shows them, expression by expression, with a reference: the same
//! rules, loaded by the same `nft` into a table that is in no hook. So no version of `nft` has to
//! show them in a certain way. Elements are compared as values.

use std::collections::{BTreeMap, BTreeSet};

use jaco_api::model::Protocol;
use serde_json::Value;

use super::{
    Loaded,
    render::{PICK, text},
    sets::{self, Column, Element, Elements, Part, SETS, SetSpec},
};

/// What a table holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// The table itself.
    table: String,
    /// Each chain: its type, hook, priority and policy.
    chains: BTreeMap<String, String>,
    /// The rules of each chain, in order.
    rules: BTreeMap<String, Vec<String>>,
    /// Each set: its type and flags.
    sets: BTreeMap<String, String>,
    /// The elements of our sets.
    elements: Elements,
    /// Elements that none of our sets can have, and everything else.
    strangers: BTreeSet<String>,
}

/// A listing that is none.
#[derive(Debug, thiserror::Error)]
#[error("nft listed something that is no ruleset")]
pub(super) struct NoListing(#[source] Option<serde_json::Error>);

impl Listing {
    /// Reads the output of `nft -j list table inet <name>`.
    pub(super) fn parse(json: &[u8], name: &str) -> Result<Self, NoListing> {
        let mut listing = Self::default();
        for object in objects(json)? {
            let Value::Object(fields) = object else { return Err(NoListing(None)) };
            for (kind, body) in fields {
                if kind != "metainfo" {
                    listing.add(&kind, body, name);
                }
            }
        }
        Ok(listing)
    }

    /// The tables of the address family in the output of `nft -j list tables`.
    pub(super) fn tables(json: &[u8]) -> Result<Vec<String>, NoListing> {
        let objects = objects(json)?;
        let tables = objects.iter().filter_map(|object| object.get("table"));
        let ours = tables.filter(|table| table.get("family").is_some_and(|f| f == "inet"));
        Ok(ours.filter_map(|t| Some(t.get("name")?.as_str()?.to_owned())).collect())
    }

    fn add(&mut self, kind: &str, mut body: Value, table: &str) {
        let elements = body.as_object_mut().and_then(|fields| fields.remove("elem"));
        constant(&mut body, table);
        let of = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        match kind {
            "table" => {
                // The reference is dormant; ours must not be.
                let flags = body.get("flags").filter(|_| table == super::render::TABLE);
                let flags = flags.map(ToString::to_string).unwrap_or_default();
                let comment = of("comment");
                self.table = format!("table {flags}{comment}").trim().to_owned();
            }
            "chain" => {
                self.chains.insert(of("name"), body.to_string());
            }
            "rule" => self.rules.entry(of("chain")).or_default().push(rule(&body)),
            "set" | "map" if kind == kind_of(&of("name")) => {
                let name = of("name");
                self.add_elements(&name, elements);
                self.sets.insert(name, body.to_string());
            }
            _ => {
                self.strangers.insert(format!("{kind} {}", of("name")));
            }
        }
    }

    fn add_elements(&mut self, name: &str, elements: Option<Value>) {
        let Some(spec) = SETS.iter().find(|spec| spec.name == name) else { return };
        let held = self.elements.entry(spec.name).or_default();
        for value in elements.as_ref().and_then(Value::as_array).into_iter().flatten() {
            match element(spec, value) {
                Some((element, comment)) => {
                    held.insert(element, comment);
                }
                None => {
                    self.strangers.insert(format!("element {value} of set {name}"));
                }
            }
        }
    }

    /// What is loaded: the ruleset that the elements stand for, and everything by which the table
    /// differs from the one of that ruleset.
    pub(super) fn against(&self, reference: &Self) -> Loaded {
        let ruleset = sets::ruleset(&self.elements);
        let mut differences = Vec::new();
        if self.table != reference.table {
            differences.push(format!(
                "the table itself is {:?} instead of {:?}",
                self.table, reference.table
            ));
        }
        named("chain", &self.chains, &reference.chains, &mut differences);
        named("set", &self.sets, &reference.sets, &mut differences);
        for chain in reference.chains.keys() {
            let of = |listing: &Self| listing.rules.get(chain).cloned().unwrap_or_default();
            rules(chain, &of(self), &of(reference), &mut differences);
        }
        compare_elements(&self.elements, &sets::elements(&ruleset), &mut differences);
        differences.extend(self.strangers.iter().map(|stranger| format!("{stranger} was added")));
        Loaded { ruleset, differences }
    }
}

/// What `nft -j` lists.
fn objects(json: &[u8]) -> Result<Vec<Value>, NoListing> {
    let mut root: Value = serde_json::from_slice(json).map_err(|e| NoListing(Some(e)))?;
    match root.get_mut("nftables").map(Value::take) {
        Some(Value::Array(objects)) => Ok(objects),
        _ => Err(NoListing(None)),
    }
}

/// Takes out what differs between two loads of one thing: handles, counts, the name of the table.
fn constant(value: &mut Value, table: &str) {
    match value {
        Value::Object(fields) => {
            if fields.get("table").and_then(Value::as_str) == Some(table) {
                fields.remove("table");
            }
            fields.remove("handle");
            if let Some(counter) = fields.get_mut("counter").filter(|c| c.is_object()) {
                *counter = Value::Null;
            }
            fields.values_mut().for_each(|value| constant(value, table));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| constant(value, table)),
        _ => {}
    }
}

/// A rule as one text: its comment, for people, and its expressions.
fn rule(body: &Value) -> String {
    let comment = body.get("comment").and_then(Value::as_str).unwrap_or("no comment");
    let expressions = body.get("expr").unwrap_or(&Value::Null);
    format!("({comment}) {expressions}")
}

/// Whether the set of this name is one or a map; one of somebody else is a stranger.
fn kind_of(name: &str) -> &'static str {
    SETS.iter().find(|spec| spec.name == name).map_or("set", SetSpec::kind)
}

fn element(spec: &SetSpec, value: &Value) -> Option<(Element, Option<String>)> {
    let Some(column) = spec.value else { return key(spec, value) };
    let [value, held] = value.as_array()?.as_slice() else { return None };
    let (mut element, comment) = key(spec, value)?;
    element.push(part(column, held)?);
    Some((element, comment))
}

fn key(spec: &SetSpec, value: &Value) -> Option<(Element, Option<String>)> {
    let (value, comment) = match value.get("elem") {
        Some(inner) => {
            // An element that is only there for a time is not one of ours.
            let known = |key: &String| matches!(key.as_str(), "val" | "comment");
            inner.as_object().filter(|fields| fields.keys().all(known))?;
            let comment = inner.get("comment").and_then(Value::as_str).map(ToOwned::to_owned);
            (inner.get("val")?, comment)
        }
        None => (value, None),
    };
    let parts: Vec<&Value> = match value.get("concat").and_then(Value::as_array) {
        Some(parts) => parts.iter().collect(),
        None => vec![value],
    };
    if parts.len() != spec.columns.len() {
        return None;
    }
    let parts = spec.columns.iter().zip(parts).map(|(column, value)| part(*column, value));
    Some((parts.collect::<Option<Element>>()?, comment))
}

fn part(column: Column, value: &Value) -> Option<Part> {
    match column {
        Column::Interface => Some(Part::Interface(value.as_str()?.parse().ok()?)),
        Column::V4 | Column::V6 => {
            let net: ipnet::IpNet = match value.get("prefix") {
                Some(prefix) => {
                    let length = u8::try_from(prefix.get("len")?.as_u64()?).ok()?;
                    let address = prefix.get("addr")?.as_str()?.parse().ok()?;
                    ipnet::IpNet::new(address, length).ok()?
                }
                None => value.as_str()?.parse::<std::net::IpAddr>().ok()?.into(),
            };
            (net.addr().is_ipv4() == (column == Column::V4)).then_some(Part::Net(net))
        }
        Column::Protocol => match value.as_str()? {
            "tcp" => Some(Part::Protocol(Protocol::Tcp)),
            "udp" => Some(Part::Protocol(Protocol::Udp)),
            _ => None,
        },
        Column::Port => Some(Part::Port(u16::try_from(value.as_u64()?).ok()?)),
        Column::Slot => Some(Part::Slot(u16::try_from(value.as_u64()?).ok()?)),
        Column::Pick => {
            let chain = value.get("jump")?.get("target")?.as_str()?;
            Some(Part::Pick(chain.strip_prefix(PICK)?.parse().ok()?))
        }
    }
}

/// Objects that have a name and a description.
fn named(
    kind: &str,
    held: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
    differences: &mut Vec<String>,
) {
    for (name, description) in wanted {
        match held.get(name) {
            None => differences.push(format!("{kind} {name} is missing")),
            Some(other) if other != description => {
                differences.push(format!("{kind} {name} is {other} instead of {description}"));
            }
            Some(_) => {}
        }
    }
    let strangers = held.keys().filter(|name| !wanted.contains_key(*name));
    differences.extend(strangers.map(|name| format!("{kind} {name} was added")));
}

fn rules(chain: &str, held: &[String], wanted: &[String], differences: &mut Vec<String>) {
    if held == wanted {
        return;
    }
    let mut left: Vec<&String> = held.iter().collect();
    let before = differences.len();
    for rule in wanted {
        match left.iter().position(|other| *other == rule) {
            Some(at) => {
                left.remove(at);
            }
            None => differences.push(format!("a rule of chain {chain} is missing: {rule}")),
        }
    }
    differences
        .extend(left.iter().map(|rule| format!("a rule of chain {chain} was added: {rule}")));
    if differences.len() == before {
        differences.push(format!("the rules of chain {chain} are in another order"));
    }
}

fn compare_elements(held: &Elements, wanted: &Elements, differences: &mut Vec<String>) {
    let empty = BTreeMap::new();
    for spec in SETS {
        let held = held.get(spec.name).unwrap_or(&empty);
        let wanted = wanted.get(spec.name).unwrap_or(&empty);
        for (element, comment) in wanted {
            if held.get(element) != Some(comment) {
                let element = text(spec, element);
                differences.push(format!("{} {} lacks {element}", spec.kind(), spec.name));
            }
        }
        for (element, comment) in held {
            if wanted.get(element) != Some(comment) {
                let element = text(spec, element);
                differences.push(format!("{} {} also has {element}", spec.kind(), spec.name));
            }
        }
    }
}

#[cfg(test)]
mod tests;

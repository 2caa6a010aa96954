//! What must stand at the top of the container engine's own chains, and how it gets there. Pure.
//!
//! The engine drops what it did not expect: packets of the mesh, in its FORWARD policy, in the
//! chains behind it, and, since engine 28, in raw PREROUTING. Input is what `iptables-save` prints
//! and a ruleset; output is what `iptables-restore --noflush` reads. Accepts only packets between
//! the mesh and a pool, and between pools where a container in several networks needs them to cross
//! from one bridge to another; the table `inet jaco` polices both.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{InterfaceName, Ruleset};

/// Marks the rules that are ours; nobody else's are touched.
const MARK: &str = "-m comment --comment jaco -j ACCEPT";

/// The rules of one table of `iptables`, in order, by chain.
#[derive(Debug, Default, PartialEq, Eq)]
struct Chains {
    policies: BTreeMap<String, String>,
    rules: BTreeMap<String, Vec<String>>,
}

/// Which of the two address families a program is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// What to tell `iptables-restore` so that everything is in its place; empty when it is.
pub(super) fn changes(saved: &str, rules: Option<&Ruleset>, family: Family) -> String {
    let tables = parse(saved);
    let pins = rules.map(|rules| Pins::of(rules, family)).unwrap_or_default();
    let mut out = String::new();
    for (table, chains) in &tables {
        let mut commands = String::new();
        for chain in chains.policies.keys() {
            let needed = match (table.as_str(), chain.as_str()) {
                ("filter", name) if name == gate(chains) && guarded(chains) => &pins.forward,
                ("raw", "PREROUTING") if drops(chains, chain) => &pins.prerouting,
                _ => &Vec::new(),
            };
            move_to_top(chain, chains, needed, &mut commands);
        }
        if !commands.is_empty() {
            let _ = write!(out, "*{table}\n{commands}COMMIT\n");
        }
    }
    out
}

/// The rules that must stand at the top, in order.
#[derive(Default)]
struct Pins {
    forward: Vec<String>,
    prerouting: Vec<String>,
}

impl Pins {
    fn of(rules: &Ruleset, family: Family) -> Self {
        let of_family = |pool: &&ipnet::IpNet| pool.addr().is_ipv4() == (family == Family::V4);
        let mut pins = Self::default();
        for pool in rules.pools.iter().filter(of_family).filter(|_| !rules.homes.is_empty()) {
            let others = rules.pools.iter().filter(of_family);
            pins.forward.extend(others.map(|other| format!("-s {pool} -d {other} {MARK}")));
        }
        let Some(mesh) = &rules.mesh else { return pins };
        for pool in rules.pools.iter().filter(of_family) {
            let into = into_pool(pool, &mesh.interface);
            pins.forward.push(into.clone());
            pins.forward.push(format!("-s {pool} -o {} {MARK}", mesh.interface));
            pins.prerouting.push(into);
        }
        pins
    }
}

fn into_pool(pool: &ipnet::IpNet, mesh: &InterfaceName) -> String {
    format!("-d {pool} -i {mesh} {MARK}")
}

/// The chain at whose top a packet is accepted before the engine can drop it. The engine keeps the
/// jump to the first one at the top of FORWARD, whatever it inserts there.
fn gate(chains: &Chains) -> &'static str {
    const USER: &str = "DOCKER-USER";
    if chains.policies.contains_key(USER) { USER } else { "FORWARD" }
}

/// Whether anything in the way of a forwarded packet may drop it.
fn guarded(chains: &Chains) -> bool {
    let foreign = |rules: &Vec<String>| rules.iter().any(|rule| !rule.ends_with(MARK));
    chains.policies.get("FORWARD").is_some_and(|policy| policy == "DROP")
        || chains.rules.get("FORWARD").is_some_and(foreign)
}

fn drops(chains: &Chains, chain: &str) -> bool {
    chains.rules.get(chain).is_some_and(|rules| rules.iter().any(|rule| !rule.ends_with(MARK)))
}

/// Position counts, not existence: whatever stands above one of ours may drop first.
fn move_to_top(chain: &str, chains: &Chains, needed: &[String], commands: &mut String) {
    let held = chains.rules.get(chain).map(Vec::as_slice).unwrap_or_default();
    let (top, rest) = held.split_at(needed.len().min(held.len()));
    if top == needed && !rest.iter().any(|rule| rule.ends_with(MARK)) {
        return;
    }
    for rule in held.iter().filter(|rule| rule.ends_with(MARK)) {
        let _ = writeln!(commands, "-D {chain} {rule}");
    }
    for (n, rule) in needed.iter().enumerate() {
        let _ = writeln!(commands, "-I {chain} {} {rule}", n + 1);
    }
}

/// What `iptables-save` prints, by table.
fn parse(saved: &str) -> BTreeMap<String, Chains> {
    let mut tables: BTreeMap<String, Chains> = BTreeMap::new();
    let mut table = None;
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = Some(tables.entry(name.trim().to_owned()).or_default());
        } else if let (Some(table), Some(chain)) = (&mut table, line.strip_prefix(':')) {
            let mut words = chain.split_whitespace();
            if let (Some(name), Some(policy)) = (words.next(), words.next()) {
                table.policies.insert(name.to_owned(), policy.to_owned());
            }
        } else if let (Some(table), Some(rule)) = (&mut table, line.strip_prefix("-A ")) {
            let (chain, rule) = rule.split_once(' ').unwrap_or((rule, ""));
            table.rules.entry(chain.to_owned()).or_default().push(rule.trim().to_owned());
        }
    }
    tables
}

#[cfg(test)]
mod tests;

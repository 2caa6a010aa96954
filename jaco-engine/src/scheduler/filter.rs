//! Which nodes may take a replica: every filter checks one thing and can explain its refusals.
//!
//! In: what a service asks for and one node. Out: nothing, or the first [`Refusal`]. [`explain`]
//! counts the refusals of all nodes: `3 nodes: 1 cordoned, 2 lack label disk=ssd`.

use std::collections::BTreeMap;

use jaco_api::model::{Node, NodeId, NodeName, NodeStatus, Placement, ServiceSchedule};

use super::constraint::{Constraint, Subject, runs_on};

/// What a service asks of a node.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The service's schedule.
    pub schedule: &'a ServiceSchedule,
    /// Its placement, the cluster's default filled in.
    pub placement: &'a Placement,
    /// Where volumes it mounts live already.
    pub pins: &'a [Pin],
}

/// A volume and the node that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The volume's name in the engine.
    pub volume: String,
    /// The node.
    pub node: NodeId,
    /// Its name; absent when it is no member any more.
    pub name: Option<NodeName>,
}

/// Why a node cannot take a replica.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It takes no new work.
    Status(NodeStatus),
    /// It is not among the hosts of the placement.
    NotAHost,
    /// A label is missing or has another value.
    LacksLabel(String),
    /// It has a label that is excluded.
    HasLabel(String),
    /// Another constraint does not hold, or cannot be read.
    Constraint(String),
    /// Its engine is of another platform.
    Platform(String),
    /// A volume of the service lives elsewhere.
    Volume {
        /// The volume's name in the engine.
        volume: String,
        /// The node that has it; absent when that is no member any more.
        on: Option<NodeName>,
    },
    /// It has as many replicas of the service as it may.
    Full(u32),
    /// Too little processor time is left.
    Cpu,
    /// Too little memory is left.
    Memory,
    /// It needs a block of addresses, and none is free.
    Addresses {
        /// Blocks in all.
        capacity: u64,
        /// Blocks that networks have.
        used: u64,
        /// Blocks that wait to be free.
        quarantined: u64,
    },
}

impl Refusal {
    /// What is wrong with `n` nodes, as it follows their number: `lack label disk=ssd`.
    #[must_use]
    pub fn explain(&self, n: u32) -> String {
        let verb = |one: &str, many: &str| if n == 1 { one.to_owned() } else { many.to_owned() };
        match self {
            Self::Status(status) => match status {
                NodeStatus::Ready => "ready".into(),
                NodeStatus::Joining => "joining".into(),
                NodeStatus::Cordoned => "cordoned".into(),
                NodeStatus::Draining => "draining".into(),
                NodeStatus::Degraded => "without a working container engine".into(),
                NodeStatus::IsolationUnavailable => "unable to isolate deployments".into(),
                NodeStatus::Down => "down".into(),
                NodeStatus::Leaving => "leaving".into(),
            },
            Self::NotAHost => "not among the hosts of the placement".into(),
            Self::LacksLabel(l) => format!("{} label {l}", verb("lacks", "lack")),
            Self::HasLabel(l) => format!("{} label {l}", verb("has", "have")),
            Self::Constraint(c) => format!("{} not satisfy {c}", verb("does", "do")),
            Self::Platform(p) => format!("not of platform {p}"),
            Self::Volume { volume, on: Some(on) } => {
                format!("{} volume {volume}, which is on {on}", verb("lacks", "lack"))
            }
            Self::Volume { volume, on: None } => {
                format!("{} volume {volume}, whose node has left", verb("lacks", "lack"))
            }
            Self::Full(limit) => format!("at max_replicas_per_node {limit}"),
            Self::Cpu => "short of unreserved cpu".into(),
            Self::Memory => "short of unreserved memory".into(),
            Self::Addresses { capacity, used, quarantined } => format!(
                "without a free address block: {used} of {capacity} in use, {quarantined} in quarantine"
            ),
        }
    }
}

/// One filter: what it finds wrong with a node.
type Check = fn(&Ask<'_>, &Node) -> Option<Refusal>;

/// What must hold when a replica is created.
const NEW: &[Check] = &[takes_new_work, is_a_host, satisfies_constraints, platform, has_volumes];
/// What must hold for a replica to stay where it is.
const STAY: &[Check] = &[may_keep_work, is_a_host, satisfies_constraints, platform];

/// Why a node may not take a new replica, whatever already runs there.
#[must_use]
pub fn refuses(ask: &Ask<'_>, node: &Node) -> Option<Refusal> {
    NEW.iter().find_map(|check| check(ask, node))
}

/// Why a replica may not stay on its node.
#[must_use]
pub fn expels(ask: &Ask<'_>, node: &Node) -> Option<Refusal> {
    STAY.iter().find_map(|check| check(ask, node))
}

/// `3 nodes: 1 cordoned, 2 lack label disk=ssd`.
#[must_use]
pub fn explain(refusals: &BTreeMap<Refusal, u32>) -> String {
    let total: u32 = refusals.values().sum();
    let mut reasons: Vec<_> = refusals.iter().map(|(r, n)| (r.explain(*n), *n)).collect();
    reasons.sort();
    let list: Vec<_> = reasons.iter().map(|(text, n)| format!("{n} {text}")).collect();
    match total {
        0 => "the cluster has no nodes".into(),
        1 => format!("1 node: {}", list.join(", ")),
        n => format!("{n} nodes: {}", list.join(", ")),
    }
}

fn takes_new_work(_: &Ask<'_>, node: &Node) -> Option<Refusal> {
    (node.status != NodeStatus::Ready).then_some(Refusal::Status(node.status))
}

fn may_keep_work(_: &Ask<'_>, node: &Node) -> Option<Refusal> {
    node.is_being_emptied().then_some(Refusal::Status(node.status))
}

fn is_a_host(ask: &Ask<'_>, node: &Node) -> Option<Refusal> {
    match ask.placement {
        Placement::Hosts(hosts) if !hosts.contains(&node.name) => Some(Refusal::NotAHost),
        _ => None,
    }
}

fn satisfies_constraints(ask: &Ask<'_>, node: &Node) -> Option<Refusal> {
    ask.schedule.constraints.iter().find_map(|text| {
        let Some(constraint) = Constraint::parse(text) else {
            return Some(Refusal::Constraint(format!("{text:?}, which is no constraint")));
        };
        if constraint.holds(node) {
            return None;
        }
        Some(match (constraint.subject, constraint.equal) {
            (Subject::Label(key), true) => {
                Refusal::LacksLabel(format!("{key}={}", constraint.value))
            }
            (Subject::Label(key), false) => {
                Refusal::HasLabel(format!("{key}={}", constraint.value))
            }
            _ => Refusal::Constraint(constraint.to_string()),
        })
    })
}

fn platform(ask: &Ask<'_>, node: &Node) -> Option<Refusal> {
    let wanted = ask.schedule.platform.as_deref()?;
    (!runs_on(wanted, &node.facts.platform)).then(|| Refusal::Platform(wanted.to_owned()))
}

fn has_volumes(ask: &Ask<'_>, node: &Node) -> Option<Refusal> {
    let elsewhere = ask.pins.iter().find(|pin| pin.node != node.id)?;
    Some(Refusal::Volume { volume: elsewhere.volume.clone(), on: elsewhere.name.clone() })
}

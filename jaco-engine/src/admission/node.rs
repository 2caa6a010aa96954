//! What operators want of nodes.

use std::collections::{BTreeMap, BTreeSet};

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{Availability, Node, NodeName, Principal, Role},
};

use super::permit_role;
use crate::{
    command::{Command, LabelNode, SetAvailability},
    scheduler,
    state::State,
};

/// Longest name and value of a label.
const LONGEST_LABEL: usize = 256;
/// Most labels of a node.
const MOST_LABELS: usize = 128;

/// The node takes no new work and keeps what it has. Ends a drain.
///
/// # Errors
/// `permission_denied`, `unknown_node`, or `conflict` when it is being removed.
pub fn cordon(state: &State, who: &Principal, node: &str) -> Result<Command, ApiError> {
    let row = staying(state, who, node)?;
    Ok(availability(row, Availability::Cordoned, false))
}

/// The node takes new work again. Ends a drain or a removal; what moved stays where it is.
///
/// # Errors
/// `permission_denied`, `unknown_node`.
pub fn uncordon(state: &State, who: &Principal, node: &str) -> Result<Command, ApiError> {
    let row = member(state, who, node)?;
    Ok(availability(row, Availability::Active, false))
}

/// The node's work moves to others. By force, what cannot move is given up.
///
/// # Errors
/// `permission_denied`, `unknown_node`, `conflict` when it is being removed, or `drain_blocked` with
/// a detail for each replica that cannot move.
pub fn drain(
    state: &State,
    who: &Principal,
    node: &str,
    forced: bool,
) -> Result<Command, ApiError> {
    let row = staying(state, who, node)?;
    refuse_obstacles(state, row, forced)?;
    Ok(availability(row, Availability::Draining, forced))
}

/// The node's work moves to others, then its membership ends. By force, what cannot move is given up,
/// data included.
///
/// # Errors
/// As [`drain`]. That the last member stays is looked at by `apply`.
pub fn remove(
    state: &State,
    who: &Principal,
    node: &str,
    forced: bool,
) -> Result<Command, ApiError> {
    let row = member(state, who, node)?;
    refuse_obstacles(state, row, forced)?;
    Ok(availability(row, Availability::Leaving, forced))
}

/// Other labels.
///
/// # Errors
/// `permission_denied`, `unknown_node`, or `validation_failed` when a label could be named in no
/// constraint.
pub fn label(
    state: &State,
    who: &Principal,
    node: &str,
    set: BTreeMap<String, String>,
    remove: BTreeSet<String>,
) -> Result<Command, ApiError> {
    let row = member(state, who, node)?;
    for (name, value) in &set {
        if !is_word(name) || !is_word(value) {
            return Err(invalid(format!(
                "`{name}={value}` is no label: name and value are not empty, without spaces and \
                 `=` or `!`, and at most {LONGEST_LABEL} characters long"
            )));
        }
    }
    if let Some(both) = set.keys().find(|name| remove.contains(*name)) {
        return Err(invalid(format!("label {both} cannot be set and removed at once")));
    }
    let kept = row.labels.keys().filter(|name| !remove.contains(*name) && !set.contains_key(*name));
    if kept.count() + set.len() > MOST_LABELS {
        return Err(invalid(format!("a node has at most {MOST_LABELS} labels")));
    }
    Ok(Command::LabelNode(LabelNode { node: row.id, set, remove }))
}

/// Whether it can stand on a side of a constraint.
fn is_word(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '=' | '!');
    !text.is_empty() && text.chars().count() <= LONGEST_LABEL && !text.contains(odd)
}

fn refuse_obstacles(state: &State, row: &Node, forced: bool) -> Result<(), ApiError> {
    let obstacles = if forced { Vec::new() } else { scheduler::drain::obstacles(state, row.id) };
    let message = match obstacles.as_slice() {
        [] => return Ok(()),
        [(replica, why)] => format!("{} cannot be emptied: {replica}: {why}", row.name),
        many => format!("{} cannot be emptied: {} replicas cannot move", row.name, many.len()),
    };
    let hint = "`--force` gives them up";
    let error = ApiError::new(ErrorCode::DrainBlocked, message).with("hint", hint);
    Err(obstacles.iter().fold(error, |e, (replica, why)| e.with(&replica.to_string(), why)))
}

fn availability(row: &Node, availability: Availability, forced: bool) -> Command {
    Command::SetAvailability(SetAvailability { node: row.id, availability, forced })
}

/// A member, for a caller who may change it.
fn member<'a>(state: &'a State, who: &Principal, node: &str) -> Result<&'a Node, ApiError> {
    permit_role(who, Role::Admin)?;
    let name: NodeName = node.parse()?;
    state
        .node_named(&name)
        .map(|n| &**n)
        .ok_or_else(|| ApiError::new(ErrorCode::UnknownNode, format!("there is no node {name}")))
}

/// A member that is not being removed.
fn staying<'a>(state: &'a State, who: &Principal, node: &str) -> Result<&'a Node, ApiError> {
    let row = member(state, who, node)?;
    if row.availability == Availability::Leaving {
        let message = format!("{} is being removed", row.name);
        let hint = "`jaco node uncordon` ends that";
        return Err(ApiError::new(ErrorCode::Conflict, message).with("hint", hint));
    }
    Ok(row)
}

fn invalid(message: String) -> ApiError {
    ApiError::new(ErrorCode::ValidationFailed, message)
}

#[cfg(test)]
mod tests {
    use jaco_api::model::{ServiceSchedule, Span};

    use super::*;
    use crate::testing::world::{World, service, stateful};

    fn admin() -> Principal {
        Principal {
            identity: "boss".parse().unwrap(),
            role: Role::Admin,
            deployments: Vec::new(),
            allow_privileged: false,
            uid: None,
        }
    }

    fn code(result: Result<Command, ApiError>) -> Option<ErrorCode> {
        result.err().map(|e| e.code)
    }

    /// A node `a` with work, and one that takes no more.
    fn busy() -> World {
        let mut world = World::new(&["a", "b"]);
        world.set_node("b", |n| n.availability = Availability::Cordoned);
        let pack = ServiceSchedule { max_replicas_per_node: 2, ..service(2) };
        let services = [("web", pack, "web:1"), ("db", stateful(1, "shop_data"), "db:1")];
        world.deploy("shop", &services);
        world.settle(&[]);
        world
    }

    #[test]
    fn nodes_are_changed_by_administrators_only() {
        let world = busy();
        let deployer = Principal { role: Role::Deployer, ..admin() };
        for result in [
            cordon(world.state(), &deployer, "a"),
            uncordon(world.state(), &deployer, "a"),
            drain(world.state(), &deployer, "a", true),
            remove(world.state(), &deployer, "a", true),
            label(world.state(), &deployer, "a", BTreeMap::new(), BTreeSet::new()),
        ] {
            assert_eq!(code(result), Some(ErrorCode::PermissionDenied));
        }
        assert_eq!(code(cordon(world.state(), &admin(), "z")), Some(ErrorCode::UnknownNode));
    }

    #[test]
    fn a_drain_that_cannot_be_done_lists_what_is_in_the_way() {
        let mut world = busy();
        let error = drain(world.state(), &admin(), "a", false).unwrap_err();
        assert_eq!(error.code, ErrorCode::DrainBlocked);
        insta::assert_debug_snapshot!(error.details);
        assert_eq!(code(remove(world.state(), &admin(), "a", false)), Some(error.code));
        assert_eq!(code(drain(world.state(), &admin(), "a", true)), None);
        world.set_node("b", |_| {});
        let error = drain(world.state(), &admin(), "a", false).unwrap_err();
        assert_eq!(
            error.message,
            "a cannot be emptied: shop.db.1: its data is on a: volume shop_data"
        );
        assert_eq!(code(drain(world.state(), &admin(), "b", false)), None);
    }

    #[test]
    fn what_is_being_removed_is_only_freed_again() {
        let mut world = busy();
        world.node_availability("a", Availability::Leaving, true);
        world.pass_time(Span::secs(1));
        for result in
            [cordon(world.state(), &admin(), "a"), drain(world.state(), &admin(), "a", true)]
        {
            assert_eq!(code(result), Some(ErrorCode::Conflict));
        }
        let Command::SetAvailability(free) = uncordon(world.state(), &admin(), "a").unwrap() else {
            panic!("another command");
        };
        assert_eq!((free.node, free.availability), (world.node_id("a"), Availability::Active));
    }

    #[test]
    fn labels_are_words_that_a_constraint_can_name() {
        let world = busy();
        let set = |key: &str, value: &str| {
            let set = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            code(label(world.state(), &admin(), "a", set, BTreeSet::from(["old".to_owned()])))
        };
        assert_eq!(set("site.zone", "eu-1"), None);
        for (key, value) in [("", "x"), ("x", ""), ("a b", "x"), ("a", "x y"), ("a=b", "x")] {
            assert_eq!(set(key, value), Some(ErrorCode::ValidationFailed), "{key:?} {value:?}");
        }
        assert_eq!(set("old", "x"), Some(ErrorCode::ValidationFailed));
    }
}

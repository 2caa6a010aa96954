//! Members: what operators want of them.

use std::collections::BTreeMap;

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{Availability, Node, Principal, Role},
};

use super::permit_role;
use crate::{
    command::{Command, LabelNode, SetAvailability},
    scheduler,
    state::State,
};

/// Most labels of a node.
const MOST_LABELS: usize = 64;
/// Longest key or value of a label.
const LONGEST_LABEL: usize = 128;

/// Why replicas of a node cannot move, a line each.
#[must_use]
pub fn obstacles(state: &State, node: &Node) -> Vec<String> {
    let found = scheduler::drain::obstacles(state, node.id);
    found.into_iter().map(|(replica, why)| format!("{replica}: {why}")).collect()
}

/// Whether a caller may have nodes look at themselves, and put right what they find.
///
/// # Errors
/// `permission_denied`: a repair changes nodes, looking does not.
pub fn diagnose(who: &Principal, repair: bool) -> Result<(), ApiError> {
    if !repair {
        return permit_role(who, Role::Viewer);
    }
    permit_role(who, Role::Admin).map_err(|refusal| {
        refusal.with("hint", "`jaco doctor --no-repair` looks and changes nothing")
    })
}

/// A change of what is wanted of a node. `Active` ends a drain and a removal; what has moved stays
/// where it is.
///
/// # Errors
/// `permission_denied`; `conflict` when it is being removed and that is not to end; `drain_blocked`
/// with a detail for each replica that cannot move, unless forced. That the last member stays is
/// looked at by `apply`.
pub fn make_available(
    state: &State,
    who: &Principal,
    node: &Node,
    availability: Availability,
    forced: bool,
) -> Result<Command, ApiError> {
    permit_role(who, Role::Admin)?;
    let ends = matches!(availability, Availability::Active | Availability::Leaving);
    if node.availability == Availability::Leaving && !ends {
        let message = format!("{} is being removed", node.name);
        let hint = "`jaco node uncordon` ends that";
        return Err(ApiError::new(ErrorCode::Conflict, message).with("hint", hint));
    }
    let empties = matches!(availability, Availability::Draining | Availability::Leaving);
    if empties && !forced {
        refuse_obstacles(state, node)?;
    }
    let forced = forced && empties;
    Ok(Command::SetAvailability(SetAvailability { node: node.id, availability, forced }))
}

fn refuse_obstacles(state: &State, node: &Node) -> Result<(), ApiError> {
    let obstacles = scheduler::drain::obstacles(state, node.id);
    let message = match obstacles.as_slice() {
        [] => return Ok(()),
        [(replica, why)] => format!("{} cannot be emptied: {replica}: {why}", node.name),
        many => format!("{} replicas of {} cannot move", many.len(), node.name),
    };
    let error = ApiError::new(ErrorCode::DrainBlocked, message)
        .with("hint", "--force gives them up; volumes stay on the node");
    Err(obstacles.iter().fold(error, |e, (replica, why)| e.with(&replica.to_string(), why)))
}

/// Other labels of a node.
///
/// # Errors
/// `permission_denied`, or `validation_failed` for a key or value that no constraint could name.
pub fn label(
    who: &Principal,
    node: &Node,
    set: BTreeMap<String, String>,
    remove: Vec<String>,
) -> Result<Command, ApiError> {
    permit_role(who, Role::Admin)?;
    let invalid = |what: String| Err(ApiError::new(ErrorCode::ValidationFailed, what));
    for key in set.keys().chain(&remove) {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/');
        if key.is_empty() || key.len() > LONGEST_LABEL || !key.bytes().all(fits) {
            return invalid(format!("{key:?} is no key of a label"));
        }
        if set.contains_key(key) && remove.contains(key) {
            return invalid(format!("label {key} cannot be set and removed at once"));
        }
    }
    for (key, value) in &set {
        let odd = |c: char| c.is_control() || c.is_whitespace();
        if value.len() > LONGEST_LABEL || value.contains(odd) {
            return invalid(format!("the value of label {key} is too long or holds spaces"));
        }
    }
    let kept = node.labels.keys().filter(|k| !set.contains_key(*k) && !remove.contains(*k));
    if kept.count() + set.len() > MOST_LABELS {
        return invalid(format!("a node has at most {MOST_LABELS} labels"));
    }
    let remove = remove.into_iter().collect();
    Ok(Command::LabelNode(LabelNode { node: node.id, set, remove }))
}

#[cfg(test)]
mod tests {
    use jaco_api::model::ServiceSchedule;

    use super::*;
    use crate::testing::world::{World, name, service, stateful};

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

    fn want(
        world: &World,
        node: &str,
        wanted: Availability,
        forced: bool,
    ) -> Result<Command, ApiError> {
        let row = world.state().node_named(&name(node)).unwrap();
        make_available(world.state(), &admin(), row, wanted, forced)
    }

    /// A node `a` with work, and one that takes no more.
    fn busy() -> World {
        let mut world = World::new(&["a", "b"]);
        world.set_node("b", |n| n.availability = Availability::Cordoned);
        let web = ServiceSchedule { max_replicas_per_node: 2, ..service(2) };
        world.deploy("shop", &[("web", web, "web:1"), ("db", stateful(1, "shop_data"), "db:1")]);
        world.settle(&[]);
        world
    }

    #[test]
    fn nodes_are_changed_by_administrators_only() {
        let world = busy();
        let deployer = Principal { role: Role::Deployer, ..admin() };
        let row = world.state().node_named(&name("a")).unwrap();
        for result in [
            make_available(world.state(), &deployer, row, Availability::Active, false),
            make_available(world.state(), &deployer, row, Availability::Leaving, true),
            label(&deployer, row, BTreeMap::new(), Vec::new()),
        ] {
            assert_eq!(code(result), Some(ErrorCode::PermissionDenied));
        }
    }

    #[test]
    fn anybody_may_have_nodes_look_at_themselves_and_administrators_have_them_repaired() {
        for role in [Role::Viewer, Role::Deployer, Role::Admin] {
            let who = Principal { role, ..admin() };
            diagnose(&who, false).unwrap();
            let repair = diagnose(&who, true);
            assert_eq!(repair.is_ok(), role == Role::Admin, "{role:?}");
            if let Err(refusal) = repair {
                assert_eq!(refusal.code, ErrorCode::PermissionDenied);
                assert!(refusal.details["hint"].contains("--no-repair"), "{refusal:?}");
            }
        }
    }

    #[test]
    fn a_drain_that_cannot_be_done_lists_what_is_in_the_way() {
        use Availability::{Draining, Leaving};
        let mut world = busy();
        let error = want(&world, "a", Draining, false).unwrap_err();
        assert_eq!(error.code, ErrorCode::DrainBlocked);
        insta::assert_debug_snapshot!(error.details);
        assert_eq!(code(want(&world, "a", Leaving, false)), Some(error.code));
        assert_eq!(code(want(&world, "a", Draining, true)), None);
        world.set_node("b", |_| {});
        let error = want(&world, "a", Draining, false).unwrap_err();
        assert_eq!(
            error.message,
            "a cannot be emptied: shop.db.1: its data is on a: volume shop_data"
        );
        assert_eq!(code(want(&world, "b", Draining, false)), None);
    }

    #[test]
    fn what_is_being_removed_is_only_freed_again() {
        use Availability::{Active, Cordoned, Draining, Leaving};
        let mut world = busy();
        world.node_availability("a", Leaving, false);
        assert_eq!(code(want(&world, "a", Cordoned, false)), Some(ErrorCode::Conflict));
        assert_eq!(code(want(&world, "a", Draining, true)), Some(ErrorCode::Conflict));
        assert_eq!(code(want(&world, "a", Leaving, true)), None, "now by force");
        let Command::SetAvailability(free) = want(&world, "a", Active, true).unwrap() else {
            panic!("another command");
        };
        assert_eq!((free.availability, free.forced), (Active, false));
    }

    #[test]
    fn labels_are_words_that_a_constraint_can_name() {
        let world = busy();
        let set = |key: &str, value: &str| {
            let set = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            let row = world.state().node_named(&name("a")).unwrap();
            code(label(&admin(), row, set, vec!["old".to_owned()]))
        };
        assert_eq!(set("site.zone", "eu-1"), None);
        for (key, value) in [("", "x"), ("a b", "x"), ("a", "x y"), ("a=b", "x"), ("old", "x")] {
            assert_eq!(set(key, value), Some(ErrorCode::ValidationFailed), "{key:?} {value:?}");
        }
    }
}

//! Members: what operators want of them.

use std::collections::BTreeMap;

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{Availability, Node, Principal, Role},
};

use super::permit_role;
use crate::{
    command::{Command, LabelNode, SetAvailability},
    state::State,
};

/// Most labels of a node.
const MOST_LABELS: usize = 64;
/// Longest key or value of a label.
const LONGEST_LABEL: usize = 128;

/// Why replicas of a node cannot move, a line each.
#[must_use]
pub fn obstacles(state: &State, node: &Node) -> Vec<String> {
    let stays = state.replicas_on(node.id).filter_map(|replica| {
        let schedule = &state.service_of(replica)?.schedule;
        (schedule.stateful && !schedule.is_global())
            .then(|| format!("{}: its data is on {}", replica.id, node.name))
    });
    stays.collect()
}

/// A change of what is wanted of a node.
///
/// # Errors
/// `permission_denied`, or `drain_blocked` with the replicas that cannot move, unless forced.
pub fn make_available(
    state: &State,
    who: &Principal,
    node: &Node,
    availability: Availability,
    forced: bool,
) -> Result<Command, ApiError> {
    permit_role(who, Role::Admin)?;
    let empties = matches!(availability, Availability::Draining | Availability::Leaving);
    if empties && !forced {
        let obstacles = obstacles(state, node);
        if !obstacles.is_empty() {
            let message = format!("{} replicas of {} cannot move", obstacles.len(), node.name);
            let error = ApiError::new(ErrorCode::DrainBlocked, message)
                .with("hint", "--force gives them up; volumes stay on the node");
            return Err(obstacles.iter().enumerate().fold(error, |error, (n, obstacle)| {
                error.with(&format!("replica {}", n + 1), obstacle)
            }));
        }
    }
    let forced = forced && empties;
    Ok(Command::SetAvailability(SetAvailability { node: node.id, availability, forced }))
}

/// Other labels of a node.
///
/// # Errors
/// `permission_denied`, or `validation_failed` for a key or value that is none.
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
    }
    for (key, value) in &set {
        if value.len() > LONGEST_LABEL || value.chars().any(char::is_control) {
            return invalid(format!("the value of label {key} does not fit"));
        }
    }
    if node.labels.len() + set.len() > MOST_LABELS {
        return invalid(format!("a node has at most {MOST_LABELS} labels"));
    }
    let remove = remove.into_iter().collect();
    Ok(Command::LabelNode(LabelNode { node: node.id, set, remove }))
}

//! What becomes of a replica whose node is lost: down, or without a working container engine.
//!
//! In: the replica, its service and its node. Out: when it is replaced on another node, or why it
//! waits for its own. `plan` acts on it, `summary` tells it.

use std::time::Duration;

use jaco_api::model::{
    Node, NodeCondition, Placement, Replica, RestartCondition, ServiceSchedule, Settings, Span,
    Timestamp,
};

use super::Readings;

/// How much longer than others a singleton waits. A node that is cut off kills its singletons by its
/// own monotonic clock 3 s after it asked for the last lease that it was granted; the leader declares
/// it down 4 s after it was asked. So the copy is gone by then; these 5 s are for an engine that is
/// slow to kill it.
pub const FENCE_MARGIN: Duration = Duration::from_secs(5);

/// What becomes of a replica on a lost node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is replaced on another node from this time on.
    Moves(Timestamp),
    /// It waits for its node.
    Waits(Tie),
}

/// What ties a replica to a lost node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tie {
    /// Its data is there.
    Data,
    /// Its placement names its hosts.
    Hosts,
    /// It is that node's replica of a global service.
    Global,
    /// Nobody can tell whether a singleton still runs there.
    Unfenced,
    /// It is a run that is never started again.
    Once,
}

/// What becomes of a replica; nothing when its node is there, or when it has ended anyway.
#[must_use]
pub fn fate(
    replica: &Replica,
    schedule: &ServiceSchedule,
    placement: &Placement,
    node: &Node,
    settings: &Settings,
    readings: &Readings,
) -> Option<Fate> {
    if node.condition.holds_replicas() || replica.has_ended() {
        return None;
    }
    let tie = match placement {
        Placement::Global => Some(Tie::Global),
        _ if schedule.is_tied() => Some(Tie::Data),
        Placement::Hosts(_) => Some(Tie::Hosts),
        _ if replica.tick.is_some() && schedule.restart.condition == RestartCondition::None => {
            Some(Tie::Once)
        }
        _ if schedule.singleton && node.condition != NodeCondition::Down => Some(Tie::Unfenced),
        Placement::Spread | Placement::Pack => None,
    };
    Some(match tie {
        Some(tie) => Fate::Waits(tie),
        None if schedule.singleton => {
            Fate::Moves(cut_off_until(node, schedule, settings, readings))
        }
        None => {
            let grace = grace(schedule, settings).to_std();
            Fate::Moves(readings.lost_since(node).after(grace))
        }
    })
}

/// How long a replica's node may be lost before it is replaced.
#[must_use]
pub fn grace(schedule: &ServiceSchedule, settings: &Settings) -> Span {
    schedule.reschedule_after.unwrap_or(settings.node_down_grace)
}

/// When a singleton on a node that is down may be started elsewhere.
pub(super) fn cut_off_until(
    node: &Node,
    schedule: &ServiceSchedule,
    settings: &Settings,
    readings: &Readings,
) -> Timestamp {
    let grace = grace(schedule, settings).to_std();
    readings.certainly_lost_since(node).after(grace + FENCE_MARGIN)
}

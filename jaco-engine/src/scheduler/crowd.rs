//! Which of too many replicas go first.
//!
//! Placement puts a replica where the fewest are; taking one away undoes that in reverse: of those
//! that are worth the same, first from the largest crowd, by the labels that replicas are spread
//! over and then by node, and there the youngest.

use std::{cmp::Reverse, collections::BTreeMap};

use jaco_api::model::{PlannedService, Replica};

use crate::state::State;

/// The replicas in the order in which they go; those of little `worth` before all others.
pub(super) fn first_to_go<'a, W: Ord>(
    state: &State,
    planned: &PlannedService,
    replicas: &[&'a Replica],
    worth: impl Fn(&Replica) -> W,
) -> Vec<&'a Replica> {
    let labels = &planned.schedule.spread_over;
    // From the smallest group to the largest: the rank of each replica in its node, then in the
    // nodes with the same values of all labels, then of all but the last, and so on.
    let mut ranks: Vec<Vec<usize>> = vec![Vec::new(); replicas.len()];
    rank(replicas, &worth, &mut ranks, |r| (r.node.0, Vec::new()));
    for depth in (1..=labels.len()).rev() {
        let group = |r: &Replica| {
            let node = state.node(r.node);
            let value = |label| node.and_then(|n| n.labels.get(label)).map(String::as_str);
            (0, labels[..depth].iter().map(value).collect())
        };
        rank(replicas, &worth, &mut ranks, group);
    }
    let mut order: Vec<_> = replicas.iter().copied().zip(ranks).collect();
    order.sort_by_cached_key(|(replica, ranks)| {
        let crowd: Vec<_> = ranks.iter().rev().copied().collect();
        (worth(replica), Reverse(crowd), Reverse(replica.id.slot.clone()))
    });
    order.into_iter().map(|(replica, _)| replica).collect()
}

/// Adds the rank of each replica in its group: those that are to stay longest come first.
fn rank<'a, 's, W: Ord>(
    replicas: &[&'a Replica],
    worth: &impl Fn(&Replica) -> W,
    ranks: &mut [Vec<usize>],
    group: impl Fn(&'a Replica) -> (u64, Vec<Option<&'s str>>),
) {
    let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (at, replica) in replicas.iter().enumerate() {
        groups.entry(group(replica)).or_default().push(at);
    }
    for mut members in groups.into_values() {
        members.sort_by_cached_key(|at| {
            let replica = replicas[*at];
            (Reverse(worth(replica)), ranks[*at].last().copied(), replica.id.slot.clone())
        });
        for (position, at) in members.into_iter().enumerate() {
            ranks[at].push(position);
        }
    }
}

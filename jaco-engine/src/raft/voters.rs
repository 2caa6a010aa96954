//! Who takes which part in the group. Pure.
//!
//! In: the nodes of the state, the group as the leader sees it, who has been reachable. Out: the one
//! next change, in a deterministic order. Voters: 1 of 1 or 2 nodes, 3 of 3 or 4, 5 of 5 or 6, 7 of
//! more. A node that joins follows first; it votes when its log is caught up by the progress of
//! replication. The leader never takes its own vote away while it leads.

use std::collections::BTreeSet;

use jaco_api::model::{Availability, NodeCondition, NodeId, RaftRole};

use super::{
    status::RaftStatus,
    types::{Member, Peer},
};
use crate::state::State;

/// Entries a learner may be behind and still count as caught up.
const CAUGHT_UP: u64 = 64;

/// What the leader knows besides state and group.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Nodes that have been reachable for a while.
    pub steady: BTreeSet<NodeId>,
    /// Voters that have been down for too long to be waited for.
    pub given_up: BTreeSet<NodeId>,
    /// Leaving nodes that have nothing left to move.
    pub emptied: BTreeSet<NodeId>,
}

/// One change of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A node of the state begins to follow.
    Follow(Peer),
    /// A member is reached elsewhere now.
    Relocate(Peer),
    /// These vote from now on.
    Vote(BTreeSet<NodeId>),
    /// A member that does not vote goes.
    Drop(NodeId),
    /// This node leads and is to leave: another voter takes over.
    HandOver(NodeId),
    /// A node has left the group and leaves the cluster.
    Remove(NodeId),
}

/// How many of so many nodes vote.
#[must_use]
pub fn voters_of(nodes: usize) -> usize {
    match nodes {
        0..=2 => 1,
        3..=4 => 3,
        5..=6 => 5,
        _ => 7,
    }
}

/// The next change, if one is due.
#[must_use]
pub fn next(state: &State, group: &RaftStatus, me: NodeId, reach: &Reach) -> Option<Change> {
    let view = View { state, group, me, reach };
    view.newcomer()
        .or_else(|| view.moved())
        .or_else(|| view.vote())
        .or_else(|| view.leave())
        .or_else(|| view.stranger())
}

struct View<'a> {
    state: &'a State,
    group: &'a RaftStatus,
    me: NodeId,
    reach: &'a Reach,
}

impl View<'_> {
    fn voters(&self) -> BTreeSet<NodeId> {
        self.group.voters().collect()
    }

    fn is_leaving(&self, id: NodeId) -> bool {
        self.state.node(id).is_none_or(|n| n.availability == Availability::Leaving)
    }

    /// A node that is no member of the group yet.
    fn newcomer(&self) -> Option<Change> {
        let new = |id: &NodeId| !self.group.members.contains_key(id) && !self.is_leaving(*id);
        let node = self.state.nodes().find(|n| new(&n.id))?;
        Some(Change::Follow(Peer { id: node.id, member: Member::of(node) }))
    }

    /// A member whose addresses are others than the group has.
    fn moved(&self) -> Option<Change> {
        self.state.nodes().find_map(|node| {
            let seen = self.group.members.get(&node.id)?;
            let now = Member::of(node);
            (seen.member != now).then_some(Change::Relocate(Peer { id: node.id, member: now }))
        })
    }

    /// Whether a learner can be given a vote now.
    fn is_ready(&self, id: NodeId) -> bool {
        let Some(member) = self.group.members.get(&id) else { return false };
        let up = self
            .state
            .node(id)
            .is_some_and(|n| !matches!(n.condition, NodeCondition::Down | NodeCondition::Joining));
        up && !self.is_leaving(id)
            && member.role == RaftRole::Learner
            && member.lag.is_some_and(|lag| lag <= CAUGHT_UP)
            && self.reach.steady.contains(&id)
    }

    fn vote(&self) -> Option<Change> {
        let voters = self.voters();
        let stay = self.state.nodes().filter(|n| n.availability != Availability::Leaving);
        let target = voters_of(stay.count());
        let mut ready = self.group.members.keys().filter(|id| self.is_ready(**id)).copied();
        if self.me_leaves() {
            // Somebody has to take over; whoever that is goes on from there.
            let heir = ready.next().filter(|_| voters.len() == 1)?;
            return Some(Change::Vote(voters.into_iter().chain([heir]).collect()));
        }
        // A voter that leaves, or is given up, makes room for one that can.
        let gone = |id: &NodeId| {
            *id != self.me
                && (self.is_leaving(*id) && self.reach.emptied.contains(id)
                    || self.state.node(*id).is_none())
        };
        if let Some(out) = voters.iter().find(|id| gone(id)) {
            let mut next = voters.clone();
            next.remove(out);
            next.extend(ready.next());
            return self.odd(next, target).map(Change::Vote);
        }
        // One that is down stays until there is another: it may come back.
        let given_up = voters.iter().find(|id| self.reach.given_up.contains(id));
        if let Some((out, heir)) = given_up.zip(ready.clone().next()) {
            let next = voters.iter().copied().filter(|id| id != out).chain([heir]);
            return Some(Change::Vote(next.collect()));
        }
        if voters.len() < target {
            let next: BTreeSet<_> = voters.iter().copied().chain(ready).take(target).collect();
            return self.odd(next, target).filter(|n| n.len() > voters.len()).map(Change::Vote);
        }
        if voters.len() > target {
            return self.odd(voters.clone(), target).filter(|n| *n != voters).map(Change::Vote);
        }
        None
    }

    /// At most `target` voters and an odd number of them: surplus ones go, those that leave or are
    /// down first, then the youngest; never this node.
    fn odd(&self, mut voters: BTreeSet<NodeId>, target: usize) -> Option<BTreeSet<NodeId>> {
        while voters.len() > target || voters.len() > 1 && voters.len().is_multiple_of(2) {
            let is_down = |id: &NodeId| {
                self.state.node(*id).is_none_or(|n| n.condition == NodeCondition::Down)
            };
            let others = voters.iter().copied().filter(|id| *id != self.me);
            let out = others.max_by_key(|id| (self.is_leaving(*id), is_down(id), *id))?;
            voters.remove(&out);
        }
        (!voters.is_empty()).then_some(voters)
    }

    fn me_leaves(&self) -> bool {
        self.is_leaving(self.me) && self.reach.emptied.contains(&self.me)
    }

    /// A node that is to leave and has nothing left goes: leadership first, then its part in the
    /// group, then its row.
    fn leave(&self) -> Option<Change> {
        let voters = self.voters();
        if self.me_leaves() {
            let heir = voters.iter().copied().find(|id| {
                *id != self.me && !self.is_leaving(*id) && self.reach.steady.contains(id)
            })?;
            return Some(Change::HandOver(heir));
        }
        let leaving = self.state.nodes().filter(|n| n.availability == Availability::Leaving);
        leaving.map(|n| n.id).filter(|id| self.reach.emptied.contains(id)).find_map(|id| match self
            .group
            .members
            .contains_key(&id)
        {
            true => (!voters.contains(&id)).then_some(Change::Drop(id)),
            false => Some(Change::Remove(id)),
        })
    }

    /// A member of the group that is no node any more.
    fn stranger(&self) -> Option<Change> {
        let voters = self.voters();
        let gone = |id: &&NodeId| self.state.node(**id).is_none() && !voters.contains(*id);
        self.group.members.keys().find(gone).map(|id| Change::Drop(*id))
    }
}

#[cfg(test)]
mod tests;

//! What this node knows of the group.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jaco_api::model::{NodeId, RaftRole};
use openraft::{Instant as _, ServerState};
use tokio::time::Instant;

use super::{
    contacts::Contacts,
    error::RaftError,
    types::{C, Member},
};

pub(super) type Metrics = openraft::RaftMetrics<C>;

/// The group as this node sees it. It changes only when something happens: an idle group has one
/// and the same status for hours.
#[derive(Debug, Clone, Default)]
pub struct RaftStatus {
    /// Whether the group was formed or joined.
    pub initialized: bool,
    /// Who leads, as far as is known here.
    pub leader: Option<NodeId>,
    /// Whether this node leads, has applied everything its predecessors committed, and heard of a
    /// majority within the lease.
    pub is_leader: bool,
    /// The term.
    pub term: u64,
    /// Last entry known to be committed.
    pub commit: u64,
    /// Last entry applied here.
    pub applied: u64,
    /// Last entry in the newest snapshot.
    pub snapshot: u64,
    /// Whether everything that was committed when this node started is applied: before that, nobody
    /// may act on its state.
    pub caught_up: bool,
    /// Members in the order of their numbers.
    pub members: BTreeMap<NodeId, MemberStatus>,
    /// Why nothing is applied or written any more.
    pub fault: Option<Arc<RaftError>>,
}

/// One member of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// Who it is and where it is reached.
    pub member: Member,
    /// What it does in the group.
    pub role: RaftRole,
    /// Entries it is behind; known to the leader.
    pub lag: Option<u64>,
}

impl RaftStatus {
    /// Voters in the order of their numbers.
    pub fn voters(&self) -> impl Iterator<Item = NodeId> {
        self.members.iter().filter(|(_, m)| m.role != RaftRole::Learner).map(|(id, _)| *id)
    }
}

impl PartialEq for RaftStatus {
    fn eq(&self, other: &Self) -> bool {
        let key = |s: &Self| {
            (s.initialized, s.leader, s.is_leader, s.term, s.commit, s.applied, s.snapshot)
        };
        key(self) == key(other)
            && self.caught_up == other.caught_up
            && self.members == other.members
            && self.fault.is_some() == other.fault.is_some()
    }
}

/// Derives the status from openraft's metrics.
pub(super) fn status(
    metrics: &Metrics,
    lease: Duration,
    caught_up: bool,
    fault: Option<Arc<RaftError>>,
) -> RaftStatus {
    let index = |id: Option<super::types::LogId>| id.map_or(0, |id| id.index);
    let membership = metrics.membership_config.membership();
    let voters: BTreeSet<u64> = membership.voter_ids().collect();
    let role = |id: u64| match id {
        _ if metrics.current_leader == Some(id) => RaftRole::Leader,
        _ if voters.contains(&id) => RaftRole::Voter,
        _ => RaftRole::Learner,
    };
    let members = membership.nodes().map(|(id, member)| {
        let lag = lag(metrics, *id);
        (NodeId(*id), MemberStatus { member: member.clone(), role: role(*id), lag })
    });
    RaftStatus {
        initialized: metrics.last_log_index.is_some() || metrics.last_applied.is_some(),
        leader: metrics.current_leader.map(NodeId),
        is_leader: fault.is_none() && leads(metrics, &voters, lease),
        term: metrics.current_term,
        commit: index(metrics.local_committed),
        applied: index(metrics.last_applied),
        snapshot: index(metrics.snapshot),
        caught_up,
        members: members.collect(),
        fault,
    }
}

fn lag(metrics: &Metrics, id: u64) -> Option<u64> {
    let last = metrics.last_log_index?;
    if id == metrics.id {
        return (metrics.state == ServerState::Leader).then_some(0);
    }
    let matched = metrics.replication.as_ref()?.get(&id)?.as_ref()?;
    Some(last.saturating_sub(matched.index))
}

/// Whether this node leads beyond doubt: its own term's first entry is applied, so the state holds
/// everything committed before, and a majority has acknowledged it within the lease.
fn leads(metrics: &Metrics, voters: &BTreeSet<u64>, lease: Duration) -> bool {
    let applied_own = metrics.last_applied.is_some_and(|id| id.leader_id == metrics.vote.leader_id);
    let alone = voters.len() == 1 && voters.contains(&metrics.id);
    let confirmed = alone || metrics.last_quorum_acked.is_some_and(|at| at.elapsed() < lease);
    metrics.state == ServerState::Leader && applied_own && confirmed
}

/// Since when too few voters answer to form a majority with this node.
pub(super) fn minority_since(
    metrics: &Metrics,
    me: NodeId,
    contacts: &Contacts,
) -> Option<Instant> {
    let configs = metrics.membership_config.membership().get_joint_config();
    configs.iter().filter_map(|voters| contacts.minority_since(voters, me)).min()
}

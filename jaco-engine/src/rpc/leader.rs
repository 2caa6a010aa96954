//! Handing leadership over.

use std::time::Duration;

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{NodeId, NodeName, RaftRole},
};

use super::Membership;
use crate::raft::{Ask, Told};

/// How long another voter may take to lead.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the leader to hand over to a voter, or to whichever is up to date; waits until that one
/// leads.
pub(crate) async fn transfer(membership: &Membership, to: &str) -> Result<NodeName, ApiError> {
    let state = membership.state.newest();
    let status = membership.raft.status().borrow().clone();
    let wanted = match to {
        "" => None,
        name => {
            let node = name.parse::<NodeName>().ok().and_then(|n| state.node_named(&n).cloned());
            let unknown =
                || ApiError::new(ErrorCode::UnknownNode, format!("there is no node {name}"));
            Some(node.ok_or_else(unknown)?.id)
        }
    };
    let heir = match wanted {
        Some(id) if status.leader == Some(id) => return name_of(membership, id),
        Some(id) if status.members.get(&id).is_some_and(|m| m.role == RaftRole::Voter) => id,
        Some(id) => {
            let message = format!("{} does not vote, so it cannot lead", name_of(membership, id)?);
            return Err(ApiError::new(ErrorCode::Conflict, message)
                .with("hint", "`jaco cluster status` shows the voters"));
        }
        None => status
            .members
            .iter()
            .filter(|(_, m)| m.role == RaftRole::Voter)
            .min_by_key(|(id, m)| (m.lag.unwrap_or(u64::MAX), **id))
            .map(|(id, _)| *id)
            .ok_or_else(|| ApiError::new(ErrorCode::Conflict, "no other node votes"))?,
    };
    let told = membership.raft.ask_leader(Ask::HandOver(heir), PATIENCE).await?;
    if !matches!(told, Told::HandingOver) {
        return Err(ApiError::new(ErrorCode::Internal, "an answer to another question"));
    }
    let mut status = membership.raft.status();
    let leads = status.wait_for(|s| s.leader == Some(heir));
    match tokio::time::timeout(PATIENCE, leads).await {
        Ok(Ok(_)) => name_of(membership, heir),
        _ => Err(ApiError::new(
            ErrorCode::NoLeader,
            format!("{} did not take over in time", name_of(membership, heir)?),
        )),
    }
}

fn name_of(membership: &Membership, id: NodeId) -> Result<NodeName, ApiError> {
    let state = membership.state.newest();
    let unknown = || ApiError::new(ErrorCode::UnknownNode, format!("there is no node {id}"));
    state.node(id).map(|n| n.name.clone()).ok_or_else(unknown)
}

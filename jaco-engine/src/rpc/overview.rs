//! What the leader knows of the members that is in nobody's state: how far behind they are, when they
//! were heard of, what they are loaded with.

use std::{collections::BTreeMap, time::Duration};

use jaco_api::{model::NodeId, pb};

use super::Membership;
use crate::raft::{Ask, Told};

/// How long the leader may take: whoever asks is shown the rest without it.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is known of each member.
pub(crate) type Known = BTreeMap<NodeId, pb::MemberView>;

/// Asks the leader; nothing is known while it does not answer.
pub(crate) async fn of(membership: &Membership) -> Known {
    match membership.raft.ask_leader(Ask::Overview, PATIENCE).await {
        Ok(Told::Overview(reply)) => {
            reply.members.into_iter().map(|view| (NodeId(view.id), view)).collect()
        }
        Ok(_) => Known::new(),
        Err(error) => {
            tracing::debug!(%error, "the leader did not tell what it knows");
            Known::new()
        }
    }
}

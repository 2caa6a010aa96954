//! Members, as `jaco cluster status` and `jaco node list` show them.

use jaco_api::model::{MemberStatus, Node, NodeStatus, RaftRole};

/// What the state knows of a member. Its part in raft, its lag and when it was last heard of are
/// not in the state: the caller adds what it knows of them.
#[must_use]
pub fn member(node: &Node) -> MemberStatus {
    MemberStatus {
        id: node.id,
        name: node.name.clone(),
        address: node.facts.api_addr,
        status: node.status,
        reason: node.reason.clone().or_else(|| why(node.status).map(str::to_owned)),
        role: RaftRole::Learner,
        lag: None,
        last_contact_ms: None,
        version: node.facts.version.clone(),
    }
}

/// Why a node in this status takes no work, when it has not said so itself.
fn why(status: NodeStatus) -> Option<&'static str> {
    Some(match status {
        NodeStatus::Ready => return None,
        NodeStatus::Joining => "it has not caught up yet",
        NodeStatus::Cordoned => "it takes no new work until `jaco node uncordon`",
        NodeStatus::Draining => "its replicas are being moved",
        NodeStatus::Degraded => "its container engine does not answer",
        NodeStatus::IsolationUnavailable => "its firewall cannot keep deployments apart",
        NodeStatus::Down => "it is not heard of",
        NodeStatus::Leaving => "it is being removed",
    })
}

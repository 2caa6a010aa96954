//! Joining: a token admits one node, once.
//!
//! The token is consumed, the name is taken and the number is given out in one step of the state
//! machine: of two nodes that come with the same token or under the same name, one is admitted.

use jaco_api::{
    error::ErrorCode,
    model::{
        AuditKind, Availability, Digest, JoinToken, Node, NodeCondition, NodeFacts, NodeId,
        NodeName, NodeStatus,
    },
};

use super::{Outcome, rejection::Rejection};
use crate::state::{Transaction, payload};

/// A new join token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueJoinToken {
    /// The token, known by its hash.
    pub token: JoinToken,
}

/// A node becomes a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmitNode {
    /// Hash of the join token.
    pub token: Digest,
    /// Name of the node.
    pub name: NodeName,
    /// What it says of itself.
    pub facts: NodeFacts,
}

/// Join tokens that are kept; the oldest go first.
const KEPT: usize = 1024;

impl IssueJoinToken {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        if tx.view().join_token(&self.token.hash).is_some() {
            return Err(Rejection::conflict("a join token of this hash was issued before"));
        }
        tx.put_join_token(self.token.clone(), KEPT);
        let facts = payload([
            ("kind", "join".to_owned()),
            ("token", self.token.hash.short()),
            ("expires_at", self.token.expires_at.to_string()),
        ]);
        tx.audit(AuditKind::TokenIssue, facts);
        Ok(Outcome::Done)
    }
}

fn no_mesh_address(tx: &Transaction<'_>) -> Rejection {
    let pool = tx.view().settings().mesh_pool;
    Rejection::new(
        ErrorCode::SubnetPoolExhausted,
        format!("every address for nodes in {pool} is taken"),
    )
    .hint("give nodes more: `jaco cluster set mesh_pool <a larger prefix around it>`")
}

impl AdmitNode {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let token = self.usable_token(tx)?;
        if let Some(member) = tx.view().node_named(&self.name) {
            return Err(Rejection::new(
                ErrorCode::NodeAlreadyMember,
                format!("the cluster has a node {} already, number {}", self.name, member.id),
            ));
        }
        let Some(mesh_address) = tx.view().next_mesh_address() else {
            return Err(no_mesh_address(tx));
        };
        let Some(id) = tx.next_node() else {
            return Err(Rejection::new(ErrorCode::ClusterUninitialized, "there is no cluster"));
        };
        tx.put_join_token(JoinToken { consumed_by: Some(self.name.clone()), ..token }, KEPT);
        tx.put_node(Node {
            id,
            name: self.name.clone(),
            status: NodeStatus::Joining,
            condition: NodeCondition::Joining,
            condition_since: tx.at(),
            reason: None,
            availability: Availability::Active,
            forced: false,
            labels: Default::default(),
            facts: self.facts.clone(),
            joined_at: tx.at(),
            mesh_address: Some(mesh_address),
        });
        tx.audit(AuditKind::NodeJoin, self.audit(id));
        Ok(Outcome::Admitted { node: id })
    }

    fn usable_token(&self, tx: &Transaction<'_>) -> Result<JoinToken, Rejection> {
        let Some(token) = tx.view().join_token(&self.token) else {
            return Err(Rejection::new(
                ErrorCode::JoinTokenInvalid,
                "this join token is not known",
            ));
        };
        if let Some(by) = &token.consumed_by {
            let message = format!("this join token has admitted node {by} already");
            return Err(Rejection::new(ErrorCode::JoinTokenConsumed, message));
        }
        if token.expires_at <= tx.at() {
            let message = format!("this join token expired at {}", token.expires_at);
            return Err(Rejection::new(ErrorCode::JoinTokenExpired, message));
        }
        Ok(JoinToken::clone(token))
    }

    fn audit(&self, id: NodeId) -> std::collections::BTreeMap<String, String> {
        payload([
            ("node", self.name.to_string()),
            ("number", id.to_string()),
            ("address", self.facts.api_addr.to_string()),
            ("token", self.token.short()),
        ])
    }
}

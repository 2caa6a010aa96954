//! What the API asks a node about what it really serves to visitors, and how another node is asked.
//!
//! [`OwnServing`] is a seam to the part of the node that has the proxy and the listeners.

use std::time::Duration;

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{Listener, Node, ServedDomain},
    pb::{self, relay_client::RelayClient},
};

use super::{Api, Membership, relay::relayed};

/// How long a node may take to say what it serves.
const LOOKING: Duration = Duration::from_secs(2);

/// What this node serves to visitors. It is in memory: nothing waits.
pub trait OwnServing: Send + Sync {
    /// Where it listens, or why it does not, by name.
    fn listeners(&self) -> Vec<Listener>;
    /// What it serves for a domain; empty is the domain of routes for every name.
    fn domain(&self, domain: &str) -> ServedDomain;
}

/// What this node answers: the listeners alone, or a domain too.
pub(super) fn of_this_node(api: &Api, domain: Option<&str>) -> ServedDomain {
    match domain {
        Some(domain) => api.serving.domain(domain),
        None => ServedDomain { listeners: api.serving.listeners(), ..ServedDomain::default() },
    }
}

/// What a node serves, wherever it is.
pub(super) async fn of_node(
    api: &Api,
    membership: &Membership,
    node: &Node,
    domain: Option<&str>,
) -> Result<ServedDomain, ApiError> {
    if node.id == membership.id {
        return Ok(of_this_node(api, domain));
    }
    let asked = async {
        let mut client = RelayClient::new(api.peers.channel(node)?);
        let answer = client.serving(pb::RelayServing { domain: domain.map(str::to_owned) }).await;
        let told = answer.map_err(|status| relayed(&node.name, status))?.into_inner();
        told.try_into().map_err(ApiError::from)
    };
    tokio::time::timeout(LOOKING, asked).await.unwrap_or_else(|_| {
        let message = format!("node {} has not answered within {} s", node.name, LOOKING.as_secs());
        Err(ApiError::new(ErrorCode::NodeUnreachable, message))
    })
}

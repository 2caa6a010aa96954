//! What the API asks a node about what it really serves to visitors, and how another node is asked.
//!
//! [`OwnServing`] is a seam to the part of the node that has the proxy and the listeners.

use std::{net::IpAddr, time::Duration};

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{Listener, Node, ServedDomain},
    pb::{self, relay_client::RelayClient},
};

use super::{Api, Membership, Peers, relay::relayed};

/// How long a node may take to say what it serves.
const LOOKING: Duration = Duration::from_secs(2);
/// How long a node waits for visitors to be led elsewhere before it says that they are not.
const LEADING: Duration = Duration::from_secs(1);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(20);

/// What this node serves to visitors. It is in memory: nothing waits.
pub trait OwnServing: Send + Sync {
    /// Where it listens, or why it does not, by name.
    fn listeners(&self) -> Vec<Listener>;
    /// What it serves for a domain; empty is the domain of routes for every name.
    fn domain(&self, domain: &str) -> ServedDomain;
    /// Whether visitors are led elsewhere than to these addresses, as a state of this index or a later one has it, and
    /// none of their requests is under way there. Tunnels and connections of layer 4 are not waited for: they end
    /// when one of their ends wants it.
    fn led_away(&self, addresses: &[IpAddr], index: u64) -> bool;
}

/// Waits until this node leads visitors elsewhere, for a while; whether it does.
pub(crate) async fn led_away(own: &dyn OwnServing, addresses: &[IpAddr], index: u64) -> bool {
    let waiting = async {
        while !own.led_away(addresses, index) {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(LEADING, waiting).await.is_ok()
}

/// The same of another node.
pub(crate) async fn led_away_by(
    peers: &dyn Peers,
    node: &Node,
    addresses: &[IpAddr],
    index: u64,
) -> Result<bool, ApiError> {
    let asked = async {
        let mut client = RelayClient::new(peers.channel(node)?);
        let addresses = addresses.iter().map(IpAddr::to_string).collect();
        let answer = client.led_away(pb::RelayLedAway { addresses, index }).await;
        Ok(answer.map_err(|status| relayed(&node.name, status))?.into_inner().led_away)
    };
    in_time(node, asked).await
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
    in_time(node, asked).await
}

async fn in_time<T>(
    node: &Node,
    asked: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    tokio::time::timeout(LOOKING, asked).await.unwrap_or_else(|_| {
        let message = format!("node {} has not answered within {} s", node.name, LOOKING.as_secs());
        Err(ApiError::new(ErrorCode::NodeUnreachable, message))
    })
}

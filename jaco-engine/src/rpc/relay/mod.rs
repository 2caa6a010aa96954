//! Passing on to the node that has the replica.
//!
//! In: what an operator asked this node for. Out: the answer of the node that can give it, message
//! by message. The caller was authenticated, permitted and noted in the audit log before; the
//! [`RelayHeader`](pb::RelayHeader) says in whose name the other node acts. Nothing is retried
//! here, and nothing is looked into.

mod far;
mod peers;
mod pipe;

use std::io;

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{Actor, Node, NodeName, ReplicaId},
    pb,
};
use tonic::{Code, Status, transport::Channel};

pub(crate) use far::Relay;
pub(super) use pipe::{Upstream, pass_back, pass_on};

/// Connections to other members.
pub trait Peers: Send + Sync {
    /// A connection to a member's API port for streams, which may be slow readers: calls of the
    /// log must not wait behind them. It is made when it is first used.
    ///
    /// # Errors
    /// `node_unreachable` when this node cannot show who it is.
    fn channel(&self, to: &Node) -> Result<Channel, ApiError>;
}

/// In whose name another node acts, and on which container.
pub(super) fn header(actor: &Actor, replica: &ReplicaId, container: &str) -> pb::RelayHeader {
    pb::RelayHeader {
        identity: actor.identity.to_string(),
        uid: actor.uid,
        node: actor.node.as_ref().map(NodeName::to_string).unwrap_or_default(),
        replica: replica.to_string(),
        container: container.to_owned(),
    }
}

/// The failure of a call to another node, as the caller is told it: what the node itself answered,
/// or that it does not answer.
pub(super) fn relayed(node: &NodeName, status: Status) -> ApiError {
    if !status.details().is_empty() {
        return ApiError::from(status);
    }
    if status.code() == Code::Unimplemented {
        let message = format!("node {node} runs a version that cannot do this");
        return ApiError::new(ErrorCode::VersionMismatch, message);
    }
    let cause = cause(&status);
    ApiError::new(ErrorCode::NodeUnreachable, format!("node {node} does not answer: {cause}"))
}

/// What really happened, below what wraps it.
fn cause(status: &Status) -> String {
    let mut deepest: &dyn std::error::Error = status;
    while let Some(next) = deepest.source() {
        deepest = next;
        // What TLS says of it is a manual page.
        if let Some(io) = next.downcast_ref::<io::Error>()
            && io.kind() == io::ErrorKind::UnexpectedEof
        {
            return "the connection broke off".to_owned();
        }
    }
    match std::error::Error::source(status) {
        None => status.message().to_owned(),
        Some(_) => deepest.to_string(),
    }
}

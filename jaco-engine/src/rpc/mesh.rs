//! What the API asks a node about its own end of the mesh, and how another node is asked.
//!
//! [`OwnMesh`] is a seam to the part of the node that has the device and the key. Whether the caller may was
//! decided before.

use std::time::Duration;

use async_trait::async_trait;
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{Actor, MeshKeyRotation, MeshStatus, Node},
    pb::{self, relay_client::RelayClient},
};
use tonic::Response;

use super::{Api, Membership, relay::relayed};

/// How long a node may take to say how its tunnels are.
const LOOKING: Duration = Duration::from_secs(2);
/// How long it may take to have another key.
const ROTATING: Duration = Duration::from_secs(18);

/// This node's end of the mesh.
#[async_trait]
pub trait OwnMesh: Send + Sync {
    /// How it is now.
    ///
    /// # Errors
    /// `validation_failed` when this node has no mesh; what the device says.
    async fn status(&self) -> Result<MeshStatus, ApiError>;
    /// Gives it a new private key, in the name of `by`, and waits until the tunnels are made with it.
    ///
    /// # Errors
    /// `validation_failed` when this node has no mesh. `no_leader` when the cluster does not take up the
    /// new key: then the former one stays in use until it does.
    async fn rotate_key(&self, by: Actor) -> Result<MeshKeyRotation, ApiError>;
}

/// How a node's end of the mesh is, wherever the node is.
pub(super) async fn status(
    api: &Api,
    membership: &Membership,
    node: &Node,
) -> Result<pb::MeshStatus, ApiError> {
    let asked = async {
        if node.id == membership.id {
            return api.mesh.status().await.map(Into::into);
        }
        let mut client = RelayClient::new(api.peers.channel(node)?);
        let answer = client.mesh(pb::RelayMesh {}).await;
        answer.map(Response::into_inner).map_err(|status| relayed(&node.name, status))
    };
    within(LOOKING, node, asked).await
}

/// Gives a node another key, wherever it is.
pub(super) async fn rotate_key(
    api: &Api,
    membership: &Membership,
    node: &Node,
    by: Actor,
) -> Result<pb::MeshKeyRotation, ApiError> {
    let asked = async {
        if node.id == membership.id {
            return api.mesh.rotate_key(by).await.map(Into::into);
        }
        let mut client = RelayClient::new(api.peers.channel(node)?);
        let answer =
            client.rotate_mesh_key(pb::RelayRotateMeshKey { actor: Some(by.into()) }).await;
        answer.map(Response::into_inner).map_err(|status| relayed(&node.name, status))
    };
    within(ROTATING, node, asked).await
}

async fn within<T>(
    limit: Duration,
    node: &Node,
    asked: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    tokio::time::timeout(limit, asked).await.unwrap_or_else(|_| {
        let message = format!("node {} has not answered within {} s", node.name, limit.as_secs());
        Err(ApiError::new(ErrorCode::NodeUnreachable, message))
    })
}

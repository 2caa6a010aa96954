//! This node's end of the mesh, for whoever asks how it is or wants it to have another key.
//!
//! In: the device, the key, what the members are, the newest state. Out: a status by names, or a new key in
//! force. It waits and brings about; which key the device takes is decided in [`Keys`](super::mesh_key::Keys).

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{Actor, Fabric, MeshKey, MeshKeyRotation, MeshStatus, NodeName},
};
use tokio::{
    sync::{Mutex, watch},
    time::timeout,
};

use super::{
    mesh_key::OwnKey,
    plane::{Mesh, meshed},
};
use crate::{
    rpc::{Membership, OwnMesh},
    state::State,
};

/// How long the cluster may take to learn of a new key.
const LEARNING: Duration = Duration::from_secs(10);
/// How long the device may take to take it then.
const TAKING: Duration = Duration::from_secs(5);

/// This node's end of the mesh while it is a member.
pub(crate) struct MeshEnd {
    pub(crate) mesh: Mesh,
    pub(crate) key: Arc<OwnKey>,
    pub(crate) membership: Arc<Membership>,
    pub(crate) fabric: watch::Receiver<Option<Arc<Fabric>>>,
    /// The key that the device was given last.
    pub(crate) taken: watch::Receiver<Option<MeshKey>>,
    /// One rotation at a time.
    pub(crate) rotating: Mutex<()>,
}

/// Where the agents of a member publish it; empty while there is no membership.
pub(crate) type MeshSlot = watch::Receiver<Option<Arc<MeshEnd>>>;

impl MeshEnd {
    /// How it is now.
    ///
    /// # Errors
    /// `internal` when the device cannot be asked.
    pub(crate) async fn status(&self) -> Result<MeshStatus, ApiError> {
        let held = self.mesh.device.peers().await.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let failed = ApiError::new(ErrorCode::Internal, error.to_string());
            cause.iter().fold(failed, |failed, cause| failed.with("cause", cause))
        })?;
        let fabric = self.fabric.borrow().clone();
        let own = self.taken.borrow().unwrap_or_else(|| self.key.public());
        Ok(meshed(fabric.as_deref(), &self.mesh, own, &held))
    }

    /// Makes a new key and waits until it is in force. A rotation that was interrupted before the cluster
    /// had learned of its key is gone on with.
    async fn rotate(&self, by: Actor) -> Result<MeshKeyRotation, ApiError> {
        let _alone = self.rotating.lock().await;
        let name = &self.membership.name;
        let mut state = self.membership.state.subscribe();
        // A member that has just joined may be about to tell it.
        let known_at_all = state.wait_until(|state| known(state, &self.membership).is_some());
        let _ = timeout(LEARNING, known_at_all).await;
        let former = known(&self.membership.state.newest(), &self.membership).ok_or_else(|| {
            let message = format!("the cluster does not know the mesh key of {name} yet");
            ApiError::new(ErrorCode::Conflict, message)
        })?;
        if former == self.key.public() {
            self.key.renew(by).await.map_err(|error| {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                let failed = ApiError::new(ErrorCode::Internal, error.to_string());
                cause.iter().fold(failed, |failed, cause| failed.with("cause", cause))
            })?;
        }
        let public_key = self.key.public();
        let learned = state.wait_until(|state| known(state, &self.membership) == Some(public_key));
        if !matches!(timeout(LEARNING, learned).await, Ok(Ok(_))) {
            let message = format!(
                "{name} has a new mesh key that the cluster has not taken up within {} s",
                LEARNING.as_secs()
            );
            let hint = "the former key stays in use until it has, which needs no further command";
            return Err(ApiError::new(ErrorCode::NoLeader, message).with("hint", hint));
        }
        let mut taken = self.taken.clone();
        let holds = taken.wait_for(|taken| *taken == Some(public_key));
        if !matches!(timeout(TAKING, holds).await, Ok(Ok(_))) {
            let message = format!("the mesh interface of {name} has not taken its new key");
            let hint = format!("it is tried again by itself; `jaco doctor {name}` says how it is");
            return Err(ApiError::new(ErrorCode::Internal, message).with("hint", hint));
        }
        self.key.settle();
        Ok(MeshKeyRotation { node: name.clone(), former, public_key })
    }
}

/// The key of this node as the members know it.
fn known(state: &State, membership: &Membership) -> Option<MeshKey> {
    Some(state.node(membership.id)?.facts.mesh.as_ref()?.public_key)
}

/// What the API asks.
pub(crate) struct NodeMesh {
    pub(crate) node: NodeName,
    /// Whether this node has an end of the mesh at all.
    pub(crate) meshed: bool,
    pub(crate) end: MeshSlot,
}

impl NodeMesh {
    fn end(&self) -> Result<Arc<MeshEnd>, ApiError> {
        let hint = "`mesh: off` is in its jacod.yaml";
        if !self.meshed {
            let message = format!("node {} has no mesh", self.node);
            return Err(ApiError::new(ErrorCode::ValidationFailed, message).with("hint", hint));
        }
        self.end.borrow().clone().ok_or_else(|| {
            let message = format!("the mesh of {} is not kept at the moment", self.node);
            ApiError::new(ErrorCode::Conflict, message)
        })
    }
}

#[async_trait]
impl OwnMesh for NodeMesh {
    async fn status(&self) -> Result<MeshStatus, ApiError> {
        self.end()?.status().await
    }
    async fn rotate_key(&self, by: Actor) -> Result<MeshKeyRotation, ApiError> {
        let end = self.end()?;
        // To its end, also when the caller goes away.
        let rotating = tokio::spawn(async move { end.rotate(by).await });
        rotating.await.unwrap_or_else(|error| {
            Err(ApiError::new(ErrorCode::Internal, "the rotation broke off").with("cause", error))
        })
    }
}

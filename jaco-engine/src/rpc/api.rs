//! What every service works with.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{Actor, ClusterId, Identity, NodeId, NodeName, Principal},
};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use zeroize::Zeroizing;

use super::{Containers, Doctor, LogSource, OwnMesh, OwnServing, Peers};
use crate::{
    admission::Attempts,
    clock::Clock,
    command::{Command, Outcome},
    control::{Board, Lease},
    pki::JoinSecret,
    raft::{Member, Raft},
    seal::Keyring,
    state::State,
    submit::Submitter,
    watch::StateWatch,
};

/// What a node has once it belongs to a cluster.
pub struct Membership {
    /// The cluster.
    pub cluster: ClusterId,
    /// This node's number.
    pub id: NodeId,
    /// This node's name.
    pub name: NodeName,
    /// The other members when this node was admitted.
    pub others: BTreeMap<NodeId, Member>,
    /// The newest state.
    pub state: StateWatch,
    /// The only writer.
    pub submitter: Submitter,
    /// The log.
    pub raft: Raft,
    /// Opens and seals documents.
    pub keyring: Keyring,
    /// How the leader's tasks on this node are doing.
    pub board: Board,
    /// What the leader granted this node last.
    pub lease: Arc<watch::Sender<Lease>>,
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Membership({}, {} in {})", self.name, self.id, self.cluster)
    }
}

impl Membership {
    /// Proposes a change in the name of a caller.
    pub(crate) async fn submit(
        &self,
        who: &Principal,
        request_id: &str,
        command: Command,
    ) -> Result<Outcome, ApiError> {
        self.submitter.submit(self.actor(who), scoped(who, request_id)?, command).await
    }

    /// A caller, as the state remembers who caused something.
    pub(crate) fn actor(&self, who: &Principal) -> Actor {
        Actor { identity: who.identity.clone(), uid: who.uid, node: Some(self.name.clone()) }
    }
}

/// Longest request id: it is kept in the state for a while.
const LONGEST_REQUEST_ID: usize = 64;

/// Request ids of different callers never meet.
fn scoped(who: &Principal, request_id: &str) -> Result<Option<String>, ApiError> {
    if request_id.len() > LONGEST_REQUEST_ID {
        return Err(ApiError::new(
            ErrorCode::ValidationFailed,
            format!("a request id has at most {LONGEST_REQUEST_ID} bytes"),
        ));
    }
    Ok((!request_id.is_empty()).then(|| format!("{}/{request_id}", who.identity)))
}

/// A cluster that was just created.
pub struct Founded {
    /// The cluster.
    pub cluster: ClusterId,
    /// The first operator token: exists nowhere else.
    pub token: Zeroizing<String>,
    /// CA certificate, PEM.
    pub ca_pem: String,
    /// `sha256:<hex>` of it.
    pub ca_fingerprint: String,
    /// `host:port` of the operator API.
    pub api_addr: String,
}

/// A node that has just become a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeName,
    /// Its number.
    pub id: NodeId,
}

/// Creates a cluster on this node, or makes it a member of one.
#[async_trait]
pub trait Founder: Send + Sync {
    /// Creates the cluster; its first operator token belongs to `token_name`.
    ///
    /// # Errors
    /// `cluster_already_initialized`, or what went wrong: then it may be tried again.
    async fn found(&self, who: &Principal, token_name: Identity) -> Result<Founded, ApiError>;
    /// Joins the cluster that `peer` (`host:port`) is a member of.
    ///
    /// # Errors
    /// `ca_mismatch`, `peer_unreachable`, or the cluster's refusal: then it may be tried again.
    async fn join(&self, peer: String, token: JoinSecret) -> Result<Joined, ApiError>;
}

/// What every service works with. One per node, shared by all listeners.
pub struct Api {
    /// This node's name.
    pub node: NodeName,
    /// JACO version.
    pub version: &'static str,
    /// The cluster, once the node belongs to one.
    pub membership: watch::Receiver<Option<Arc<Membership>>>,
    /// Creates a cluster.
    pub founder: Arc<dyn Founder>,
    /// Output of this node's containers.
    pub logs: Arc<dyn LogSource>,
    /// Commands in this node's containers, their files and ports.
    pub containers: Arc<dyn Containers>,
    /// What this node finds of its own data plane.
    pub doctor: Arc<dyn Doctor>,
    /// This node's end of the mesh.
    pub mesh: Arc<dyn OwnMesh>,
    /// What this node serves to visitors.
    pub serving: Arc<dyn OwnServing>,
    /// Connections to other members.
    pub peers: Arc<dyn Peers>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ends every stream.
    pub stopping: CancellationToken,
    /// The tasks behind streams.
    pub streams: TaskTracker,
    /// Failed authentications.
    pub attempts: Mutex<Attempts>,
}

impl Api {
    /// The cluster this node belongs to.
    pub(crate) fn membership(&self) -> Result<Arc<Membership>, ApiError> {
        self.membership.borrow().clone().ok_or_else(|| {
            ApiError::new(
                ErrorCode::ClusterUninitialized,
                format!("node {} belongs to no cluster yet", self.node),
            )
        })
    }

    /// The newest state of the cluster.
    pub(crate) fn state(&self) -> Result<(Arc<Membership>, Arc<State>), ApiError> {
        let membership = self.membership()?;
        let state = membership.state.newest();
        Ok((membership, state))
    }

    pub(crate) fn attempts(&self) -> std::sync::MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

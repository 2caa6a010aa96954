//! Members.

use std::{collections::BTreeMap, time::Duration};

use futures::TryStreamExt as _;
use jaco_api::{
    model::{
        Availability, Listener, MeshKeyRotation, MeshStatus, Node, NodeName, RaftRole, Span,
        Timestamp,
    },
    pb::{self, nodes_client::NodesClient},
};
use serde::Serialize;
use tonic::transport::Channel;

use crate::{Client, Error, call::MAX_MESSAGE, retry::Repeat};

/// What a node is loaded with, in thousandths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct NodeLoad {
    /// Of its processors.
    pub cpu_permille: u32,
    /// Of its memory.
    pub memory_permille: u32,
    /// Share of the last ten seconds in which work waited for a resource; absent where the kernel
    /// does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stalled_permille: Option<u32>,
}

/// A member as `jaco node list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeSummary {
    /// The member.
    #[serde(flatten)]
    pub node: Node,
    /// Its part in raft.
    pub role: RaftRole,
    /// How many replicas it has.
    pub replicas: u32,
    /// Milliseconds since the leader last heard of it; absent when the leader could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heard_ms: Option<u64>,
    /// What it is loaded with; absent when the leader could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<NodeLoad>,
}

impl TryFrom<pb::NodeSummary> for NodeSummary {
    type Error = Error;
    fn try_from(n: pb::NodeSummary) -> Result<Self, Error> {
        let load = n.load.as_ref().map(|load| NodeLoad {
            cpu_permille: load.cpu,
            memory_permille: load.memory,
            stalled_permille: load.stalled,
        });
        Ok(Self {
            role: n.role().try_into().map_err(Error::answer)?,
            replicas: n.replicas,
            heard_ms: n.heard_ms,
            load,
            node: n
                .node
                .ok_or_else(|| Error::answer("a node without its row"))?
                .try_into()
                .map_err(Error::answer)?,
        })
    }
}

/// How one loop of a node is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskState {
    /// Its name.
    pub name: String,
    /// Passes since the node began to lead.
    pub passes: u64,
    /// When the last pass began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_pass: Option<Timestamp>,
    /// Why the last pass failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Passes that failed in a row.
    pub failures: u32,
}

/// A member in full, as `jaco node inspect` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeDetail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: NodeSummary,
    /// Entries it is behind the leader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
    /// Its replicas.
    pub replica_ids: Vec<String>,
    /// Why replicas of it cannot move, a line each.
    pub obstacles: Vec<String>,
    /// The leader's loops, when the answering node is this one and leads.
    pub tasks: Vec<TaskState>,
    /// Its end of the mesh as it is now; absent when it has none, or does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh_now: Option<MeshStatus>,
    /// Why a node that has an end of the mesh does not say how it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh_unknown: Option<String>,
    /// Where it serves visitors, and why not; absent when it does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listeners: Option<Vec<Listener>>,
    /// Why it does not say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listeners_unknown: Option<String>,
}

/// A join token that was issued.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct JoinToken {
    /// Shown once, stored nowhere.
    pub token: String,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// `host:port` of the node that issued it: any member can be named instead.
    pub peer: String,
    /// `sha256:<hex>` of the CA certificate.
    pub ca_fingerprint: String,
    /// The CA certificate.
    pub ca_pem: String,
}

impl std::fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinToken").field("peer", &self.peer).finish_non_exhaustive()
    }
}

fn service(channel: Channel) -> NodesClient<Channel> {
    NodesClient::new(channel).max_decoding_message_size(MAX_MESSAGE)
}

impl Client {
    /// Every member, by name.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn nodes(&self) -> Result<Vec<NodeSummary>, Error> {
        let stream = self
            .call(Repeat::Harmless, &pb::ListNodesRequest {}, |c, r| async move {
                service(c).list(r).await
            })
            .await?;
        let mut nodes: Vec<NodeSummary> =
            stream.map_err(Error::from).and_then(|n| async { n.try_into() }).try_collect().await?;
        nodes.sort_by(|a, b| a.node.name.cmp(&b.node.name));
        Ok(nodes)
    }

    /// One member in full.
    ///
    /// # Errors
    /// `unknown_node` when there is none of this name.
    pub async fn node(&self, name: &NodeName) -> Result<NodeDetail, Error> {
        let request = pb::InspectNodeRequest { node: name.to_string() };
        let answer = self
            .call(Repeat::Harmless, &request, |c, r| async move { service(c).inspect(r).await })
            .await?;
        let task = |t: pb::TaskState| TaskState {
            name: t.name,
            passes: t.passes,
            last_pass: t.last_pass.map(Timestamp),
            error: t.error,
            failures: t.failures,
        };
        let listeners = answer.listeners.into_iter().map(Into::into).collect();
        Ok(NodeDetail {
            summary: summary(answer.summary)?,
            lag: answer.lag,
            replica_ids: answer.replicas,
            obstacles: answer.obstacles,
            tasks: answer.tasks.into_iter().map(task).collect(),
            mesh_now: answer.mesh.map(TryInto::try_into).transpose().map_err(Error::answer)?,
            mesh_unknown: answer.mesh_unknown,
            listeners: answer.listeners_unknown.is_none().then_some(listeners),
            listeners_unknown: answer.listeners_unknown,
        })
    }

    /// Issues a token that admits one node, for a day unless told otherwise.
    ///
    /// # Errors
    /// `permission_denied` for anybody but administrators.
    pub async fn issue_join_token(&self, ttl: Option<Duration>) -> Result<JoinToken, Error> {
        let request = pb::IssueJoinTokenRequest { ttl: ttl.map_or(0, |ttl| Span::from(ttl).0) };
        let answer =
            self.call(Repeat::Harmful, &request, |c, r| async move {
                service(c).issue_join_token(r).await
            })
            .await?;
        Ok(JoinToken {
            token: answer.token,
            expires_at: Timestamp(answer.expires_at),
            peer: answer.peer,
            ca_fingerprint: answer.ca_fingerprint,
            ca_pem: answer.ca_pem,
        })
    }

    /// Says what is wanted of a node: that it takes new work, keeps what it has, or is emptied.
    ///
    /// # Errors
    /// `unknown_node`, or `drain_blocked` with the replicas that cannot move, unless forced.
    pub async fn set_availability(
        &self,
        node: &NodeName,
        availability: Availability,
        force: bool,
    ) -> Result<NodeSummary, Error> {
        let request = pb::SetAvailabilityRequest {
            node: node.to_string(),
            availability: pb::Availability::from(availability).into(),
            force,
        };
        let answer =
            self.call(Repeat::Harmless, &request, |c, r| async move {
                service(c).set_availability(r).await
            })
            .await?;
        answer.try_into()
    }

    /// Empties a node and ends its membership; it is gone when it is no longer listed.
    ///
    /// # Errors
    /// As [`Self::set_availability`].
    pub async fn remove_node(&self, node: &NodeName, force: bool) -> Result<(), Error> {
        let request = pb::RemoveNodeRequest { node: node.to_string(), force };
        self.call(Repeat::Harmless, &request, |c, r| async move { service(c).remove(r).await })
            .await
            .map(|_| ())
    }

    /// Sets and removes labels of a node.
    ///
    /// # Errors
    /// `unknown_node`, or `validation_failed` for a key or value that is none.
    pub async fn label_node(
        &self,
        node: &NodeName,
        set: BTreeMap<String, String>,
        remove: Vec<String>,
    ) -> Result<NodeSummary, Error> {
        let request = pb::LabelNodeRequest { node: node.to_string(), set, remove };
        let answer = self
            .call(Repeat::Harmless, &request, |c, r| async move { service(c).label(r).await })
            .await?;
        answer.try_into()
    }

    /// Has a node make a new private key for its end of the mesh, and waits until its tunnels are made with it.
    ///
    /// # Errors
    /// `unknown_node`, `validation_failed` when the node has no mesh, `node_unreachable` when it does not
    /// answer, `no_leader` when the cluster does not take up the new key: the former one stays in use
    /// until it does.
    pub async fn rotate_mesh_key(&self, node: &NodeName) -> Result<MeshKeyRotation, Error> {
        let request = pb::RotateMeshKeyRequest { node: node.to_string() };
        let answer =
            self.call(Repeat::Harmful, &request, |c, r| async move {
                service(c).rotate_mesh_key(r).await
            })
            .await?;
        answer.try_into().map_err(Error::answer)
    }
}

fn summary(message: Option<pb::NodeSummary>) -> Result<NodeSummary, Error> {
    message.ok_or_else(|| Error::answer("a node without its summary"))?.try_into()
}

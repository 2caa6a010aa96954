//! `jaco.v1.Nodes`.

use std::{sync::Arc, time::Duration};

use jaco_api::{
    convert::parse,
    error::{ApiError, ErrorCode},
    model::{Availability, JoinToken, Node, NodeName, RaftRole},
    pb::{self, nodes_server},
};
use tonic::{Request, Response, Status};

use super::{
    Api, Membership, diagnose,
    gate::caller,
    mesh, overview, serving,
    stream::{Answers, answers},
};
use crate::{
    admission,
    command::{Command, IssueJoinToken},
    pki::{self, CaPin, JoinSecret},
    raft::RaftStatus,
    state::State,
};

/// How long a join token works unless told otherwise.
const JOIN_TOKEN_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Members.
pub(crate) struct Service(pub(crate) Arc<Api>);

#[tonic::async_trait]
impl nodes_server::Nodes for Service {
    type ListStream = Answers<pb::NodeSummary>;
    type DiagnoseStream = Answers<pb::DoctorReport>;

    async fn list(
        &self,
        _: Request<pb::ListNodesRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        let (membership, state) = self.0.state()?;
        let known = overview::of(&membership).await;
        let raft = membership.raft.status().borrow().clone();
        Ok(answers(&self.0, move |reader| {
            Box::pin(async move {
                for node in state.nodes() {
                    reader.send(summarize(&state, node, &raft, &known)).await?;
                }
                Ok(())
            })
        }))
    }

    async fn inspect(
        &self,
        request: Request<pb::InspectNodeRequest>,
    ) -> Result<Response<pb::NodeDetail>, Status> {
        let (membership, state) = self.0.state()?;
        let node = named(&state, &request.into_inner().node)?;
        let known = overview::of(&membership).await;
        let raft = membership.raft.status().borrow().clone();
        let lag = known.get(&node.id).and_then(|v| v.lag);
        let here = node.id == membership.id;
        let tasks = if here { membership.board.tasks() } else { Vec::new() };
        let mesh = async {
            match node.facts.mesh {
                None => (None, None),
                Some(_) => told(mesh::status(&self.0, &membership, &node).await),
            }
        };
        let serving = serving::of_node(&self.0, &membership, &node, None);
        let ((mesh, mesh_unknown), serving) = tokio::join!(mesh, serving);
        let (serving, listeners_unknown) = told(serving.map(pb::ServedDomain::from));
        Ok(Response::new(pb::NodeDetail {
            summary: Some(summarize(&state, &node, &raft, &known)),
            lag: lag.or_else(|| raft.members.get(&node.id)?.lag),
            replicas: state.replicas_on(node.id).map(|r| r.id.to_string()).collect(),
            obstacles: admission::obstacles(&state, &node),
            tasks: tasks.into_iter().map(task).collect(),
            mesh,
            mesh_unknown,
            listeners: serving.map(|serving| serving.listeners).unwrap_or_default(),
            listeners_unknown,
        }))
    }

    async fn issue_join_token(
        &self,
        request: Request<pb::IssueJoinTokenRequest>,
    ) -> Result<Response<pb::IssueJoinTokenResponse>, Status> {
        let who = caller(&request)?;
        let (membership, state) = self.0.state()?;
        let ttl = match request.into_inner().ttl {
            0 => JOIN_TOKEN_LIFE,
            ms => Duration::from_millis(ms),
        };
        let (secret, hash) = pki::new_token();
        let now = self.0.clock.now();
        let token =
            JoinToken { hash, issued_at: now, expires_at: now.after(ttl), consumed_by: None };
        let expires_at = token.expires_at.0;
        membership.submit(&who, "", Command::IssueJoinToken(IssueJoinToken { token })).await?;
        let unusable = |e: pki::PkiError| ApiError::new(ErrorCode::Internal, e.to_string());
        let ca_pem = state.cluster().map(|c| c.ca_pem.clone()).unwrap_or_default();
        let pin = CaPin::of(&ca_pem).map_err(unusable)?;
        let peer = state.node(membership.id).map(|n| n.facts.api_addr.to_string());
        Ok(Response::new(pb::IssueJoinTokenResponse {
            token: JoinSecret::compose(&secret, &pin).to_string(),
            expires_at,
            peer: peer.unwrap_or_default(),
            ca_fingerprint: pki::fingerprint(&ca_pem).map_err(unusable)?,
            ca_pem,
        }))
    }

    async fn set_availability(
        &self,
        request: Request<pb::SetAvailabilityRequest>,
    ) -> Result<Response<pb::NodeSummary>, Status> {
        let who = caller(&request)?;
        let (membership, state) = self.0.state()?;
        let message = request.into_inner();
        let wanted: Availability = message.availability().try_into().map_err(ApiError::from)?;
        let node = named(&state, &message.node)?;
        let command = admission::make_available(&state, &who, &node, wanted, message.force)?;
        membership.submit(&who, "", command).await?;
        Ok(Response::new(self.shown(&membership, &message.node).await?))
    }

    async fn remove(
        &self,
        request: Request<pb::RemoveNodeRequest>,
    ) -> Result<Response<pb::RemoveNodeResponse>, Status> {
        let who = caller(&request)?;
        let (membership, state) = self.0.state()?;
        let message = request.into_inner();
        let node = named(&state, &message.node)?;
        let leaving = Availability::Leaving;
        let command = admission::make_available(&state, &who, &node, leaving, message.force)?;
        membership.submit(&who, "", command).await?;
        Ok(Response::new(pb::RemoveNodeResponse {}))
    }

    async fn label(
        &self,
        request: Request<pb::LabelNodeRequest>,
    ) -> Result<Response<pb::NodeSummary>, Status> {
        let who = caller(&request)?;
        let (membership, state) = self.0.state()?;
        let message = request.into_inner();
        let node = named(&state, &message.node)?;
        let command = admission::label(&who, &node, message.set, message.remove)?;
        membership.submit(&who, "", command).await?;
        Ok(Response::new(self.shown(&membership, &message.node).await?))
    }

    async fn diagnose(
        &self,
        request: Request<pb::DiagnoseRequest>,
    ) -> Result<Response<Self::DiagnoseStream>, Status> {
        let who = caller(&request)?;
        let (membership, state) = self.0.state()?;
        let message = request.into_inner();
        admission::diagnose(&who, message.repair)?;
        let nodes = match message.node.as_str() {
            "" => state.nodes().cloned().collect(),
            name => vec![named(&state, name)?],
        };
        Ok(diagnose::of_nodes(&self.0, membership, nodes, message.repair))
    }

    async fn rotate_mesh_key(
        &self,
        request: Request<pb::RotateMeshKeyRequest>,
    ) -> Result<Response<pb::MeshKeyRotation>, Status> {
        let who = caller(&request)?;
        let (membership, state) = self.0.state()?;
        let node = named(&state, &request.into_inner().node)?;
        let by = membership.actor(&who);
        let rotation = mesh::rotate_key(&self.0, &membership, &node, by).await?;
        Ok(Response::new(rotation))
    }
}

impl Service {
    async fn shown(
        &self,
        membership: &Membership,
        node: &str,
    ) -> Result<pb::NodeSummary, ApiError> {
        let state = membership.state.newest();
        let node = named(&state, node)?;
        let known = overview::of(membership).await;
        let raft = membership.raft.status().borrow().clone();
        Ok(summarize(&state, &node, &raft, &known))
    }
}

/// What a node says of itself, or why it does not.
fn told<T>(answer: Result<T, ApiError>) -> (Option<T>, Option<String>) {
    match answer {
        Ok(told) => (Some(told), None),
        Err(error) => (None, Some(error.message)),
    }
}

fn task(status: crate::control::TaskStatus) -> pb::TaskState {
    pb::TaskState {
        name: status.name.to_owned(),
        passes: status.passes,
        last_pass: status.last_pass.map(|t| t.0),
        error: status.error.map(|e| e.to_string()),
        failures: status.failures,
    }
}

fn named(state: &State, name: &str) -> Result<Arc<Node>, ApiError> {
    let name: NodeName = parse("node", name)?;
    state.node_named(&name).cloned().ok_or_else(|| {
        ApiError::new(ErrorCode::UnknownNode, format!("the cluster has no node {name}"))
    })
}

fn summarize(
    state: &State,
    node: &Node,
    raft: &RaftStatus,
    known: &overview::Known,
) -> pb::NodeSummary {
    let role = raft.members.get(&node.id).map_or(RaftRole::Learner, |m| m.role);
    let view = known.get(&node.id);
    pb::NodeSummary {
        node: Some(node.clone().into()),
        role: pb::RaftRole::from(role).into(),
        replicas: state.load(node.id),
        heard_ms: view.and_then(|v| v.heard_ms),
        load: view.and_then(|v| v.load.clone()),
    }
}

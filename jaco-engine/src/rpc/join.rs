//! `jaco.v1.Join`: admits nodes that are no members yet.
//!
//! The token is consumed in the state machine together with the admission; this only translates,
//! signs and hands over the data keys. The same token with the same key is answered again as it was:
//! the first answer may have been lost.

use std::sync::Arc;

use async_trait::async_trait;
use jaco_api::{
    convert::parse,
    error::{ApiError, ErrorCode},
    model::{Actor, Digest, NodeName},
    pb::{self, join_server},
};
use tonic::{Request, Response, Status};

use super::{Api, Membership};
use crate::{
    admission::Peer,
    clock::Clock,
    command::{AdmitNode, Command, Outcome},
    enrol,
    pki::token_digest,
    raft::Admits,
};

/// Admitting nodes.
pub(crate) struct Service(pub(crate) Arc<Api>);

#[tonic::async_trait]
impl join_server::Join for Service {
    async fn enrol(
        &self,
        request: Request<pb::EnrolRequest>,
    ) -> Result<Response<pb::EnrolReply>, Status> {
        let membership = self.0.membership()?;
        let source = request.extensions().get::<Peer>().and_then(|peer| match peer {
            Peer::Remote { address, .. } => Some(address.ip()),
            Peer::InProcess | Peer::Local { .. } => None,
        });
        let now = self.0.clock.now();
        if let Some(source) = source {
            self.0.attempts().check(source, now)?;
        }
        let result = admit(&membership, &*self.0.clock, request.into_inner()).await;
        if let (Some(source), Err(error)) = (source, &result)
            && error.code == ErrorCode::JoinTokenInvalid
        {
            self.0.attempts().failed(source, now);
            tracing::warn!(%source, "a join token that is not known was presented");
        }
        Ok(Response::new(result?))
    }
}

/// Admits nodes in the name of this member, without a port.
pub(crate) struct Gate {
    pub(crate) membership: Arc<Membership>,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl Admits for Gate {
    async fn admit(&self, request: pb::EnrolRequest) -> Result<pb::EnrolReply, ApiError> {
        admit(&self.membership, &*self.clock, request).await
    }
}

async fn admit(
    membership: &Membership,
    clock: &dyn Clock,
    request: pb::EnrolRequest,
) -> Result<pb::EnrolReply, ApiError> {
    let name: NodeName = parse("name", &request.name)?;
    let facts = request.facts.ok_or_else(|| {
        ApiError::new(ErrorCode::ValidationFailed, "a node says where it is reached")
    })?;
    let token = token_digest(&request.secret);
    let key = Digest::of(request.csr_pem.as_bytes());
    let command = Command::AdmitNode(Box::new(AdmitNode { token, name, facts: facts.try_into()? }));
    let actor = Actor::system(Some(membership.name.clone()));
    let request_id = format!("join/{token}/{key}");
    let outcome = membership.submitter.submit(actor, Some(request_id), command).await?;
    let Outcome::Admitted { node: id } = outcome else {
        return Err(ApiError::new(ErrorCode::Internal, "an outcome of another command"));
    };
    let state = membership.state.newest();
    let (Some(node), Some(cluster)) = (state.node(id), state.cluster()) else {
        return Err(ApiError::new(ErrorCode::Conflict, "the node was removed meanwhile"));
    };
    let cert_pem = enrol::sign(&state, &membership.keyring, node, &request.csr_pem, clock)?;
    Ok(pb::EnrolReply {
        cluster_id: cluster.id.to_string(),
        node_id: id.0,
        ca_pem: cluster.ca_pem.clone(),
        cert_pem,
        keys: enrol::keys(&membership.keyring),
        members: state.nodes().map(|n| (**n).clone().into()).collect(),
    })
}

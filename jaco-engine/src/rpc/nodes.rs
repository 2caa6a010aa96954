//! `jaco.v1.Nodes`.

use std::sync::Arc;

use jaco_api::{
    model::RaftRole,
    pb::{self, nodes_server},
};
use tonic::{Request, Response, Status};

use super::{
    Api,
    stream::{Answers, answers},
};

/// Members.
pub(crate) struct Service(pub(crate) Arc<Api>);

#[tonic::async_trait]
impl nodes_server::Nodes for Service {
    type ListStream = Answers<pb::NodeSummary>;

    async fn list(
        &self,
        _: Request<pb::ListNodesRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        let (membership, state) = self.0.state()?;
        let raft = membership.raft.status().borrow().clone();
        Ok(answers(&self.0, move |reader| {
            Box::pin(async move {
                for node in state.nodes() {
                    let role = raft.members.get(&node.id).map_or(RaftRole::Learner, |m| m.role);
                    let summary = pb::NodeSummary {
                        node: Some((**node).clone().into()),
                        role: pb::RaftRole::from(role).into(),
                        replicas: state.load(node.id),
                    };
                    reader.send(summary).await?;
                }
                Ok(())
            })
        }))
    }
}

//! Members.

use futures::TryStreamExt as _;
use jaco_api::{
    model::{Node, RaftRole},
    pb,
};
use serde::Serialize;

use crate::{Client, Error, call::MAX_MESSAGE, retry::Repeat};

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
}

impl TryFrom<pb::NodeSummary> for NodeSummary {
    type Error = Error;
    fn try_from(n: pb::NodeSummary) -> Result<Self, Error> {
        Ok(Self {
            role: n.role().try_into().map_err(Error::answer)?,
            replicas: n.replicas,
            node: n
                .node
                .ok_or_else(|| Error::answer("a node without its row"))?
                .try_into()
                .map_err(Error::answer)?,
        })
    }
}

impl Client {
    /// Every member, by name.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn nodes(&self) -> Result<Vec<NodeSummary>, Error> {
        let stream = self
            .call(Repeat::Harmless, &pb::ListNodesRequest {}, |c, r| async move {
                pb::nodes_client::NodesClient::new(c)
                    .max_decoding_message_size(MAX_MESSAGE)
                    .list(r)
                    .await
            })
            .await?;
        let mut nodes: Vec<NodeSummary> =
            stream.map_err(Error::from).and_then(|n| async { n.try_into() }).try_collect().await?;
        nodes.sort_by(|a, b| a.node.name.cmp(&b.node.name));
        Ok(nodes)
    }
}

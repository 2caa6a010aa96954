//! What nodes and replicas use at the moment.

use std::time::Duration;

use futures::TryStreamExt as _;
use jaco_api::{
    model::{NodeName, NodeUsage, ReplicaId, ReplicaUsage},
    pb,
};
use serde::Serialize;

use crate::{Client, Error, call::MAX_MESSAGE, retry::Repeat};

/// What nodes and replicas use, measured now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Top {
    /// Every member, by name.
    pub nodes: Vec<NodeTop>,
    /// Every replica with a container on a node that answers, in order of their names.
    pub replicas: Vec<ReplicaTop>,
}

/// What a node uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeTop {
    /// The node.
    pub node: NodeName,
    /// How many replicas it is to have.
    pub replicas: u32,
    /// What it uses; absent when it was not measured.
    #[serde(flatten)]
    pub usage: Option<NodeUsage>,
    /// Why it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a replica uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplicaTop {
    /// The replica.
    pub replica: ReplicaId,
    /// Its node.
    pub node: NodeName,
    /// What it uses; absent when it was not measured.
    #[serde(flatten)]
    pub usage: Option<ReplicaUsage>,
    /// Why it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Top {
    fn add(&mut self, report: pb::UsageReport) -> Result<(), Error> {
        let node: NodeName = report.node.parse().map_err(Error::answer)?;
        for measured in report.replicas {
            self.replicas.push(ReplicaTop {
                replica: measured.replica.parse().map_err(Error::answer)?,
                node: node.clone(),
                usage: measured.usage.map(Into::into),
                error: measured.error,
            });
        }
        // Of several pages of one node the last one tells of the node itself.
        if !report.more {
            self.nodes.push(NodeTop {
                node,
                replicas: report.assigned,
                usage: report.usage.map(Into::into),
                error: report.error,
            });
        }
        Ok(())
    }
}

impl Client {
    /// Measures every node and its replicas for as long as `interval`. A node that does not answer
    /// says so in its row.
    ///
    /// # Errors
    /// When the node that is asked does not answer.
    pub async fn top(&self, interval: Duration) -> Result<Top, Error> {
        let interval = u32::try_from(interval.as_millis()).unwrap_or(u32::MAX);
        let reports = self
            .call(Repeat::Harmless, &pb::UsageRequest { interval }, |c, r| async move {
                pb::watch_client::WatchClient::new(c)
                    .max_decoding_message_size(MAX_MESSAGE)
                    .usage(r)
                    .await
            })
            .await?;
        let mut top = reports
            .map_err(Error::from)
            .try_fold(Top::default(), |mut top, report| async {
                top.add(report)?;
                Ok(top)
            })
            .await?;
        top.nodes.sort_by(|a, b| a.node.cmp(&b.node));
        top.replicas.sort_by(|a, b| a.replica.cmp(&b.replica));
        Ok(top)
    }
}

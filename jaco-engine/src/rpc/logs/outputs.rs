//! Where the output of a container is read: here, or on the node that has it.

use std::sync::Arc;

use futures::{StreamExt as _, stream, stream::BoxStream};
use jaco_api::{
    error::ErrorCode,
    model::{Actor, Node, NodeId, NodeName, Replica, Timestamp},
    pb::{self, relay_client::RelayClient},
};
use tonic::Status;

use super::{
    super::relay::{Peers, header, relayed},
    LogLine, LogQuery, LogSource,
};

/// What comes out of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// Its node answers.
    Opened,
    Line(LogLine),
    /// Why there is no more for now.
    Failed(Failure),
    /// Nothing more is written by this run of it.
    End,
}

/// Why output cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// Its node is out of reach, so nothing else of it can be read either.
    pub(super) whole_node: bool,
    pub(super) message: String,
}

/// Opens the output of containers.
pub(super) struct Outputs {
    pub(super) here: NodeId,
    pub(super) source: Arc<dyn LogSource>,
    pub(super) peers: Arc<dyn Peers>,
    /// In whose name.
    pub(super) actor: Actor,
}

impl Outputs {
    /// The output of a replica's container; `node` is absent when it is no member any more.
    pub(super) fn open(
        &self,
        replica: &Replica,
        node: Option<&Node>,
        container: &str,
        query: LogQuery,
    ) -> BoxStream<'static, Item> {
        let items = if replica.node == self.here {
            self.source.open(container, query).map(here).boxed()
        } else {
            match node {
                Some(node) => self.there(replica, node, container, query),
                None => failed(true, "its node is no member any more".to_owned()),
            }
        };
        items.chain(stream::once(async { Item::End })).boxed()
    }

    fn there(
        &self,
        replica: &Replica,
        node: &Node,
        container: &str,
        query: LogQuery,
    ) -> BoxStream<'static, Item> {
        let channel = match self.peers.channel(node) {
            Ok(channel) => channel,
            Err(error) => return failed(true, error.message),
        };
        let request = pb::RelayLogs {
            header: Some(header(&self.actor, &replica.id, container)),
            follow: query.follow,
            since: query.since.map_or(0, |at| at.0),
            tail: query.tail,
        };
        let name = node.name.clone();
        let opened = async move {
            match RelayClient::new(channel).logs(request).await {
                Ok(answer) => answer
                    .into_inner()
                    .flat_map(move |message| stream::iter(items(&name, message)))
                    .boxed(),
                Err(status) => stream::iter([of_status(&name, status)]).boxed(),
            }
        };
        stream::once(opened).flatten().boxed()
    }
}

fn here(line: Result<LogLine, String>) -> Item {
    match line {
        Ok(line) => Item::Line(line),
        Err(message) => Item::Failed(Failure { whole_node: false, message }),
    }
}

fn failed(whole_node: bool, message: String) -> BoxStream<'static, Item> {
    stream::iter([Item::Failed(Failure { whole_node, message })]).boxed()
}

fn of_status(node: &NodeName, status: Status) -> Item {
    let error = relayed(node, status);
    let whole_node = matches!(error.code, ErrorCode::NodeUnreachable | ErrorCode::NoLeader);
    Item::Failed(Failure { whole_node, message: error.message })
}

fn items(node: &NodeName, message: Result<pb::RelayLines, Status>) -> Vec<Item> {
    let message = match message {
        Ok(message) => message,
        Err(status) => return vec![of_status(node, status)],
    };
    let lines = message.lines.into_iter().map(|line| {
        Item::Line(LogLine { at: Timestamp(line.at), stderr: line.stderr, text: line.text })
    });
    let gap = message.gap.map(|why| Item::Failed(Failure { whole_node: false, message: why }));
    std::iter::once(Item::Opened).chain(lines).chain(gap).collect()
}

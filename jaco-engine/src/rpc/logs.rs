//! `jaco.v1.Logs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{StreamExt as _, stream::BoxStream, stream::SelectAll};
use jaco_api::{
    convert::parse,
    error::{ApiError, ErrorCode},
    model::{DeploymentName, NodeId, NodeName, Replica, ReplicaId, ServiceName, Timestamp},
    pb::{self, logs_server},
};
use tonic::{Request, Response, Status};

use super::{
    Api,
    stream::{Answers, Gone, Reader, answers},
};
use crate::{state::State, watch::StateWatch};

/// Lines in one message.
const LINES: usize = 256;

/// A line of a container's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When the engine received it.
    pub at: Timestamp,
    /// Whether it came from standard error.
    pub stderr: bool,
    /// The line, without its end.
    pub text: Vec<u8>,
}

/// Which lines of a container are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogQuery {
    /// Whether the stream goes on with what is written later.
    pub follow: bool,
    /// Nothing older than this.
    pub since: Option<Timestamp>,
    /// At most so many lines from the end.
    pub tail: Option<u32>,
}

/// Lines of one container; the last item may say why there are no more.
pub type ReplicaOutput = BoxStream<'static, Result<LogLine, String>>;

/// Output of this node's containers.
pub trait LogSource: Send + Sync {
    /// The output of one container, by its id in the engine. What goes wrong is an item of the
    /// stream, so that one container never fails the others.
    fn open(&self, container: &str, query: LogQuery) -> ReplicaOutput;
}

/// Output of containers, merged.
pub(crate) struct Service(pub(crate) Arc<Api>);

#[tonic::async_trait]
impl logs_server::Logs for Service {
    type StreamStream = Answers<pb::LogBatch>;

    async fn stream(
        &self,
        request: Request<pb::LogsRequest>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let message = request.into_inner();
        let (membership, state) = self.0.state()?;
        let chosen = Chosen::parse(&message)?;
        chosen.check(&state)?;
        let query = LogQuery {
            follow: message.follow,
            since: (message.since > 0).then_some(Timestamp(message.since)),
            tail: message.tail,
        };
        let merge = Merge {
            watch: membership.state.subscribe(),
            source: Arc::clone(&self.0.logs),
            here: membership.id,
            chosen,
            query,
            opened: BTreeMap::new(),
            missed: BTreeSet::new(),
            lines: SelectAll::new(),
        };
        Ok(answers(&self.0, |reader| Box::pin(merge.run(reader))))
    }
}

/// Which replicas are wanted.
enum Chosen {
    Replica(ReplicaId),
    Service(DeploymentName, Option<ServiceName>),
}

impl Chosen {
    fn parse(message: &pb::LogsRequest) -> Result<Self, ApiError> {
        if !message.replica.is_empty() {
            return Ok(Self::Replica(parse("replica", &message.replica)?));
        }
        let deployment = parse("deployment", &message.deployment)?;
        let service = match message.service.as_str() {
            "" => None,
            name => Some(parse("service", name)?),
        };
        Ok(Self::Service(deployment, service))
    }

    fn check(&self, state: &State) -> Result<(), ApiError> {
        let missing = |code, message| Err(ApiError::new(code, message));
        match self {
            Self::Replica(id) if state.replica(id).is_none() => {
                missing(ErrorCode::ReplicaNotFound, format!("there is no replica {id}"))
            }
            Self::Service(deployment, _) if state.deployment(deployment).is_none() => missing(
                ErrorCode::DeploymentNotFound,
                format!("there is no deployment {deployment}"),
            ),
            Self::Service(deployment, Some(service))
                if state.service(deployment, service).is_none()
                    && state.replicas_of_service(deployment, service).next().is_none() =>
            {
                missing(
                    ErrorCode::ServiceNotFound,
                    format!("deployment {deployment} has no service {service}"),
                )
            }
            _ => Ok(()),
        }
    }

    fn replicas(&self, state: &State) -> Vec<Arc<Replica>> {
        match self {
            Self::Replica(id) => state.replica(id).cloned().into_iter().collect(),
            Self::Service(deployment, None) => state.replicas_of(deployment).cloned().collect(),
            Self::Service(deployment, Some(service)) => {
                state.replicas_of_service(deployment, service).cloned().collect()
            }
        }
    }
}

/// A line, or why there are no more, of one container.
type Item = (ReplicaId, Result<LogLine, String>);

/// Every wanted container's output as one stream.
struct Merge {
    watch: StateWatch,
    source: Arc<dyn LogSource>,
    here: NodeId,
    chosen: Chosen,
    query: LogQuery,
    /// The container of each replica whose output is being read.
    opened: BTreeMap<ReplicaId, String>,
    /// Replicas that were reported as gaps.
    missed: BTreeSet<ReplicaId>,
    lines: SelectAll<BoxStream<'static, Item>>,
}

impl Merge {
    async fn run(mut self, reader: Reader<pb::LogBatch>) -> Result<(), Gone> {
        loop {
            let state = self.watch.newest();
            let gaps = self.open_new(&state);
            if !gaps.is_empty() {
                reader.send(pb::LogBatch { lines: Vec::new(), gaps }).await?;
            }
            loop {
                tokio::select! {
                    Some(first) = self.lines.next() => {
                        let batch = self.gather(first, &state);
                        reader.send(batch).await?;
                    }
                    changed = self.watch.changed(), if self.query.follow => {
                        changed.map_err(|_| Gone)?;
                        break;
                    }
                    () = reader.gone() => return Err(Gone),
                    // Without `follow`, every container has been read to its end.
                    else => return Ok(()),
                }
                if !self.query.follow && self.lines.is_empty() {
                    return Ok(());
                }
            }
        }
    }

    /// Opens the output of containers that are not read yet. Those of other nodes, and replicas
    /// without a container, are told once when everything that exists is wanted.
    fn open_new(&mut self, state: &State) -> Vec<pb::LogGap> {
        self.opened.retain(|id, _| state.replica(id).is_some());
        self.missed.retain(|id| state.replica(id).is_some());
        let mut gaps = Vec::new();
        let first = self.opened.is_empty() && self.missed.is_empty();
        for replica in self.chosen.replicas(state) {
            if replica.node != self.here {
                if self.missed.insert(replica.id.clone()) {
                    let node = name_of(state, replica.node);
                    let message = format!("runs on {node}; ask there");
                    gaps.push(gap(&replica.id, &node, message));
                }
                continue;
            }
            let Some(container) = &replica.observed.container else { continue };
            if self.opened.get(&replica.id) == Some(container) {
                continue;
            }
            // A container that appears while we follow is read from its start.
            let query = if first { self.query } else { LogQuery { tail: None, ..self.query } };
            let id = replica.id.clone();
            let output = self.source.open(container, query);
            self.lines.push(output.map(move |item| (id.clone(), item)).boxed());
            self.opened.insert(replica.id.clone(), container.clone());
        }
        gaps
    }

    /// This line and those that are ready.
    fn gather(&mut self, first: Item, state: &State) -> pb::LogBatch {
        use futures::FutureExt as _;
        let node = name_of(state, self.here);
        let mut batch = pb::LogBatch::default();
        let mut next = Some(first);
        while let Some((replica, item)) = next {
            match item {
                Ok(line) => batch.lines.push(pb::LogLine {
                    replica: replica.to_string(),
                    node: node.clone(),
                    at: line.at.0,
                    stderr: line.stderr,
                    text: line.text,
                }),
                Err(message) => batch.gaps.push(gap(&replica, &node, message)),
            }
            if batch.lines.len() >= LINES {
                break;
            }
            next = self.lines.next().now_or_never().flatten();
        }
        batch.lines.sort_by_key(|line| line.at);
        batch
    }
}

fn gap(replica: &ReplicaId, node: &str, message: String) -> pb::LogGap {
    pb::LogGap { replica: replica.to_string(), node: node.to_owned(), message }
}

fn name_of(state: &State, node: NodeId) -> String {
    state.node(node).map(|n| &n.name).map_or_else(|| node.to_string(), NodeName::to_string)
}

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
            readings: BTreeMap::new(),
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

/// What comes out of one container.
enum Item {
    Line(LogLine),
    /// Why there is no more.
    Gap(String),
    /// Nothing more is written by this run of it.
    End,
}

/// The output of one replica's container, as far as it was read.
struct Reading {
    container: String,
    /// Restarts of the container that were seen.
    restarts: u32,
    ended: bool,
    /// The last line that was read.
    last: Option<Timestamp>,
}

/// Every wanted container's output as one stream.
struct Merge {
    watch: StateWatch,
    source: Arc<dyn LogSource>,
    here: NodeId,
    chosen: Chosen,
    query: LogQuery,
    readings: BTreeMap<ReplicaId, Reading>,
    /// Replicas that were reported as gaps.
    missed: BTreeSet<ReplicaId>,
    lines: SelectAll<BoxStream<'static, (ReplicaId, Item)>>,
}

impl Merge {
    async fn run(mut self, reader: Reader<pb::LogBatch>) -> Result<(), Gone> {
        let mut first = true;
        loop {
            let state = self.watch.newest();
            let gaps = self.open_new(&state, std::mem::take(&mut first));
            if !gaps.is_empty() {
                reader.send(pb::LogBatch { lines: Vec::new(), gaps }).await?;
            }
            if !self.query.follow && self.lines.is_empty() {
                return Ok(());
            }
            tokio::select! {
                item = self.lines.next(), if !self.lines.is_empty() => {
                    let batch = item.map(|item| self.gather(item, &state)).unwrap_or_default();
                    if !batch.lines.is_empty() || !batch.gaps.is_empty() {
                        reader.send(batch).await?;
                    }
                }
                changed = self.watch.changed(), if self.query.follow => {
                    changed.map_err(|_| Gone)?;
                }
                () = reader.gone() => return Err(Gone),
            }
        }
    }

    /// Opens the output of containers that are not read yet: new ones, and those that run again
    /// after an end. Replicas of other nodes are told once.
    fn open_new(&mut self, state: &State, first: bool) -> Vec<pb::LogGap> {
        self.readings.retain(|id, _| state.replica(id).is_some());
        self.missed.retain(|id| state.replica(id).is_some());
        let mut gaps = Vec::new();
        for replica in self.chosen.replicas(state) {
            if replica.node != self.here {
                if self.missed.insert(replica.id.clone()) {
                    let node = name_of(state, replica.node);
                    let message = format!("runs on {node}; ask there");
                    gaps.push(gap(&replica.id, &node, message));
                }
                continue;
            }
            let Some(query) = self.due(&replica, first) else { continue };
            let Some(container) = replica.observed.container.clone() else { continue };
            let output = self.source.open(&container, query).map(|line| match line {
                Ok(line) => Item::Line(line),
                Err(why) => Item::Gap(why),
            });
            let end = futures::stream::once(async { Item::End });
            let id = replica.id.clone();
            self.lines.push(output.chain(end).map(move |item| (id.clone(), item)).boxed());
            let restarts = replica.observed.restarts;
            let reading = Reading { container, restarts, ended: false, last: None };
            self.readings.insert(replica.id.clone(), reading);
        }
        gaps
    }

    /// What to read of a replica's container; nothing while it is being read, or was read to the
    /// end of its last run.
    fn due(&self, replica: &Replica, first: bool) -> Option<LogQuery> {
        let seen = &replica.observed;
        match self.readings.get(&replica.id) {
            // A container that appears while we follow is read from its start.
            None if first => Some(self.query),
            None => Some(LogQuery { tail: None, ..self.query }),
            Some(r) if Some(&r.container) != seen.container.as_ref() => {
                Some(LogQuery { tail: None, ..self.query })
            }
            Some(r) if r.ended && r.restarts != seen.restarts => {
                let after = r.last.map(|t| Timestamp(t.0 + 1));
                Some(LogQuery { tail: None, since: after.or(self.query.since), ..self.query })
            }
            Some(_) => None,
        }
    }

    /// This item and those that are ready.
    fn gather(&mut self, first: (ReplicaId, Item), state: &State) -> pb::LogBatch {
        use futures::FutureExt as _;
        let node = name_of(state, self.here);
        let mut batch = pb::LogBatch::default();
        let mut next = Some(first);
        while let Some((replica, item)) = next {
            let reading = self.readings.get_mut(&replica);
            match item {
                Item::Line(line) => {
                    if let Some(reading) = reading {
                        reading.last = reading.last.max(Some(line.at));
                    }
                    batch.lines.push(pb::LogLine {
                        replica: replica.to_string(),
                        node: node.clone(),
                        at: line.at.0,
                        stderr: line.stderr,
                        text: line.text,
                    });
                }
                Item::Gap(message) => batch.gaps.push(gap(&replica, &node, message)),
                Item::End => {
                    if let Some(reading) = reading {
                        reading.ended = true;
                    }
                }
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

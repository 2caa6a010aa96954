//! `jaco.v1.Logs`.

mod merge;
mod order;
mod outputs;
mod position;

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt as _, stream::BoxStream};
use jaco_api::{
    convert::parse,
    error::{ApiError, ErrorCode},
    model::{DeploymentName, LogPosition, Replica, ReplicaId, ServiceName, Timestamp},
    pb::{self, logs_server},
};
use tonic::{Request, Response, Status};

use self::{merge::Merge, outputs::Outputs};
use super::{
    Api,
    gate::caller,
    stream::{Answers, Gone, answers},
};
use crate::state::State;

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
        let who = caller(&request)?;
        let message = request.into_inner();
        let (membership, state) = self.0.state()?;
        let chosen = Chosen::parse(&message)?;
        chosen.check(&state)?;
        let query = LogQuery {
            follow: message.follow,
            since: (message.since > 0).then_some(Timestamp(message.since)),
            tail: message.tail,
        };
        let outputs = Outputs {
            here: membership.id,
            source: Arc::clone(&self.0.logs),
            peers: Arc::clone(&self.0.peers),
            actor: membership.actor(&who),
        };
        let after = positions(message.after)?;
        let merge = Merge::new(membership.state.subscribe(), outputs, chosen, query, after);
        Ok(answers(&self.0, |reader| Box::pin(merge.run(reader))))
    }
}

fn positions(messages: Vec<pb::LogPosition>) -> Result<BTreeMap<ReplicaId, LogPosition>, ApiError> {
    let position = |message: pb::LogPosition| {
        let replica = parse("replica", &message.replica)?;
        let pb::LogPosition { generation, at, lines, .. } = message;
        Ok((replica, LogPosition { generation, at: Timestamp(at), lines }))
    };
    messages.into_iter().map(position).collect()
}

/// Which lines another node asks for.
pub(super) fn query_of(message: &pb::RelayLogs) -> LogQuery {
    LogQuery {
        follow: message.follow,
        since: (message.since > 0).then_some(Timestamp(message.since)),
        tail: message.tail,
    }
}

/// The output of one container of this node, for another node.
pub(super) fn lines(
    api: &Arc<Api>,
    container: &str,
    query: LogQuery,
) -> Response<Answers<pb::RelayLines>> {
    let mut output = api.logs.open(container, query).ready_chunks(LINES);
    answers(api, |reader| {
        Box::pin(async move {
            reader.send(pb::RelayLines::default()).await?;
            loop {
                let chunk = tokio::select! {
                    chunk = output.next() => chunk,
                    () = reader.gone() => return Err(Gone),
                };
                let Some(chunk) = chunk else { return Ok(()) };
                let mut message = pb::RelayLines::default();
                for line in chunk {
                    match line {
                        Ok(LogLine { at, stderr, text }) => message.lines.push(pb::LogLine {
                            at: at.0,
                            stderr,
                            text,
                            ..pb::LogLine::default()
                        }),
                        Err(why) => message.gap = Some(why),
                    }
                }
                reader.send(message).await?;
            }
        })
    })
}

/// Which replicas are wanted.
#[derive(Debug)]
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

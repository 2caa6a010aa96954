//! Output of containers, merged over replicas.

use std::collections::BTreeMap;

use futures::{Stream, StreamExt as _, TryStreamExt as _, future::BoxFuture};
use jaco_api::{
    model::{DeploymentName, LogPosition, NodeName, ReplicaId, ServiceName, Timestamp},
    pb,
};
use serde::Serialize;

use crate::{
    Client, Error,
    again::{Cursor, Opened, again},
    call::MAX_MESSAGE,
    retry::Repeat,
};

/// Whose output, and how much of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// The deployment.
    pub deployment: Option<DeploymentName>,
    /// Only this service of it.
    pub service: Option<ServiceName>,
    /// One replica instead of the two above.
    pub replica: Option<ReplicaId>,
    /// Also what is still to come.
    pub follow: bool,
    /// Only lines after this time.
    pub since: Option<Timestamp>,
    /// Only so many lines per replica, from the end.
    pub tail: Option<u32>,
}

/// One line of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Who wrote it.
    pub replica: ReplicaId,
    /// Where it runs.
    pub node: NodeName,
    /// When.
    pub at: Timestamp,
    /// Whether it went to standard error.
    pub stderr: bool,
    /// The line, without its end. Bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// Output that cannot be read at the moment; the rest goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogGap {
    /// The replica; absent when its whole node is out of reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<ReplicaId>,
    /// The node.
    pub node: NodeName,
    /// Why.
    pub message: String,
}

/// Lines and gaps that became known together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogBatch {
    /// Lines, oldest first.
    pub lines: Vec<LogLine>,
    /// What is missing.
    pub gaps: Vec<LogGap>,
}

impl TryFrom<pb::LogBatch> for LogBatch {
    type Error = Error;
    fn try_from(b: pb::LogBatch) -> Result<Self, Error> {
        let line = |l: pb::LogLine| {
            Ok::<_, Error>(LogLine {
                replica: l.replica.parse().map_err(Error::answer)?,
                node: l.node.parse().map_err(Error::answer)?,
                at: Timestamp(l.at),
                stderr: l.stderr,
                text: String::from_utf8_lossy(&l.text).into_owned(),
            })
        };
        let gap = |g: pb::LogGap| {
            Ok::<_, Error>(LogGap {
                replica: Some(g.replica)
                    .filter(|replica| !replica.is_empty())
                    .map(|replica| replica.parse().map_err(Error::answer))
                    .transpose()?,
                node: g.node.parse().map_err(Error::answer)?,
                message: g.message,
            })
        };
        Ok(Self {
            lines: b.lines.into_iter().map(line).collect::<Result<_, _>>()?,
            gaps: b.gaps.into_iter().map(gap).collect::<Result<_, _>>()?,
        })
    }
}

/// What was asked for, and how far each replica was read.
struct Lines {
    request: pb::LogsRequest,
    read: BTreeMap<String, LogPosition>,
}

impl Cursor for Lines {
    type Item = pb::LogBatch;

    fn open(&self, client: Client) -> BoxFuture<'static, Result<Opened<pb::LogBatch>, Error>> {
        let positions = self.read.iter().map(|(replica, position)| pb::LogPosition {
            replica: replica.clone(),
            generation: position.generation,
            at: position.at.0,
            lines: position.lines,
        });
        let request = pb::LogsRequest { after: positions.collect(), ..self.request.clone() };
        Box::pin(async move {
            let stream = client
                .call(Repeat::Harmless, &request, |c, r| async move {
                    pb::logs_client::LogsClient::new(c)
                        .max_decoding_message_size(MAX_MESSAGE)
                        .stream(r)
                        .await
                })
                .await?;
            Ok(stream.map_err(Error::from).boxed())
        })
    }

    fn note(&mut self, batch: &pb::LogBatch) {
        for line in &batch.lines {
            let before = self.read.get(&line.replica).copied();
            let position = LogPosition::after(before, line.generation, Timestamp(line.at));
            self.read.insert(line.replica.clone(), position);
        }
    }
}

impl Client {
    /// Streams output. A stream that follows goes on where it was when its connection breaks: no
    /// line comes twice, and none is left out.
    ///
    /// # Errors
    /// `deployment_not_found`, `service_not_found`, `replica_not_found`.
    pub async fn logs(
        &self,
        query: &LogQuery,
    ) -> Result<impl Stream<Item = Result<LogBatch, Error>> + Send + Unpin + use<>, Error> {
        let request = pb::LogsRequest {
            deployment: query.deployment.as_ref().map(ToString::to_string).unwrap_or_default(),
            service: query.service.as_ref().map(ToString::to_string).unwrap_or_default(),
            replica: query.replica.as_ref().map(ToString::to_string).unwrap_or_default(),
            follow: query.follow,
            since: query.since.map_or(0, |t| t.0),
            tail: query.tail,
            after: Vec::new(),
        };
        let lines = Lines { request, read: BTreeMap::new() };
        let batches = again(self.clone(), lines).await?;
        Ok(batches.map(|batch| batch.and_then(LogBatch::try_from)))
    }
}

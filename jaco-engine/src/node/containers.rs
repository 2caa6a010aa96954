//! Containers of this node, for the API: from the engine's values and errors to the API's.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{ClusterId, ExecCommand, PathInfo, ReplicaId},
};
use jaco_runtime::{
    container::{ContainerRuntime, RuntimeError, Stats, label},
    pressure::{NodeSampler, replica_usage},
};
use tokio::time::Instant;

use super::command;
use crate::rpc::{
    Archive, CommandInput, Containers, Duplex, IncomingArchive, Measurement, RunningCommand,
};

/// Containers that are measured at a time.
const MEASURED: usize = 16;

/// Asks the container engine.
pub(crate) struct EngineContainers(pub(crate) Arc<dyn ContainerRuntime>);

/// What the API answers when the engine refuses.
pub(super) fn refusal(error: RuntimeError) -> ApiError {
    let code = match &error {
        RuntimeError::Unreachable { .. }
        | RuntimeError::TimedOut { .. }
        | RuntimeError::BadEndpoint { .. }
        | RuntimeError::EngineTooOld { .. } => ErrorCode::EngineUnreachable,
        // Its container was replaced or removed since the state was looked at.
        RuntimeError::NotFound { .. } | RuntimeError::NotRunning { .. } => {
            ErrorCode::ReplicaNotRunning
        }
        RuntimeError::CannotExecute { .. } => ErrorCode::ExecFailed,
        RuntimeError::NoSuchPath { .. } => ErrorCode::PathNotFound,
        RuntimeError::NoNetwork { .. } | RuntimeError::PortUnreachable { .. } => {
            ErrorCode::PortUnreachable
        }
        RuntimeError::BrokenOff { .. } | RuntimeError::Refused { status: 400, .. } => {
            ErrorCode::ValidationFailed
        }
        _ => ErrorCode::EngineError,
    };
    let message = match &error {
        // Ids of containers are no names for people: who asked knows the replica.
        RuntimeError::PortUnreachable { port, source, .. } => {
            format!("nothing answers at port {port}: {source}")
        }
        RuntimeError::NoNetwork { .. } => "it has no network of its own".to_owned(),
        other => other.to_string(),
    };
    let answer = ApiError::new(code, message);
    match error {
        RuntimeError::CannotExecute { exit_code, .. } => answer.with("exit_code", exit_code),
        _ => answer,
    }
}

#[async_trait]
impl Containers for EngineContainers {
    async fn check(
        &self,
        cluster: ClusterId,
        replica: &ReplicaId,
        container: &str,
    ) -> Result<(), ApiError> {
        let found = self.0.inspect(container).await.map_err(refusal)?;
        let is = |key: &str, value: String| found.labels.get(key) == Some(&value);
        if is(label::CLUSTER, cluster.to_string()) && is(label::REPLICA, replica.to_string()) {
            return Ok(());
        }
        let message = format!("this node has no such container of replica {replica}");
        Err(ApiError::new(ErrorCode::ReplicaNotFound, message))
    }

    async fn run(
        &self,
        container: &str,
        command: ExecCommand,
        input: BoxStream<'static, CommandInput>,
    ) -> Result<RunningCommand, ApiError> {
        let exec = self.0.exec(container, &command).await.map_err(refusal)?;
        Ok(command::attend(exec, input))
    }

    async fn path(&self, container: &str, path: &str) -> Result<PathInfo, ApiError> {
        self.0.path(container, path).await.map_err(refusal)
    }

    async fn copy_out(&self, container: &str, path: &str) -> Result<Archive, ApiError> {
        let tar = self.0.copy_out(container, path).await.map_err(refusal)?;
        Ok(tar.map_err(refusal).boxed())
    }

    async fn copy_in(
        &self,
        container: &str,
        path: &str,
        tar: IncomingArchive,
    ) -> Result<(), ApiError> {
        self.0.copy_in(container, path, tar).await.map_err(refusal)
    }

    async fn connect(&self, container: &str, port: u16) -> Result<Box<dyn Duplex>, ApiError> {
        let connection = self.0.connect(container, port).await.map_err(refusal)?;
        Ok(Box::new(connection.0))
    }

    async fn measure(
        &self,
        interval: Duration,
        containers: Vec<(ReplicaId, String)>,
    ) -> Result<Measurement, ApiError> {
        let unmeasured = |e| ApiError::new(ErrorCode::Internal, format!("{e}"));
        let mut sampler = NodeSampler::new().map_err(unmeasured)?;
        let before = self.stats_of(containers).await;
        tokio::time::sleep(interval).await;
        let node = sampler.sample().map_err(unmeasured)?;
        let again =
            before.iter().map(|(replica, container, _)| (replica.clone(), container.clone()));
        let now = self.stats_of(again.collect()).await;
        let replicas = before
            .into_iter()
            .zip(now)
            .map(|((replica, _, before), (_, _, now))| {
                let usage = before.and_then(|(then, before)| {
                    let (at, now) = now?;
                    Ok(replica_usage(&before, &now, at.duration_since(then)))
                });
                (replica, usage.map_err(refusal))
            })
            .collect();
        Ok(Measurement { node, replicas })
    }
}

/// What a container had used at a moment.
type Counted = Result<(Instant, Stats), RuntimeError>;

impl EngineContainers {
    /// The counters of containers, in the order of the list.
    async fn stats_of(
        &self,
        containers: Vec<(ReplicaId, String)>,
    ) -> Vec<(ReplicaId, String, Counted)> {
        let count = |(replica, container): (ReplicaId, String)| async move {
            let stats = self.0.stats(&container).await;
            let counted = stats.map(|stats| (Instant::now(), stats));
            (replica, container, counted)
        };
        futures::stream::iter(containers.into_iter().map(count)).buffered(MEASURED).collect().await
    }
}

//! Output of this node's containers, for the API.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use jaco_runtime::container::{self, ContainerRuntime};

use crate::rpc::{LogLine, LogQuery, LogSource, ReplicaOutput};

/// Reads from the container engine.
pub(crate) struct EngineOutput(pub(crate) Arc<dyn ContainerRuntime>);

impl LogSource for EngineOutput {
    fn open(&self, container: &str, query: LogQuery) -> ReplicaOutput {
        let (runtime, id) = (Arc::clone(&self.0), container.to_owned());
        let query =
            container::LogQuery { follow: query.follow, since: query.since, tail: query.tail };
        let lines = async move { runtime.logs(&id, &query).await };
        futures::stream::once(lines)
            .try_flatten()
            .map(|line| match line {
                Ok(line) => {
                    Ok(LogLine { at: line.at, stderr: line.stderr, text: line.text.into_bytes() })
                }
                Err(error) => Err(error.to_string()),
            })
            .boxed()
    }
}

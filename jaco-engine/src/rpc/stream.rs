//! Streams of answers: one task each, bounded, ended with the listener or by the reader.

use std::sync::Arc;

use futures::future::BoxFuture;
use jaco_api::error::{ApiError, ErrorCode};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};

use super::Api;

/// Messages that wait for the reader; a slower one slows its own stream down.
const WAITING: usize = 16;

/// A stream of answers.
pub(crate) type Answers<T> = ReceiverStream<Result<T, Status>>;

/// Where a stream's task puts its answers.
pub(crate) struct Reader<T> {
    sender: mpsc::Sender<Result<T, Status>>,
}

/// The reader has gone: nothing is left to do.
#[derive(Debug)]
pub(crate) struct Gone;

impl<T> Reader<T> {
    /// Sends one answer, as soon as the reader has room for it.
    pub(crate) async fn send(&self, answer: T) -> Result<(), Gone> {
        self.sender.send(Ok(answer)).await.map_err(|_| Gone)
    }
    /// Ends the answers with an error.
    pub(crate) async fn fail(&self, error: ApiError) {
        // The reader may have gone: then nobody asks why.
        let _ = self.sender.send(Err(error.into())).await;
    }
    /// Ends when the reader has gone.
    pub(crate) async fn gone(&self) {
        self.sender.closed().await;
    }
}

/// A stream whose answers a task makes.
pub(crate) fn answers<T: Send + 'static>(
    api: &Arc<Api>,
    work: impl FnOnce(Reader<T>) -> BoxFuture<'static, Result<(), Gone>>,
) -> Response<Answers<T>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let (task, stopping) = (work(Reader { sender: sender.clone() }), api.stopping.clone());
    api.streams.spawn(async move {
        tokio::select! {
            _ = task => {}
            () = stopping.cancelled() => {
                let end = ApiError::new(ErrorCode::NoLeader, "this node is shutting down");
                let _ = sender.try_send(Err(end.into()));
            }
        }
    });
    Response::new(ReceiverStream::new(receiver))
}

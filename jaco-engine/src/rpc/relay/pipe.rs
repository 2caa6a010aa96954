//! Messages between a caller of this node and the node that answers it.

use std::sync::Arc;

use futures::{Stream, StreamExt as _, stream::BoxStream};
use jaco_api::model::NodeName;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status, Streaming};

use super::{
    super::{
        Api,
        stream::{Answers, Gone, Reader, answers},
    },
    relayed,
};

/// Messages on their way to the other node.
const WAITING: usize = 4;

/// The way to the other node: what is put in comes out of the stream a call is made with.
pub(in super::super) struct Upstream<U> {
    sender: mpsc::Sender<U>,
}

impl<U: Send + 'static> Upstream<U> {
    /// A way whose first message is `start`.
    pub(in super::super) fn begin(start: U) -> (Self, impl Stream<Item = U> + Send + 'static) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let first = futures::stream::once(async { start });
        (Self { sender }, first.chain(ReceiverStream::new(receiver)))
    }

    /// Puts everything in. Fails when the caller breaks off.
    pub(in super::super) async fn fill(
        self,
        mut inputs: BoxStream<'static, Result<U, Status>>,
    ) -> Result<(), Gone> {
        while let Some(input) = inputs.next().await {
            if self.sender.send(input.map_err(|_| Gone)?).await.is_err() {
                // The other node hears nothing more; its answer says why.
                break;
            }
        }
        Ok(())
    }
}

/// Passes on in both directions until the other node has answered to the end. When the caller goes
/// away the call is dropped, and the other node sees that.
pub(in super::super) fn pass_on<U: Send + 'static, T: Send + 'static>(
    api: &Arc<Api>,
    node: NodeName,
    inputs: BoxStream<'static, Result<U, Status>>,
    upstream: Upstream<U>,
    outputs: Streaming<T>,
) -> Response<Answers<T>> {
    answers(api, |reader| Box::pin(carry(node, upstream.fill(inputs), outputs, reader)))
}

/// Passes answers on until there are no more.
pub(in super::super) fn pass_back<T: Send + 'static>(
    api: &Arc<Api>,
    node: NodeName,
    outputs: Streaming<T>,
) -> Response<Answers<T>> {
    answers(api, |reader| Box::pin(carry(node, async { Ok(()) }, outputs, reader)))
}

async fn carry<T: Send + 'static>(
    node: NodeName,
    filling: impl Future<Output = Result<(), Gone>> + Send,
    mut outputs: Streaming<T>,
    reader: Reader<T>,
) -> Result<(), Gone> {
    let mut filling = std::pin::pin!(filling);
    let mut filled = false;
    loop {
        tokio::select! {
            result = &mut filling, if !filled => {
                result?;
                filled = true;
            }
            output = outputs.message() => match output {
                Ok(Some(output)) => reader.send(output).await?,
                Ok(None) => return Ok(()),
                Err(status) => {
                    reader.fail(relayed(&node, status)).await;
                    return Ok(());
                }
            },
            () = reader.gone() => return Err(Gone),
        }
    }
}

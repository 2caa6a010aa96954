//! Files of containers of this node.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::NodeName,
    pb::{self, copy_input, relay_client::RelayClient, relay_copy::Message},
};
use tonic::{Response, Status, Streaming, transport::Channel};

use super::super::{
    Api, Archive, IncomingArchive,
    relay::{Upstream, relayed},
    stream::{Answers, answers},
};

/// What the audit log keeps of a copy.
pub(super) fn facts(action: &'static str, path: &str) -> [(&'static str, String); 2] {
    [("action", action.to_owned()), ("path", path.to_owned())]
}

/// A path in a container that does not depend on where somebody is.
pub(super) fn absolute(path: String) -> Result<String, ApiError> {
    if path.starts_with('/') && !path.contains('\0') {
        return Ok(path);
    }
    let message = format!("{path:?} is no absolute path");
    Err(ApiError::new(ErrorCode::ValidationFailed, message))
}

/// An archive as answers.
pub(in super::super) fn pieces(
    api: &Arc<Api>,
    mut tar: Archive,
) -> Response<Answers<pb::CopyPiece>> {
    answers(api, |reader| {
        Box::pin(async move {
            while let Some(piece) = tar.next().await {
                match piece {
                    Ok(data) => reader.send(pb::CopyPiece { data }).await?,
                    Err(error) => {
                        reader.fail(error).await;
                        break;
                    }
                }
            }
            Ok(())
        })
    })
}

/// A message of an archive on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Piece {
    Data(Bytes),
    /// The archive was whole.
    End,
}

/// What a caller sends after the first message.
pub(super) fn data(inputs: Streaming<pb::CopyInput>) -> BoxStream<'static, Result<Piece, Status>> {
    inputs
        .map(|input| {
            Ok(match input?.input {
                Some(copy_input::Input::End(_)) => Piece::End,
                Some(copy_input::Input::Data(data)) => Piece::Data(data),
                Some(copy_input::Input::Start(_)) | None => Piece::Data(Bytes::new()),
            })
        })
        .boxed()
}

/// What is sent as an archive. One that ends without saying that it was whole has broken off: the
/// end of a stream may as well be the end of who sent it.
pub(in super::super) fn archive(
    pieces: BoxStream<'static, Result<Piece, Status>>,
) -> IncomingArchive {
    futures::stream::unfold(Some(pieces), |pieces| async {
        let mut pieces = pieces?;
        match pieces.next().await {
            Some(Ok(Piece::Data(data))) => Some((Ok(data), Some(pieces))),
            Some(Ok(Piece::End)) => None,
            Some(Err(_)) | None => {
                let broken = io::Error::new(io::ErrorKind::ConnectionReset, "the sender broke off");
                Some((Err(broken), None))
            }
        }
    })
    .boxed()
}

/// Passes an archive on to the node that has the container.
pub(super) async fn pass_in(
    mut client: RelayClient<Channel>,
    node: &NodeName,
    start: pb::RelayPath,
    data: BoxStream<'static, Result<Piece, Status>>,
) -> Result<Response<pb::CopyInResponse>, Status> {
    let message = |message| pb::RelayCopy { message: Some(message) };
    let (way, upward) = Upstream::begin(message(Message::Start(start)));
    let pieces = data.map(move |piece| {
        Ok(message(match piece? {
            Piece::Data(data) => Message::Data(data),
            Piece::End => Message::End(true),
        }))
    });
    let broken = async {
        if way.fill(pieces.boxed()).await.is_ok() {
            // All is sent: the answer is what is waited for.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        answer = client.copy_in(upward) => Ok(answer.map_err(|s| relayed(node, s))?),
        () = broken => Err(Status::cancelled("the caller broke off")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn received(pieces: Vec<Result<Piece, Status>>) -> (Vec<u8>, bool) {
        let mut tar = archive(futures::stream::iter(pieces).boxed());
        let (mut bytes, mut broken) = (Vec::new(), false);
        while let Some(piece) = tar.next().await {
            match piece {
                Ok(piece) => bytes.extend_from_slice(&piece),
                Err(_) => broken = true,
            }
        }
        (bytes, broken)
    }

    #[tokio::test]
    async fn only_an_archive_that_says_so_is_whole() {
        let data = |text: &'static str| Ok(Piece::Data(Bytes::from_static(text.as_bytes())));
        let whole = received(vec![data("ab"), data("c"), Ok(Piece::End), data("d")]).await;
        assert_eq!(whole, (b"abc".to_vec(), false));
        assert_eq!(received(vec![data("ab")]).await, (b"ab".to_vec(), true));
        let lost = received(vec![data("ab"), Err(Status::cancelled("")), Ok(Piece::End)]).await;
        assert_eq!(lost, (b"ab".to_vec(), true));
    }
}

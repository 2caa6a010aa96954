//! Files of containers, as tar archives.

use std::io;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use jaco_api::{
    model::{PathInfo, ReplicaId},
    pb::{self, copy_input::Input, exec_client::ExecClient},
};

use crate::{Client, Error, call::MAX_MESSAGE, exec::upward, retry::Repeat};

fn request(replica: &ReplicaId, path: &str) -> pb::PathRequest {
    pb::PathRequest { replica: replica.to_string(), path: path.to_owned() }
}

impl Client {
    /// What is at an absolute path of a container. A link is not followed.
    ///
    /// # Errors
    /// `path_not_found`, `replica_not_found`.
    pub async fn path(&self, replica: &ReplicaId, path: &str) -> Result<PathInfo, Error> {
        let info = self
            .call(Repeat::Harmless, &request(replica, path), |c, r| async move {
                ExecClient::new(c).path(r).await
            })
            .await?;
        Ok(info.into())
    }

    /// A path of a container with everything below it, as a tar archive in pieces. Its first entry
    /// has the last part of the path as its name.
    ///
    /// # Errors
    /// `path_not_found`, `replica_not_found`.
    pub async fn copy_out(
        &self,
        replica: &ReplicaId,
        path: &str,
    ) -> Result<impl Stream<Item = Result<Bytes, Error>> + Send + Unpin + use<>, Error> {
        let pieces = self
            .call(Repeat::Harmless, &request(replica, path), |c, r| async move {
                ExecClient::new(c).max_decoding_message_size(MAX_MESSAGE).copy_out(r).await
            })
            .await?;
        Ok(pieces.map_ok(|piece| piece.data).map_err(Error::from))
    }

    /// Unpacks a tar archive in a directory of a container. An archive that breaks off with an error
    /// is refused by the container's engine; what came before stays. Not repeated.
    ///
    /// # Errors
    /// `path_not_found`, `replica_not_found`, [`Error::Archive`].
    pub async fn copy_in(
        &self,
        replica: &ReplicaId,
        path: &str,
        tar: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), Error> {
        let message = |input| pb::CopyInput { input: Some(input) };
        let (sender, messages) = upward(message(Input::Start(request(replica, path))));
        let mut tar = std::pin::pin!(tar);
        let broken = async move {
            loop {
                let next = match tar.next().await {
                    Some(piece) => Input::Data(piece?),
                    None => Input::End(true),
                };
                let last = matches!(next, Input::End(_));
                // When nobody wants more, the answer says why.
                if sender.send(message(next)).await.is_err() || last {
                    break;
                }
            }
            drop(sender);
            std::future::pending::<io::Result<()>>().await
        };
        let call =
            self.call_once(messages, |c, r| async move { ExecClient::new(c).copy_in(r).await });
        tokio::select! {
            answer = call => answer.map(drop),
            // Without the last message the archive is not taken for whole.
            Err(source) = broken => Err(Error::Archive { source }),
        }
    }
}

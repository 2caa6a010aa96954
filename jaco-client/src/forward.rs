//! Connections to ports of containers.

use bytes::BytesMut;
use jaco_api::pb::{self, exec_client::ExecClient, forward_input, forward_output};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
};
use tonic::Streaming;

use crate::{
    Client, Error, ReplicaPlace, ReplicaTarget, call::MAX_MESSAGE, exec::upward_call, retry::Repeat,
};

/// Bytes in one message.
const PIECE: usize = 32 << 10;

/// A connection to a port of a container.
pub struct Forwarded {
    /// Where it leads.
    pub place: ReplicaPlace,
    sender: mpsc::Sender<pb::ForwardInput>,
    outputs: Streaming<pb::ForwardOutput>,
}

impl std::fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forwarded").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to a TCP port of a container, wherever it is.
    ///
    /// # Errors
    /// `port_unreachable`, `replica_not_running`, `permission_denied`.
    pub async fn forward(&self, target: &ReplicaTarget, port: u16) -> Result<Forwarded, Error> {
        let start = pb::ForwardStart { target: Some(target.into()), port: port.into() };
        let first = pb::ForwardInput { input: Some(forward_input::Input::Start(start)) };
        // A connection that was opened for nothing does no harm.
        let (sender, mut outputs) = self
            .call(Repeat::Harmless, &first, |c, r| async move {
                let (sender, r) = upward_call(r);
                let mut client = ExecClient::new(c).max_decoding_message_size(MAX_MESSAGE);
                Ok(client.forward(r).await?.map(|outputs| (sender, outputs)))
            })
            .await?;
        let place = match outputs.message().await?.and_then(|m| m.output) {
            Some(forward_output::Output::Opened(place)) => place.try_into()?,
            _ => return Err(Error::answer("the first answer does not say where it leads")),
        };
        Ok(Forwarded { place, sender, outputs })
    }
}

impl Forwarded {
    /// Carries bytes between it and `near` until both directions are at their end.
    ///
    /// # Errors
    /// When the far end is lost. A `near` that breaks ends it without one.
    pub async fn carry(self, near: impl AsyncRead + AsyncWrite + Send) -> Result<(), Error> {
        let Self { sender, mut outputs, .. } = self;
        let (mut from, mut to) = tokio::io::split(near);
        let sending = async {
            let mut piece = BytesMut::new();
            loop {
                piece.reserve(PIECE);
                match from.read_buf(&mut piece).await {
                    Ok(0) => break,
                    // Somebody who hung up wants no answer.
                    Err(_) => return Err(None),
                    Ok(_) => {
                        let data = forward_input::Input::Data(piece.split().freeze());
                        if sender.send(pb::ForwardInput { input: Some(data) }).await.is_err() {
                            break;
                        }
                    }
                }
            }
            drop(sender);
            Ok(())
        };
        let receiving = async {
            while let Some(message) = outputs.message().await.map_err(|s| Some(s.into()))? {
                match message.output {
                    Some(forward_output::Output::Data(data)) => {
                        to.write_all(&data).await.map_err(|_| None)?;
                    }
                    Some(forward_output::Output::End(_)) => {
                        to.shutdown().await.map_err(|_| None)?;
                    }
                    Some(forward_output::Output::Opened(_)) | None => {}
                }
            }
            Ok(())
        };
        match tokio::try_join!(sending, receiving) {
            Err(Some(error)) => Err(error),
            Ok(_) | Err(None) => Ok(()),
        }
    }
}

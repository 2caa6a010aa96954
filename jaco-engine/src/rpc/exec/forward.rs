//! Connections to ports of containers.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream::BoxStream};
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{NodeName, ReplicaId},
    pb::{self, forward_input, forward_output::Output},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::{Response, Status, Streaming};

use super::{
    super::{
        Api, Duplex,
        relay::{Upstream, pass_on, relayed},
        stream::{Answers, Gone, Reader, answers},
    },
    site::{Far, Site, Way},
};

/// Bytes in one message.
const PIECE: usize = 32 << 10;

pub(in super::super) fn port(port: u32) -> Result<u16, ApiError> {
    u16::try_from(port)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| ApiError::new(ErrorCode::ValidationFailed, format!("{port} is no port")))
}

/// What a caller sends after the first message.
pub(super) fn data(
    inputs: Streaming<pb::ForwardInput>,
) -> BoxStream<'static, Result<Bytes, Status>> {
    inputs
        .map(|input| {
            Ok(match input?.input {
                Some(forward_input::Input::Data(data)) => data,
                Some(forward_input::Input::Start(_)) | None => Bytes::new(),
            })
        })
        .boxed()
}

/// A connection that is open.
pub(super) enum Opened {
    Here(ReplicaId, Box<dyn Duplex>),
    There(NodeName, Upstream<pb::RelayForward>, Streaming<pb::ForwardOutput>),
}

/// Opens a connection to a port of a container.
pub(super) async fn open(api: &Api, site: Site, port: u16) -> Result<Opened, ApiError> {
    match site.way {
        Way::Here => {
            let replica = site.found.replica.id.clone();
            let connection = connect(api, &replica, &site.found.container, port).await?;
            Ok(Opened::Here(replica, connection))
        }
        Way::There(far) => {
            let Far { mut client, header } = *far;
            let start = pb::RelayForwardStart { header, port: port.into() };
            let message = pb::relay_forward::Message::Start(start);
            let (way, upward) = Upstream::begin(pb::RelayForward { message: Some(message) });
            let answer = client.forward(upward).await;
            let outputs = answer.map_err(|s| relayed(&site.node, s))?.into_inner();
            Ok(Opened::There(site.node, way, outputs))
        }
    }
}

/// Connects to a container of this node.
pub(in super::super) async fn connect(
    api: &Api,
    replica: &ReplicaId,
    container: &str,
    port: u16,
) -> Result<Box<dyn Duplex>, ApiError> {
    api.containers.connect(container, port).await.map_err(|error| ApiError {
        message: format!("replica {replica}: {}", error.message),
        ..error
    })
}

impl Opened {
    /// Carries bytes in both directions until both ends have closed.
    pub(super) fn carry(
        self,
        api: &Arc<Api>,
        data: BoxStream<'static, Result<Bytes, Status>>,
    ) -> Response<Answers<pb::ForwardOutput>> {
        match self {
            Self::Here(replica, connection) => forward(api, &replica, connection, data),
            Self::There(node, way, outputs) => {
                let data = data.map(|piece| {
                    let message = pb::relay_forward::Message::Data(piece?);
                    Ok(pb::RelayForward { message: Some(message) })
                });
                pass_on(api, node, data.boxed(), way, outputs)
            }
        }
    }
}

/// Carries bytes to and from a connection of this node.
pub(in super::super) fn forward(
    api: &Arc<Api>,
    replica: &ReplicaId,
    connection: Box<dyn Duplex>,
    data: BoxStream<'static, Result<Bytes, Status>>,
) -> Response<Answers<pb::ForwardOutput>> {
    let place = pb::ReplicaPlace { replica: replica.to_string(), node: api.node.to_string() };
    answers(api, |reader| Box::pin(exchange(place, connection, data, reader)))
}

async fn exchange(
    place: pb::ReplicaPlace,
    connection: Box<dyn Duplex>,
    mut data: BoxStream<'static, Result<Bytes, Status>>,
    reader: Reader<pb::ForwardOutput>,
) -> Result<(), Gone> {
    reader.send(message(Output::Opened(place))).await?;
    let (mut from, mut to) = tokio::io::split(connection);
    let sending = async {
        while let Some(piece) = data.next().await {
            // One who breaks off wants nothing more; the end of the stream is the end of sending.
            let piece = piece.map_err(|_| Gone)?;
            if to.write_all(&piece).await.is_err() {
                // What is received says what has become of the connection.
                return Ok(());
            }
        }
        let _ = to.shutdown().await;
        Ok(())
    };
    let receiving = async {
        let mut piece = BytesMut::new();
        loop {
            piece.reserve(PIECE);
            match from.read_buf(&mut piece).await {
                Ok(0) => return reader.send(message(Output::End(true))).await,
                Ok(_) => reader.send(message(Output::Data(piece.split().freeze()))).await?,
                Err(error) => {
                    let lost = format!("the connection was lost: {error}");
                    reader.fail(ApiError::new(ErrorCode::PortUnreachable, lost)).await;
                    return Err(Gone);
                }
            }
        }
    };
    tokio::select! {
        both = async { tokio::try_join!(sending, receiving) } => both.map(drop),
        () = reader.gone() => Err(Gone),
    }
}

fn message(output: Output) -> pb::ForwardOutput {
    pb::ForwardOutput { output: Some(output) }
}

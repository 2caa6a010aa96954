//! The answer of a replica, as it comes.

use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tokio::net::TcpStream;

use super::{
    Connection, Fault,
    decoder::{Decoded, Decoder},
};

/// The body of an answer, and the connection from which it comes.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Gone when the body has ended.
    connection: Option<Box<Connection>>,
    decoder: Decoder,
    keep: bool,
}

impl Answer {
    pub(super) fn new(connection: Box<Connection>, decoder: Decoder, keep: bool) -> Self {
        Self { connection: Some(connection), decoder, keep }
    }

    /// The connection, once the body has ended and if it can take another request.
    pub(crate) fn connection(&mut self) -> Option<Box<Connection>> {
        if !self.decoder.has_ended() {
            return None;
        }
        self.connection.take().filter(|_| self.keep)?.rested()
    }

    /// The connection with what was read of it, for another protocol.
    pub(crate) fn into_parts(self) -> Option<(TcpStream, BytesMut)> {
        self.connection?.into_parts()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.decoder.has_ended()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.decoder.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        Poll::Ready(loop {
            let Some(connection) = &mut self.connection else { break None };
            match self.decoder.decode(&mut connection.buffer) {
                Ok(Decoded::Data(data)) => break Some(Ok(Frame::data(data))),
                Ok(Decoded::Trailers(trailers)) => break Some(Ok(Frame::trailers(trailers))),
                Ok(Decoded::Ended) => break None,
                Ok(Decoded::More) => match ready!(connection.poll_more(cx)) {
                    Ok(0) if self.decoder.ends_by_closing() => {
                        self.decoder = Decoder::EMPTY;
                        self.connection = None;
                        break None;
                    }
                    Ok(0) => break Some(Err(Fault::Closed)),
                    Ok(_) => {}
                    Err(error) => break Some(Err(error.into())),
                },
                Err(fault) => break Some(Err(fault)),
            }
        })
    }
}

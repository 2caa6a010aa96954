//! A request on its way to a replica.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderName;
use http_body::{Body as _, Frame};
use tokio::{io::AsyncWrite as _, net::tcp::OwnedWriteHalf};

use super::{
    Fault,
    request::{self, Framing, Request},
};
use crate::proxy::body::{BodyFault, RequestBody};

/// So much is gathered before it is written.
const GATHERED: usize = 16 * 1024;
/// A part of a body that is not larger is copied behind what is before it.
const SMALL: usize = 4096;

/// The sending half of an exchange.
#[derive(Debug)]
pub(crate) struct Upload {
    write: OwnedWriteHalf,
    body: RequestBody,
    framing: Framing,
    announced: Vec<HeaderName>,
    /// Written next.
    out: BytesMut,
    /// Written behind it: a part of the body that is too large to be copied.
    part: Bytes,
    ended: bool,
    /// Whether anything was written.
    begun: bool,
    /// Whether anything of the body was taken.
    touched: bool,
}

impl Upload {
    pub(super) fn new(write: OwnedWriteHalf, request: &Request<'_>, body: RequestBody) -> Self {
        let framing = Framing::of(&body);
        let ended = framing == Framing::Empty;
        Self {
            write,
            framing,
            announced: if ended { Vec::new() } else { request::announced(request.headers) },
            out: request.head(framing),
            part: Bytes::new(),
            ended,
            begun: false,
            touched: false,
            body,
        }
    }

    /// Whether everything was written.
    pub(super) fn is_done(&self) -> bool {
        self.ended && self.is_written()
    }

    fn is_written(&self) -> bool {
        self.out.is_empty() && self.part.is_empty()
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Its body, if nothing at all was sent and it is whole.
    pub(super) fn unsent(self) -> Option<RequestBody> {
        (!self.begun && !self.touched).then_some(self.body)
    }

    pub(super) fn into_write(self) -> OwnedWriteHalf {
        self.write
    }

    /// Writes what is left.
    pub(crate) async fn finish(mut self) {
        match poll_fn(|cx| self.poll(cx)).await {
            // Many a replica takes the end of what is sent for the end of the connection.
            Ok(()) => self.write.forget(),
            Err(fault) => {
                tracing::trace!(reason = &fault as &dyn std::error::Error, "an upload ended");
            }
        }
    }

    /// Writes until all is written, or neither the body nor the connection gives way.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        loop {
            let gathered = self.gather(cx)?;
            if self.is_written() {
                return match gathered {
                    Poll::Ready(()) => Poll::Ready(Ok(())),
                    Poll::Pending => Poll::Pending,
                };
            }
            ready!(self.write(cx))?;
        }
    }

    /// Takes parts of the body until there is enough for a write. Ready when there is enough, or nothing is left.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Fault> {
        while !self.ended && self.part.is_empty() && self.out.len() < GATHERED {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Some(frame)) => self.take(frame?)?,
                Poll::Ready(None) => self.end(None)?,
            }
            self.touched = true;
        }
        Ok(Poll::Ready(()))
    }

    fn take(&mut self, frame: Frame<Bytes>) -> Result<(), Fault> {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => return self.end(Some(frame)),
        };
        if data.is_empty() {
            return Ok(());
        }
        match &mut self.framing {
            Framing::Chunked => request::chunk(&mut self.out, data.len()),
            Framing::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(BodyFault::Broken)?;
            }
            Framing::Empty => return Err(BodyFault::Broken.into()),
        }
        if data.len() <= SMALL {
            self.out.extend_from_slice(&data);
            self.close_chunk();
        } else {
            self.part = data;
        }
        Ok(())
    }

    fn close_chunk(&mut self) {
        if self.framing == Framing::Chunked {
            self.out.extend_from_slice(b"\r\n");
        }
    }

    fn end(&mut self, trailers: Option<Frame<Bytes>>) -> Result<(), Fault> {
        self.ended = true;
        match self.framing {
            Framing::Chunked => {
                let trailers = trailers.as_ref().and_then(Frame::trailers_ref);
                request::end(&mut self.out, &self.announced, trailers);
                Ok(())
            }
            Framing::Length(1..) => Err(BodyFault::Broken.into()),
            Framing::Length(0) | Framing::Empty => Ok(()),
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let write = Pin::new(&mut self.write);
        let written = if self.part.is_empty() {
            ready!(write.poll_write(cx, &self.out))?
        } else {
            let both = [IoSlice::new(&self.out), IoSlice::new(&self.part)];
            ready!(write.poll_write_vectored(cx, &both))?
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.begun = true;
        let of_out = written.min(self.out.len());
        self.out.advance(of_out);
        if !self.part.is_empty() {
            self.part.advance(written - of_out);
            if self.part.is_empty() {
                self.close_chunk();
            }
        }
        Poll::Ready(Ok(()))
    }
}

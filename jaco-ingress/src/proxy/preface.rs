//! The first bytes of a connection: who it is about, and what it speaks.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::proxy_header::{self, Start};

const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection of which the first bytes were read already. They are read again first.
pub(crate) struct Prefixed<S> {
    read: BytesMut,
    inner: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Prefixed<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self::after(BytesMut::new(), inner)
    }

    /// One of which these bytes were read already.
    pub(crate) fn after(read: BytesMut, inner: S) -> Self {
        Self { read, inner }
    }

    async fn more(&mut self) -> io::Result<bool> {
        Ok(self.inner.read_buf(&mut self.read).await? > 0)
    }

    /// Takes a PROXY header away, if there is one. `None`: none, or one that names nobody.
    ///
    /// # Errors
    /// The connection failed or ended, or the header is broken.
    pub(crate) async fn proxy_header(&mut self) -> io::Result<Option<SocketAddr>> {
        loop {
            match proxy_header::read(&self.read) {
                Start::Other => return Ok(None),
                Start::Broken => return Err(io::ErrorKind::InvalidData.into()),
                Start::Header(length, source) => {
                    self.read.advance(length);
                    return Ok(source);
                }
                Start::More => {
                    if !self.more().await? {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        }
    }

    /// Whether HTTP/2 is spoken.
    ///
    /// # Errors
    /// The connection failed or ended before this could be told.
    pub(crate) async fn is_http2(&mut self) -> io::Result<bool> {
        loop {
            let common = self.read.len().min(HTTP2.len());
            if self.read[..common] != HTTP2[..common] {
                return Ok(false);
            }
            if common == HTTP2.len() {
                return Ok(true);
            }
            if !self.more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let length = self.read.len().min(buf.remaining());
        buf.put_slice(&self.read.split_to(length));
        if self.read.is_empty() {
            self.read = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

//! Connections with what is known of their other end.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt as _};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    net::{TcpStream, UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::transport::server::Connected;

use crate::{admission::Peer, pki};

/// Connections of one listener at a time; more wait.
const MOST_CONNECTIONS: usize = 1_024;

/// A connection whose other end is known.
pub struct Accepted<T> {
    io: T,
    peer: Peer,
    _place: Option<OwnedSemaphorePermit>,
}

impl<T> Connected for Accepted<T> {
    type ConnectInfo = Peer;
    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

/// Connections inside the process, sent over a channel.
pub fn duplex(
    incoming: mpsc::Receiver<DuplexStream>,
) -> impl Stream<Item = io::Result<Accepted<DuplexStream>>> {
    ReceiverStream::new(incoming).map(|io| Ok(Accepted { io, peer: Peer::InProcess, _place: None }))
}

/// Connections inside the process as if they came from a member over TLS, for tests.
#[cfg(test)]
pub(crate) fn from_member(
    incoming: mpsc::Receiver<DuplexStream>,
    member: pki::PeerIdentity,
) -> impl Stream<Item = io::Result<Accepted<DuplexStream>>> {
    let address = ([127, 0, 0, 1], 1).into();
    ReceiverStream::new(incoming).map(move |io| {
        let peer = Peer::Remote { address, certificate: Some(member.clone()) };
        Ok(Accepted { io, peer, _place: None })
    })
}

/// Connections of the local socket. One whose credentials the kernel does not tell is dropped.
pub fn local(listener: UnixListener) -> impl Stream<Item = io::Result<Accepted<UnixStream>>> {
    limited(UnixListenerStream::new(listener)).filter_map(|(io, place)| async move {
        let io = io.inspect_err(|error| tracing::warn!(%error, "cannot accept")).ok()?;
        let credentials = io.peer_cred();
        let credentials = credentials
            .inspect_err(|error| tracing::warn!(%error, "connection without credentials dropped"))
            .ok()?;
        let peer =
            Peer::Local { uid: credentials.uid(), gid: credentials.gid(), pid: credentials.pid() };
        Some(Ok(Accepted { io, peer, _place: Some(place) }))
    })
}

/// Connections of a TLS port. One whose certificate names no node is dropped: the handshake has
/// verified its chain, so it was not made by this program.
pub fn remote(
    incoming: pki::TlsIncoming,
) -> impl Stream<Item = io::Result<Accepted<TlsStream<TcpStream>>>> {
    limited(incoming).filter_map(|(io, place)| async move {
        let io = io.ok()?;
        let (tcp, tls) = io.get_ref();
        let address = tcp.peer_addr().ok()?;
        let certificate = match tls.peer_certificates().and_then(<[_]>::first) {
            None => None,
            Some(der) => {
                let identity = pki::peer_identity(der);
                let identity = identity
                    .inspect_err(|error| tracing::warn!(%address, %error, "connection dropped"))
                    .ok()?;
                Some(identity)
            }
        };
        let peer = Peer::Remote { address, certificate };
        Some(Ok(Accepted { io, peer, _place: Some(place) }))
    })
}

/// Takes the next connection only when there is a place for it.
fn limited<S: Stream + Unpin>(incoming: S) -> impl Stream<Item = (S::Item, OwnedSemaphorePermit)> {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    futures::stream::unfold((incoming, places), |(mut incoming, places)| async move {
        let place = Arc::clone(&places).acquire_owned().await.ok()?;
        let next = incoming.next().await?;
        Some(((next, place), (incoming, places)))
    })
}

impl<T: AsyncRead + Unpin> AsyncRead for Accepted<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Accepted<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

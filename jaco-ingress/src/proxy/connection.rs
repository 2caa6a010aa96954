//! Connections: accepted, bounded, told apart, and ended in good order.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use hyper::{
    Request,
    body::Incoming,
    header::HeaderValue,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use super::{
    Shared, Transport, headers, http, http1::Upload, impatient::Impatient, preface::Prefixed,
    visitors::Visit,
};

/// How long nothing is accepted after accepting failed, for want of descriptors mostly.
const PAUSE: Duration = Duration::from_millis(50);
/// More buffered from one HTTP/1.1 client is not read before it is handed on.
const BUFFER: usize = 64 * 1024;

/// What hyper bears by itself, which costs less than being told so.
const HEADERS: usize = 100;

/// One listener that is being served.
pub(super) struct Serving {
    pub(super) shared: Arc<Shared>,
    transport: Transport,
    /// Nothing new is taken.
    stop: CancellationToken,
    /// What is under way is given up.
    pub(super) kill: CancellationToken,
    /// Connections and tunnels.
    pub(super) tasks: TaskTracker,
}

/// Who is connected: held by the connection, and by the tunnel that it may become.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// The address as a header tells it.
    pub(super) name: HeaderValue,
    pub(super) trusted: bool,
    pub(super) secure: bool,
    _visit: Visit,
}

/// What one HTTP/2 connection has under way.
#[derive(Debug, Default)]
pub(super) struct Load {
    open: AtomicUsize,
    begun: AtomicU64,
}

/// A request on such a connection.
#[derive(Debug)]
pub(super) struct Open(Arc<Load>);

impl Open {
    fn begin(load: &Arc<Load>) -> Self {
        load.open.fetch_add(1, Relaxed);
        load.begun.fetch_add(1, Relaxed);
        Self(Arc::clone(load))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

/// Serves until `stop`; then what is under way has its time.
pub(super) async fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    transport: Transport,
    stop: CancellationToken,
) {
    let kill = CancellationToken::new();
    let tasks = TaskTracker::new();
    let drain = shared.limits.drain_time;
    let serving = Arc::new(Serving { shared, transport, stop, kill, tasks });
    // Whoever drops this future gives up what is under way.
    let killing = serving.kill.clone().drop_guard();
    loop {
        let accepted = tokio::select! {
            biased;
            () = serving.stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => serving.begin(stream, peer),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    serving.tasks.close();
    if tokio::time::timeout(drain, serving.tasks.wait()).await.is_err() {
        drop(killing);
        serving.tasks.wait().await;
    }
}

impl Serving {
    fn begin(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        if self.tasks.len() >= self.shared.limits.connections {
            tracing::debug!(%peer, "refused: too many connections");
            return;
        }
        let serving = Arc::clone(self);
        self.tasks.spawn(async move {
            let kill = serving.kill.clone();
            let connection = Box::pin(serving.connection(stream, peer));
            tokio::select! {
                biased;
                () = connection => {}
                () = kill.cancelled() => {}
            }
        });
    }

    /// Sends the rest of a request whose answer has begun, until nobody holds what is given.
    pub(super) fn finish(&self, upload: Upload) -> AbortOnDropHandle<()> {
        let kill = self.kill.clone();
        AbortOnDropHandle::new(self.tasks.spawn(async move {
            tokio::select! {
                () = upload.finish() => {}
                () = kill.cancelled() => {}
            }
        }))
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, address: SocketAddr) {
        let limits = &self.shared.limits;
        super::pool::tune(&stream);
        let mut stream = Prefixed::new(Impatient::new(stream, limits.take_time));
        let (mut address, mut trusted) = (address, limits.trusts(address.ip()));
        if trusted {
            let told = tokio::time::timeout(limits.head_time, stream.proxy_header()).await;
            let Ok(Ok(told)) = told else { return };
            if let Some(visitor) = told {
                address = visitor;
                trusted = limits.trusts(visitor.ip());
            }
        }
        let most = if trusted { usize::MAX } else { limits.connections_per_ip };
        let Some(visit) = self.shared.visitors.enter(address.ip(), most) else {
            tracing::debug!(peer = %address, "refused: too many connections of one address");
            return;
        };
        let secure = matches!(self.transport, Transport::Tls(_));
        let name = headers::address(address.ip());
        let peer = Arc::new(Peer { address, name, trusted, secure, _visit: visit });
        match &self.transport {
            Transport::Plain => self.speak(stream, peer).await,
            Transport::Tls(config) => {
                let handshake = Box::pin(TlsAcceptor::from(Arc::clone(config)).accept(stream));
                let Ok(Ok(stream)) = tokio::time::timeout(limits.handshake_time, handshake).await
                else {
                    return;
                };
                match stream.get_ref().1.alpn_protocol() {
                    // The handshake was the whole answer to a CA.
                    Some(b"acme-tls/1") => {}
                    _ => self.speak(Prefixed::new(stream), peer).await,
                }
            }
        }
    }

    async fn speak<S>(self: &Arc<Self>, mut stream: Prefixed<S>, peer: Arc<Peer>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let head_time = self.shared.limits.head_time;
        let told = tokio::select! {
            told = tokio::time::timeout(head_time, stream.is_http2()) => told,
            // It has not asked for anything yet.
            () = self.stop.cancelled() => return,
        };
        match told {
            // Boxed, so that an idle connection has the size of what it speaks.
            Ok(Ok(true)) => Box::pin(self.speak_http2(stream, peer)).await,
            Ok(Ok(false)) => Box::pin(self.speak_http1(stream, peer)).await,
            Ok(Err(_)) | Err(_) => {}
        }
    }

    async fn speak_http1<S>(self: &Arc<Self>, stream: Prefixed<S>, peer: Arc<Peer>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &self.shared.limits;
        let service = service_fn(|request: Request<Incoming>| {
            let (serving, peer) = (Arc::clone(self), Arc::clone(&peer));
            async move { Ok::<_, Infallible>(http::answer(serving, peer, None, request).await) }
        });
        let mut builder = http1::Builder::new();
        if limits.headers != HEADERS {
            builder.max_headers(limits.headers);
        }
        let connection = builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_time)
            .max_header_size(limits.head_bytes as usize)
            .max_buf_size(BUFFER.max(limits.head_bytes as usize))
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let finish =
            |connection: Pin<&mut _>| http1::UpgradeableConnection::graceful_shutdown(connection);
        self.drive(Box::pin(connection), finish, std::future::pending()).await;
    }

    async fn speak_http2<S>(self: &Arc<Self>, stream: Prefixed<S>, peer: Arc<Peer>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &self.shared.limits;
        let load = Arc::new(Load::default());
        let begins = Arc::clone(&load);
        let serving = Arc::clone(self);
        let service = service_fn(move |request: Request<Incoming>| {
            let (serving, open) = (Arc::clone(&serving), Open::begin(&begins));
            let peer = Arc::clone(&peer);
            async move { Ok::<_, Infallible>(http::answer(serving, peer, Some(open), request).await) }
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_pending_accept_reset_streams(limits.reset_streams)
            .max_header_list_size(limits.head_bytes)
            .initial_stream_window_size(256 * 1024)
            .initial_connection_window_size(1 << 20)
            .max_send_buf_size(256 * 1024)
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20))
            .serve_connection(TokioIo::new(stream), service);
        let finish = |connection: Pin<&mut _>| http2::Connection::graceful_shutdown(connection);
        self.drive(Box::pin(connection), finish, idle(load, limits.head_time)).await;
    }

    /// Lets the connection run; when this listener stops, or the connection is of no use any more, it finishes what
    /// it has.
    async fn drive<C>(
        &self,
        mut connection: Pin<Box<C>>,
        finish: impl FnOnce(Pin<&mut C>),
        idle: impl Future<Output = ()>,
    ) where
        C: Future<Output = hyper::Result<()>>,
    {
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => Some(ended),
            () = self.stop.cancelled() => None,
            () = idle => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                finish(connection.as_mut());
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::trace!(%error, "a connection ended");
        }
    }
}

/// Ends when nothing was asked for some time and nothing is under way.
async fn idle(load: Arc<Load>, patience: Duration) {
    let mut seen = load.begun.load(Relaxed);
    loop {
        tokio::time::sleep(patience).await;
        let begun = load.begun.load(Relaxed);
        if begun == seen && load.open.load(Relaxed) == 0 {
            return;
        }
        seen = begun;
    }
}

//! Connections: accepted, bounded, told apart, and ended in good order.

use std::{
    convert::Infallible,
    future::Future,
    io,
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
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use super::{
    Shared, Transport,
    alarm::Alarms,
    authority::LastAuthority,
    forwarding, http,
    http1::Upload,
    impatient::Impatient,
    preface::Prefixed,
    streams::{Begun, WithStreams},
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
    /// What is under way is given up; only after `stop`.
    pub(super) kill: CancellationToken,
    /// Connections and tunnels.
    pub(super) tasks: TaskTracker,
}

type Client = Prefixed<Impatient<TcpStream>>;

/// A connection of which is known what it speaks.
enum Greeted {
    Plain(Client),
    Tls(Box<Prefixed<TlsStream<Client>>>),
}

/// Who is connected: held by the connection, and by the tunnel that it may become.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// The address as a header tells it.
    pub(super) name: HeaderValue,
    pub(super) trusted: bool,
    pub(super) secure: bool,
    pub(super) authority: LastAuthority,
    pub(super) alarms: Alarms,
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
    let (stop, kill) = (stop.child_token(), CancellationToken::new());
    let tasks = TaskTracker::new();
    let drain = shared.limits.drain_time;
    let serving = Arc::new(Serving { shared, transport, stop, kill, tasks });
    // Whoever drops this future gives up what is under way. What was made last is dropped first.
    let killing = serving.kill.clone().drop_guard();
    let _stopping = serving.stop.clone().drop_guard();
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
            let greeted = tokio::select! {
                greeted = Box::pin(serving.greet(stream, peer)) => greeted,
                // It has not asked for anything yet.
                () = serving.stop.cancelled() => None,
            };
            match greeted {
                Some((Greeted::Plain(stream), peer, http2)) => {
                    serving.speak(stream, peer, http2).await;
                }
                Some((Greeted::Tls(stream), peer, http2)) => {
                    serving.speak(*stream, peer, http2).await;
                }
                None => {}
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

    /// Finds out who is connected, and whether HTTP/2 is spoken. `None`: the connection is of no use.
    async fn greet(
        &self,
        stream: TcpStream,
        mut address: SocketAddr,
    ) -> Option<(Greeted, Arc<Peer>, bool)> {
        let limits = &self.shared.limits;
        super::pool::tune(&stream);
        let mut stream = Prefixed::new(Impatient::new(stream, limits.take_time));
        let mut trusted = limits.trusts(address.ip());
        if trusted && let Some(visitor) = within(limits.head_time, stream.proxy_header()).await? {
            address = visitor;
            trusted = limits.trusts(visitor.ip());
        }
        let most = if trusted { usize::MAX } else { limits.connections_per_ip };
        let Some(visit) = self.shared.visitors.enter(address.ip(), most) else {
            tracing::debug!(peer = %address, "refused: too many connections of one address");
            return None;
        };
        let secure = matches!(self.transport, Transport::Tls(_));
        let name = forwarding::address(address.ip());
        let peer = Arc::new(Peer {
            address,
            name,
            trusted,
            secure,
            authority: LastAuthority::default(),
            alarms: Alarms::default(),
            _visit: visit,
        });
        match &self.transport {
            Transport::Plain => {
                let http2 = within(limits.head_time, stream.is_http2()).await?;
                Some((Greeted::Plain(stream), peer, http2))
            }
            Transport::Tls(config) => {
                let acceptor = TlsAcceptor::from(Arc::clone(config));
                let stream = within(limits.handshake_time, acceptor.accept(stream)).await?;
                // The handshake was the whole answer to a CA.
                if stream.get_ref().1.alpn_protocol() == Some(b"acme-tls/1") {
                    return None;
                }
                let mut stream = Prefixed::new(stream);
                let http2 = within(limits.head_time, stream.is_http2()).await?;
                Some((Greeted::Tls(Box::new(stream)), peer, http2))
            }
        }
    }

    async fn speak<S>(self: &Arc<Self>, stream: Prefixed<S>, peer: Arc<Peer>, http2: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // Boxed, so that an idle connection has the size of what it speaks.
        match http2 {
            true => Box::pin(self.speak_http2(stream, peer)).await,
            false => Box::pin(self.speak_http1(stream, peer)).await,
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
            .timer(peer.alarms.clone())
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
        let streams = Begun::default();
        let connection = http2::Builder::new(streams.clone())
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
        let finish = |mut connection: Pin<&mut WithStreams<_>>| {
            http2::Connection::graceful_shutdown(connection.connection());
        };
        let connection = Box::pin(WithStreams::new(connection, streams));
        self.drive(connection, finish, idle(load, limits.head_time)).await;
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
                tokio::select! {
                    ended = connection => ended,
                    () = self.kill.cancelled() => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::trace!(%error, "a connection ended");
        }
    }
}

/// What comes in time and without a mistake.
async fn within<T>(time: Duration, step: impl Future<Output = io::Result<T>>) -> Option<T> {
    tokio::time::timeout(time, step).await.ok()?.ok()
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

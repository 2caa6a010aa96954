//! The connections to one upstream: idle ones of HTTP/1.1, the shared one of HTTP/2.
//!
//! The pool never tries again by itself. A request that could not be sent comes back to who sent it, who knows
//! whether sending it once more is harmless and to whom.

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{net::TcpStream, runtime::Handle, time::Instant};

use super::{body::RequestBody, http1, upstream::Endpoint};
use crate::route::UpstreamProtocol;

/// So many idle connections are kept for one upstream.
const IDLE: usize = 512;
/// And each not longer than this: less than what servers commonly allow.
const IDLE_TIME: Duration = Duration::from_secs(55);
/// So often are those let go that are too old, or that the upstream has closed.
const SWEEP: Duration = Duration::from_secs(10);

type Http2 = http2::SendRequest<RequestBody>;

/// A connection that takes one request.
pub(crate) enum Connection {
    /// It takes one at a time.
    Http1(Box<http1::Connection>),
    /// It takes many.
    Http2(Http2),
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http1(_) => "Http1",
            Self::Http2(_) => "Http2",
        })
    }
}

/// What is asked of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) protocol: UpstreamProtocol,
    /// It was not used before.
    pub(crate) fresh: bool,
    /// What is sent cannot be sent again: the kernel is asked whether the upstream has closed it.
    pub(crate) surely_open: bool,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("the upstream cannot be connected to")]
    Connect(#[source] io::Error),
    #[error("the upstream did not take the connection in time")]
    TimedOut,
    #[error("the upstream does not speak the protocol of the route")]
    Handshake(#[source] hyper::Error),
}

#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<Idle>,
    shared: Mutex<Option<Http2>>,
    /// One handshake at a time: the others wait for its connection.
    dialing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Idle {
    /// Last used last.
    connections: Vec<(Box<http1::Connection>, Instant)>,
    /// Whether somebody looks after them.
    swept: bool,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Pool {
    fn idle(&self, surely_open: bool) -> Option<Box<http1::Connection>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((connection, since)) = idle.connections.pop() {
            let usable = since.elapsed() < IDLE_TIME && connection.is_open();
            if usable && (!surely_open || connection.is_open_now()) {
                return Some(connection);
            }
        }
        None
    }

    /// Lets go of what is too old or closed, and of the memory of the others. Whether anything is left; if not, nobody
    /// looks after it from now on.
    fn sweep(&self) -> bool {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.connections
            .retain(|(connection, since)| since.elapsed() < IDLE_TIME && connection.is_open());
        idle.connections.iter_mut().for_each(|(connection, _)| connection.forget());
        idle.swept = !idle.connections.is_empty();
        idle.swept
    }

    fn shared(&self) -> Option<Http2> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.as_ref().is_some_and(Http2::is_closed) {
            *shared = None;
        }
        shared.clone()
    }
}

async fn sweep(endpoint: Weak<Endpoint>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        match endpoint.upgrade() {
            Some(endpoint) if endpoint.pool.sweep() => {}
            _ => return,
        }
    }
}

impl Endpoint {
    /// Keeps a connection on which an exchange came to its end.
    pub(crate) fn give_back(self: &Arc<Self>, connection: Box<http1::Connection>) {
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.connections.len() >= IDLE {
            return;
        }
        idle.connections.push((connection, Instant::now()));
        // There is no runtime any more when everything is dropped at the end.
        if !idle.swept
            && let Ok(runtime) = Handle::try_current()
        {
            idle.swept = true;
            runtime.spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// A connection, and whether it was used before.
    pub(crate) async fn connection(
        &self,
        wanted: Wanted,
        within: Duration,
    ) -> Result<(Connection, bool), ConnectError> {
        match wanted.protocol {
            UpstreamProtocol::Http1 => {
                if !wanted.fresh
                    && let Some(connection) = self.pool.idle(wanted.surely_open)
                {
                    return Ok((Connection::Http1(connection), true));
                }
                // Boxed, as below: every request would have room for what few of them do.
                let stream = Box::pin(self.dial(within)).await?;
                Ok((Connection::Http1(http1::Connection::new(stream)), false))
            }
            UpstreamProtocol::H2c => {
                // A closed one is never given, so that `fresh` needs no other way.
                if let Some(connection) = self.pool.shared() {
                    return Ok((Connection::Http2(connection), true));
                }
                let _dialing = self.pool.dialing.lock().await;
                if let Some(connection) = self.pool.shared() {
                    return Ok((Connection::Http2(connection), true));
                }
                let connection = Box::pin(self.dial_http2(within)).await?;
                let mut shared = self.pool.shared.lock().unwrap_or_else(PoisonError::into_inner);
                *shared = Some(connection.clone());
                Ok((Connection::Http2(connection), false))
            }
        }
    }

    /// A TCP connection. Its success or failure is remembered.
    pub(crate) async fn dial(&self, within: Duration) -> Result<TcpStream, ConnectError> {
        let dialed = tokio::time::timeout(within, TcpStream::connect(self.address)).await;
        let result = match dialed {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(source)) => Err(ConnectError::Connect(source)),
            Err(_) => Err(ConnectError::TimedOut),
        };
        match &result {
            Ok(stream) => {
                self.reached();
                tune(stream);
            }
            Err(_) => self.unreachable(),
        }
        result
    }

    async fn dial_http2(&self, within: Duration) -> Result<Http2, ConnectError> {
        let stream = self.dial(within).await?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .keep_alive_while_idle(false)
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ConnectError::Handshake)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::trace!(%error, "connection to an upstream ended");
            }
        });
        Ok(sender)
    }
}

/// Small writes go at once, and a peer whose host is gone is found out.
pub(crate) fn tune(stream: &TcpStream) {
    use rustix::net::sockopt;
    // Neither is needed for the connection to work.
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, Duration::from_secs(60));
    let _ = sockopt::set_tcp_keepintvl(stream, Duration::from_secs(15));
    let _ = sockopt::set_tcp_keepcnt(stream, 4);
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const BOUND: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_connection_that_the_upstream_has_closed_is_let_go() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = Arc::new(Endpoint::new(listener.local_addr().expect("bound")));
        let fresh = Wanted { protocol: UpstreamProtocol::Http1, fresh: true, surely_open: false };
        let mut held = Vec::new();
        for _ in 0..2 {
            let (connection, used) = endpoint.connection(fresh, BOUND).await.expect("accepted");
            let Connection::Http1(connection) = connection else { panic!("{connection:?}") };
            assert!(!used);
            held.push(listener.accept().await.expect("one that waits").0);
            endpoint.give_back(connection);
        }
        let idle = || endpoint.pool.idle.lock().expect("not poisoned").connections.len();
        assert!(endpoint.pool.sweep() && idle() == 2);
        for left in [1, 0] {
            held.pop();
            let gone = async {
                while idle() != left {
                    tokio::task::yield_now().await;
                    assert_eq!(endpoint.pool.sweep(), idle() > 0);
                }
            };
            tokio::time::timeout(BOUND, gone).await.expect("it is let go");
        }
        assert!(endpoint.pool.idle(false).is_none());
    }
}

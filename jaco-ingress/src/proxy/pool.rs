//! The connections to one upstream: idle ones of HTTP/1.1, the shared one of HTTP/2.
//!
//! The pool never tries again by itself. A request that could not be sent comes back to who sent it, who knows
//! whether sending it once more is harmless and to whom.

use std::{
    fmt, io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{net::TcpStream, time::Instant};

use super::{body::RequestBody, upstream::Endpoint};
use crate::route::UpstreamProtocol;

/// So many idle connections are kept for one upstream.
const IDLE: usize = 128;
/// And each not longer than this: less than what servers commonly allow.
const IDLE_TIME: Duration = Duration::from_secs(55);

type Http1 = http1::SendRequest<RequestBody>;
type Http2 = http2::SendRequest<RequestBody>;

/// A connection that takes one request.
pub(crate) enum Connection {
    /// It takes one at a time.
    Http1(Http1),
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
    /// Last used last.
    idle: Mutex<Vec<(Http1, Instant)>>,
    shared: Mutex<Option<Http2>>,
    /// One handshake at a time: the others wait for its connection.
    dialing: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Pool {
    /// Keeps a connection on which an exchange came to its end.
    pub(crate) fn give_back(&self, connection: Http1) {
        if connection.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push((connection, Instant::now()));
        }
    }

    fn idle(&self) -> Option<Http1> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = Instant::now().checked_sub(IDLE_TIME);
        if let Some(oldest) = oldest
            && idle.first().is_some_and(|(_, last)| *last < oldest)
        {
            idle.retain(|(connection, last)| *last >= oldest && !connection.is_closed());
        }
        // One that was given back this very moment may not be ready yet: another one, or a new one, is.
        let at = idle.iter().rposition(|(connection, _)| connection.is_ready())?;
        Some(idle.remove(at).0)
    }

    fn shared(&self) -> Option<Http2> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.as_ref().is_some_and(Http2::is_closed) {
            *shared = None;
        }
        shared.clone()
    }
}

impl Endpoint {
    /// A connection, and whether it was used before. `fresh` asks for one that was not.
    pub(crate) async fn connection(
        &self,
        protocol: UpstreamProtocol,
        fresh: bool,
        within: Duration,
    ) -> Result<(Connection, bool), ConnectError> {
        match protocol {
            UpstreamProtocol::Http1 => {
                if !fresh && let Some(connection) = self.pool.idle() {
                    return Ok((Connection::Http1(connection), true));
                }
                // Boxed, as below: every request would have room for what few of them do.
                Ok((Connection::Http1(Box::pin(self.dial_http1(within)).await?), false))
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

    async fn dial_http1(&self, within: Duration) -> Result<Http1, ConnectError> {
        let stream = self.dial(within).await?;
        let (sender, connection) = http1::Builder::new()
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ConnectError::Handshake)?;
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::trace!(%error, "connection to an upstream ended");
            }
        });
        Ok(sender)
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

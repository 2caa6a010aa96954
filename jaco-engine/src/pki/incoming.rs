//! TLS connections of a listening port, as tonic takes them.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::Stream;
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// A caller that has not finished its handshake by then is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes at a time; more wait in the kernel's queue.
const HANDSHAKES: usize = 256;
/// After an error of `accept`, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Finished handshakes. Dropping it stops accepting.
#[derive(Debug)]
pub struct TlsIncoming {
    ready: mpsc::Receiver<io::Result<TlsStream<TcpStream>>>,
    accepting: JoinHandle<()>,
}

/// Accepts connections in the background. Each handshake has its own task: a slow caller holds up
/// nobody.
#[must_use]
pub fn incoming(listener: TcpListener, config: Arc<ServerConfig>) -> TlsIncoming {
    let (done, ready) = mpsc::channel(64);
    TlsIncoming { ready, accepting: tokio::spawn(accept(listener, config.into(), done)) }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    done: mpsc::Sender<io::Result<TlsStream<TcpStream>>>,
) {
    let free = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(permit) = free.clone().acquire_owned().await else { return };
        let (tcp, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if done.is_closed() {
            return;
        }
        let (acceptor, done) = (acceptor.clone(), done.clone());
        tokio::spawn(async move {
            let _permit = permit;
            let _ = tcp.set_nodelay(true);
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(tcp)).await {
                Ok(Ok(tls)) => {
                    let _ = done.send(Ok(tls)).await;
                }
                Ok(Err(error)) => tracing::debug!(%from, %error, "TLS handshake refused"),
                Err(_) => tracing::debug!(%from, "TLS handshake timed out"),
            }
        });
    }
}

impl Stream for TlsIncoming {
    type Item = io::Result<TlsStream<TcpStream>>;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.ready.poll_recv(cx)
    }
}

impl Drop for TlsIncoming {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

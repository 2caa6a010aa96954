//! TCP: one connection to a replica for each that comes.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Shared;
use crate::proxy::{InFlight, relay, tune};

/// So many replicas are asked for one connection.
const REPLICAS: usize = 3;
/// How long nothing is accepted after accepting failed, for want of descriptors mostly.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    let kill = CancellationToken::new();
    // Whoever drops this future gives up what is open.
    let killing = kill.clone().drop_guard();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        if tasks.len() >= shared.bounds.flows {
            shared.counters.refused.fetch_add(1, Relaxed);
            continue;
        }
        let (shared, kill) = (Arc::clone(&shared), kill.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = kill.cancelled() => {}
                passed = pass(&shared, stream, peer) => if let Err(error) = passed {
                    tracing::trace!(%peer, %error, "a connection ended");
                },
            }
        });
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(shared.bounds.drain_time, tasks.wait()).await.is_err() {
        drop(killing);
        tasks.wait().await;
    }
}

async fn pass(shared: &Shared, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
    tune(&stream);
    let counters = &shared.counters;
    counters.begun.fetch_add(1, Relaxed);
    let Some((mut upstream, _under_way)) = connect(shared).await else {
        counters.refused.fetch_add(1, Relaxed);
        refuse(stream);
        return Ok(());
    };
    let (idle, header) = {
        let live = shared.live.load();
        (live.target.idle, live.target.proxy_header)
    };
    if let Some(header) = header {
        upstream.write_all(&header.of(peer, stream.local_addr()?)).await?;
    }
    let (to, back) = relay(stream, upstream, idle).await?;
    counters.bytes_in.fetch_add(to, Relaxed);
    counters.bytes_out.fetch_add(back, Relaxed);
    Ok(())
}

/// Ends a connection as if nobody listened: a client learns that nobody has read what it sent.
fn refuse(stream: TcpStream) {
    // Without this it is an ordinary end, which is right too.
    let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
}

async fn connect(shared: &Shared) -> Option<(TcpStream, InFlight)> {
    let mut tried = Vec::new();
    while tried.len() < REPLICAS {
        let under_way = shared.choose(&tried)?;
        match under_way.0.dial(shared.bounds.connect_time).await {
            Ok(stream) => return Some((stream, under_way)),
            Err(error) => {
                shared.counters.upstream_errors.fetch_add(1, Relaxed);
                let reason = &error as &dyn std::error::Error;
                tracing::debug!(upstream = %under_way.0.address, reason, "no connection");
                tried.push(under_way.0.address);
            }
        }
    }
    None
}

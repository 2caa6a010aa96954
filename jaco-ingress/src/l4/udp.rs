//! UDP: a flow for each client address, with a socket of its own towards its replica, until it is silent.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    net::UdpSocket,
    task::{AbortHandle, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::proxy::{Endpoint, InFlight};

/// No datagram is longer.
const LONGEST: usize = 65_535;

/// One client's flow.
struct Flow {
    socket: Arc<UdpSocket>,
    moved: Arc<Moved>,
    under_way: InFlight,
    back: Option<AbortHandle>,
}

impl Flow {
    /// Hands one datagram on. Whether the flow is still good.
    fn pass(&self, shared: &Shared, datagram: &[u8]) -> bool {
        self.moved.now();
        match self.socket.try_send(datagram) {
            Ok(_) => {
                shared.counters.bytes_in.fetch_add(datagram.len() as u64, Relaxed);
                true
            }
            // A full queue drops: that is what UDP does.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
            // The word of an earlier datagram: nobody listens there. The next one finds another replica.
            Err(_) => {
                shared.counters.upstream_errors.fetch_add(1, Relaxed);
                self.under_way.0.unreachable();
                false
            }
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        if let Some(back) = &self.back {
            back.abort();
        }
    }
}

/// When something of a flow moved last.
struct Moved {
    since: Instant,
    last: AtomicU64,
}

impl Moved {
    fn now(&self) {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Relaxed);
    }

    fn last(&self) -> Instant {
        self.since + Duration::from_millis(self.last.load(Relaxed))
    }
}

pub(super) async fn serve(shared: Arc<Shared>, socket: UdpSocket, stop: CancellationToken) {
    let socket = Arc::new(socket);
    let mut flows: HashMap<SocketAddr, Flow> = HashMap::new();
    // What each flow brings back; its end is its client.
    let mut backs: JoinSet<SocketAddr> = JoinSet::new();
    let mut buffer = vec![0; LONGEST];
    let spare = Arc::new(Mutex::new(vec![0; LONGEST]));
    loop {
        let received = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = backs.join_next() => {
                if let Ok(client) = ended {
                    forget(&mut flows, client);
                }
                continue;
            }
            received = socket.recv_from(&mut buffer) => received,
        };
        // An error is about an earlier datagram to a client that is gone.
        let Ok((length, client)) = received else { continue };
        let there = |flow: &Flow| is_there(&shared, flow.under_way.0.address);
        if !flows.get(&client).is_some_and(there) {
            flows.remove(&client);
            match begin(&shared, flows.len()).await {
                Ok(mut flow) => {
                    let back = Back {
                        shared: Arc::clone(&shared),
                        front: Arc::clone(&socket),
                        spare: Arc::clone(&spare),
                        socket: Arc::clone(&flow.socket),
                        moved: Arc::clone(&flow.moved),
                        under_way: flow.under_way.0.clone(),
                        client,
                    };
                    flow.back = Some(backs.spawn(back.run()));
                    flows.insert(client, flow);
                }
                Err(error) => {
                    shared.counters.refused.fetch_add(1, Relaxed);
                    tracing::debug!(%client, %error, "a flow has no replica");
                    continue;
                }
            }
        }
        if let Some(flow) = flows.get(&client)
            && !flow.pass(&shared, &buffer[..length])
        {
            flows.remove(&client);
        }
    }
    backs.shutdown().await;
}

/// Removes the flow of a client, unless a new one has begun since.
fn forget(flows: &mut HashMap<SocketAddr, Flow>, client: SocketAddr) {
    // The half that ended held one of the two handles.
    if flows.get(&client).is_some_and(|flow| Arc::strong_count(&flow.socket) == 1) {
        flows.remove(&client);
    }
}

fn is_there(shared: &Shared, upstream: SocketAddr) -> bool {
    let live = shared.live.load();
    live.target.upstreams.iter().any(|u| u.address == upstream)
}

async fn begin(shared: &Shared, flows: usize) -> io::Result<Flow> {
    if flows >= shared.bounds.flows {
        return Err(io::ErrorKind::QuotaExceeded.into());
    }
    let under_way = shared.choose(&[]).ok_or(io::ErrorKind::NotConnected)?;
    let upstream = under_way.0.address;
    let any: SocketAddr = match upstream {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    // Only the replica is heard on it.
    socket.connect(upstream).await?;
    // It is at once, but nothing can be tried before the runtime knows.
    socket.writable().await?;
    shared.counters.begun.fetch_add(1, Relaxed);
    let moved = Arc::new(Moved { since: Instant::now(), last: AtomicU64::new(0) });
    Ok(Flow { socket: Arc::new(socket), moved, under_way, back: None })
}

/// The way back of one flow.
struct Back {
    shared: Arc<Shared>,
    front: Arc<UdpSocket>,
    /// One buffer for all flows: it is only held from one call that does not block to the next.
    spare: Arc<Mutex<Vec<u8>>>,
    socket: Arc<UdpSocket>,
    moved: Arc<Moved>,
    under_way: Arc<Endpoint>,
    client: SocketAddr,
}

impl Back {
    /// Hands on what the replica sends, until nothing moves either way, or the replica refuses.
    async fn run(self) -> SocketAddr {
        let mut heard = false;
        loop {
            let idle = self.shared.live.load().target.idle;
            let end = self.moved.last() + idle;
            match tokio::time::timeout_at(end, self.socket.readable()).await {
                Ok(_) => match self.pass() {
                    Ok(()) if heard => {}
                    Ok(()) => {
                        heard = true;
                        self.under_way.reached();
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => {
                        self.shared.counters.upstream_errors.fetch_add(1, Relaxed);
                        tracing::debug!(client = %self.client, %error, "a replica refused");
                        self.under_way.unreachable();
                        return self.client;
                    }
                },
                Err(_) if self.moved.last() + idle <= end => return self.client,
                Err(_) => {}
            }
        }
    }

    /// Hands one datagram on, if there is one.
    fn pass(&self) -> io::Result<()> {
        let mut buffer = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let length = self.socket.try_recv(&mut buffer)?;
        self.moved.now();
        // A full queue drops here too.
        if self.front.try_send_to(&buffer[..length], self.client).is_ok() {
            self.shared.counters.bytes_out.fetch_add(length as u64, Relaxed);
        }
        Ok(())
    }
}

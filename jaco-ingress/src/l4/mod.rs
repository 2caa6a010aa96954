//! Layer 4: what comes to a port of this node goes to a replica, byte for byte.
//!
//! Input is a [`Target`], swapped whole while connections run, and sockets that somebody else has bound; output is
//! traffic and counters. It must never bind a port, nor judge who is healthy.

mod tcp;
mod udp;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;

use crate::{
    proxy::{Endpoints, InFlight, ProxyHeader, Replicas},
    route::Upstream,
};

/// Where one published port leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The running and healthy replicas, and those that are being drained.
    pub upstreams: Vec<Upstream>,
    /// Most time without a byte in either direction.
    pub idle: Duration,
    /// Tells TCP replicas who is connected.
    pub proxy_header: Option<ProxyHeader>,
}

impl Target {
    /// TCP: an hour of silence, as firewalls commonly have it at least.
    pub const TCP_IDLE: Duration = Duration::from_secs(3600);
    /// UDP: longer than the pauses of what keeps itself alive.
    pub const UDP_IDLE: Duration = Duration::from_secs(60);
}

/// Bounds of one port.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// Most connections or flows at once.
    pub flows: usize,
    /// Most time for a connect to a replica.
    pub connect_time: Duration,
    /// How long connections may go on when the port stops.
    pub drain_time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            flows: 16_384,
            connect_time: Duration::from_secs(3),
            drain_time: Duration::from_secs(30),
        }
    }
}

/// What was counted of one port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Connections or flows that were begun.
    pub begun: u64,
    /// Those that no replica took, or that were beyond the bound.
    pub refused: u64,
    /// Connects that failed, those that were tried again with another replica too.
    pub upstream_errors: u64,
    /// Bytes towards replicas. Of TCP, those of connections that have ended in good order.
    pub bytes_in: u64,
    /// Bytes back.
    pub bytes_out: u64,
}

#[derive(Debug, Default)]
struct Counters {
    begun: AtomicU64,
    refused: AtomicU64,
    upstream_errors: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

/// A published port of this node: a handle that can be cloned.
#[derive(Clone)]
pub struct Port {
    shared: Arc<Shared>,
}

struct Shared {
    live: ArcSwap<Live>,
    setting: std::sync::Mutex<()>,
    endpoints: Endpoints,
    bounds: Bounds,
    counters: Counters,
}

struct Live {
    target: Target,
    replicas: Replicas,
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("target", &self.shared.live.load().target).finish()
    }
}

impl Port {
    /// A port that leads to `target`. Needs a tokio runtime.
    #[must_use]
    pub fn new(target: Target, bounds: Bounds) -> Self {
        let endpoints = Endpoints::default();
        let live = Live { replicas: endpoints.replicas(&target.upstreams, None), target };
        let shared = Shared {
            live: ArcSwap::from_pointee(live),
            setting: std::sync::Mutex::default(),
            endpoints,
            bounds,
            counters: Counters::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Leads new connections and flows there from now on. TCP connections that are open stay where they are; a UDP
    /// flow moves when its replica is gone.
    pub fn set(&self, target: Target) {
        let shared = &*self.shared;
        let _setting = shared.setting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let replicas = shared.endpoints.replicas(&target.upstreams, None);
        shared.live.store(Arc::new(Live { target, replicas }));
        shared.endpoints.prune();
    }

    /// Serves a TCP listener until `stop`. Then nothing new is taken, what is open has [`Bounds::drain_time`], and
    /// this returns. Dropping the future gives everything up at once.
    pub async fn serve_tcp(&self, listener: TcpListener, stop: CancellationToken) {
        tcp::serve(Arc::clone(&self.shared), listener, stop).await;
    }

    /// Serves a UDP socket until `stop`. Flows end at once: nothing says when one is over.
    pub async fn serve_udp(&self, socket: UdpSocket, stop: CancellationToken) {
        udp::serve(Arc::clone(&self.shared), socket, stop).await;
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> PortStats {
        let counters = &self.shared.counters;
        PortStats {
            begun: counters.begun.load(Relaxed),
            refused: counters.refused.load(Relaxed),
            upstream_errors: counters.upstream_errors.load(Relaxed),
            bytes_in: counters.bytes_in.load(Relaxed),
            bytes_out: counters.bytes_out.load(Relaxed),
        }
    }

    /// Upstreams that this node could not connect to, and that get nothing for a while.
    #[must_use]
    pub fn passed_over(&self) -> BTreeSet<SocketAddr> {
        self.shared.endpoints.passed_over()
    }

    /// How many connections or flows each replica has of this port.
    #[must_use]
    pub fn in_flight(&self) -> BTreeMap<SocketAddr, usize> {
        self.shared.endpoints.in_flight()
    }
}

impl Shared {
    /// A replica that is not in `tried`.
    fn choose(&self, tried: &[SocketAddr]) -> Option<InFlight> {
        self.live.load().replicas.choose(tried).map(|(_, under_way)| under_way)
    }
}

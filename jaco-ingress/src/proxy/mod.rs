//! The reverse proxy of one node.
//!
//! Input is a [`Picture`], swapped whole while requests run, and listeners that somebody else
//! has bound; output is traffic, counters and one log event per request. It must never know where a picture comes
//! from, nor keep a connection waiting for one.

mod access;
mod alarm;
mod answer;
mod authority;
mod body;
mod choose;
mod compress;
mod connection;
mod forward;
mod forwarding;
mod headers;
mod http;
mod http1;
mod impatient;
mod limits;
mod live;
mod pool;
mod preface;
mod proxy_header;
mod relay;
mod stats;
mod streams;
mod upgrade;
mod upstream;
mod visitors;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use limits::Limits;
pub use proxy_header::ProxyHeader;
pub use stats::{BUCKETS_MS, RouteKey, RouteStats};

pub(crate) use pool::tune;
pub(crate) use relay::relay;
pub(crate) use upstream::{Endpoint, Endpoints, InFlight, Replicas};
#[cfg(feature = "testing")]
pub(crate) use {
    http1::{Decoded, Fault, Memory, read as read_answer},
    proxy_header::{Start, read as read_proxy_header},
};

use self::{live::Live, stats::Ledger, visitors::Visitors};
use crate::route::{LeftOut, Picture};

/// How a listener is secured.
#[derive(Clone)]
pub enum Transport {
    /// Plain HTTP/1.1 and HTTP/2.
    Plain,
    /// TLS. Its ALPN says what may be spoken: `h2` and `http/1.1`; who asks for `acme-tls/1` is let go after the
    /// handshake.
    Tls(Arc<rustls::ServerConfig>),
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "Plain",
            Self::Tls(_) => "Tls",
        })
    }
}

/// What all listeners of a node have in common.
struct Shared {
    live: ArcSwap<Live>,
    /// Held while a picture is put in place of another.
    setting: std::sync::Mutex<()>,
    endpoints: Endpoints,
    ledger: Ledger,
    limits: Limits,
    visitors: Arc<Visitors>,
}

/// The reverse proxy of a node: a handle that can be cloned.
#[derive(Clone)]
pub struct Ingress {
    shared: Arc<Shared>,
}

impl fmt::Debug for Ingress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingress")
            .field("routes", &self.shared.live.load().table.len())
            .finish_non_exhaustive()
    }
}

impl Ingress {
    /// One that serves nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            shared: Arc::new(Shared {
                live: ArcSwap::from_pointee(Live::nothing()),
                setting: std::sync::Mutex::default(),
                endpoints: Endpoints::default(),
                ledger: Ledger::default(),
                limits,
                visitors: Arc::default(),
            }),
        }
    }

    /// Serves exactly this from now on. Requests that are under way end as they began. Tells what of it is not
    /// served. Needs a tokio runtime.
    pub fn set(&self, picture: Picture) -> Vec<LeftOut> {
        let shared = &*self.shared;
        let _setting = shared.setting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = shared.live.load_full();
        let (live, left_out) = Live::of(picture, &before, &shared.endpoints, &shared.ledger);
        shared.live.store(Arc::new(live));
        drop(before);
        shared.endpoints.prune();
        shared.ledger.prune();
        left_out
    }

    /// What is served.
    #[must_use]
    pub fn picture(&self) -> Arc<Picture> {
        Arc::clone(&self.shared.live.load().picture)
    }

    /// What was counted of each route.
    #[must_use]
    pub fn stats(&self) -> BTreeMap<RouteKey, RouteStats> {
        self.shared.ledger.read()
    }

    /// Upstreams that this node could not connect to, and that get nothing for a while.
    #[must_use]
    pub fn passed_over(&self) -> BTreeSet<SocketAddr> {
        self.shared.endpoints.passed_over()
    }

    /// How many requests and tunnels each upstream has of this node, those that are no longer in the picture too.
    #[must_use]
    pub fn in_flight(&self) -> BTreeMap<SocketAddr, usize> {
        self.shared.endpoints.in_flight()
    }

    /// How many requests an address has of this node, on any of its ports; tunnels are not counted, for they end
    /// when one of their ends wants it.
    #[must_use]
    pub fn requests(&self, address: IpAddr) -> usize {
        self.shared.endpoints.requests(address)
    }

    /// Serves a listener until `stop`. Then nothing new is taken, what is under way has [`Limits::drain_time`], and
    /// this returns. Dropping the future gives everything up at once.
    pub async fn serve(
        &self,
        listener: TcpListener,
        transport: Transport,
        stop: CancellationToken,
    ) {
        connection::serve(Arc::clone(&self.shared), listener, transport, stop).await;
    }
}

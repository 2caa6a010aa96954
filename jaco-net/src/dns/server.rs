//! The sockets: one pair, UDP and TCP, on each wanted address.
//!
//! Input is the set of addresses that are wanted; output is, for each, whether it is listened on. It converges: an
//! address that is not there yet is tried until it is, one that is no longer wanted is let go, a socket that breaks
//! is replaced. It must never decide what is answered.

mod tcp;
mod udp;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, UdpSocket},
    sync::{Semaphore, watch},
    task::{AbortHandle, JoinHandle, JoinSet},
};

use super::Resolver;

/// How long until an address that could not be bound is tried again.
const AGAIN: Duration = Duration::from_millis(100);
/// How many questions of one bridge may be on their way to others.
const UNDER_WAY: usize = 128;

/// Why an address is not listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// No datagrams.
    #[error("UDP cannot be listened on")]
    Udp(#[source] io::Error),
    /// No streams.
    #[error("TCP cannot be listened on")]
    Tcp(#[source] io::Error),
    /// It was listened on, and stopped; this is tried again at once.
    #[error("the responder stopped")]
    Stopped,
}

/// How it stands with one wanted address.
#[derive(Debug, Clone)]
pub enum Listening {
    /// Questions are answered there.
    Bound,
    /// Not yet, or no longer; this is the last reason.
    Failed(Arc<ListenError>),
}

impl Listening {
    /// Whether questions are answered there.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        matches!(self, Self::Bound)
    }
}

/// The responders of a node. Dropping them closes every socket.
#[derive(Debug)]
pub struct Responders {
    resolver: Arc<Resolver>,
    wanted: watch::Sender<BTreeSet<SocketAddr>>,
    status: watch::Receiver<BTreeMap<SocketAddr, Listening>>,
    task: JoinHandle<()>,
}

impl Responders {
    /// Listens nowhere yet. Needs a tokio runtime.
    #[must_use]
    pub fn start(resolver: Arc<Resolver>) -> Self {
        let wanted = watch::Sender::new(BTreeSet::new());
        let (report, status) = watch::channel(BTreeMap::new());
        let converging = Converging {
            resolver: Arc::clone(&resolver),
            listeners: BTreeMap::new(),
            running: JoinSet::new(),
            failed: BTreeMap::new(),
            report,
        };
        let task = tokio::spawn(converging.run(wanted.subscribe()));
        Self { resolver, wanted, status, task }
    }

    /// Listens on exactly these addresses from now on, each as soon as it exists.
    pub fn set(&self, wanted: BTreeSet<SocketAddr>) {
        self.resolver.set_own(wanted.clone());
        self.wanted.send_if_modified(|old| {
            let changed = *old != wanted;
            *old = wanted;
            changed
        });
    }

    /// How it stands with every wanted address that was looked at.
    #[must_use]
    pub fn status(&self) -> BTreeMap<SocketAddr, Listening> {
        self.status.borrow().clone()
    }

    /// Changes when the status does.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<BTreeMap<SocketAddr, Listening>> {
        self.status.clone()
    }

    /// Waits until questions are answered at `address`. Containers whose resolver it is may start then.
    pub async fn bound(&self, address: SocketAddr) {
        let mut status = self.watch();
        let is_bound = |all: &BTreeMap<SocketAddr, Listening>| {
            all.get(&address).is_some_and(Listening::is_bound)
        };
        if status.wait_for(is_bound).await.is_err() {
            // The responders are being dropped: it will not be.
            std::future::pending::<()>().await;
        }
    }

    /// Closes every socket and waits until that is done.
    pub async fn stop(mut self) {
        self.wanted = watch::Sender::default();
        // The loop ends when nobody can want anything any more.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Responders {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The loop's own state.
struct Converging {
    resolver: Arc<Resolver>,
    listeners: BTreeMap<SocketAddr, AbortHandle>,
    running: JoinSet<SocketAddr>,
    failed: BTreeMap<SocketAddr, Arc<ListenError>>,
    report: watch::Sender<BTreeMap<SocketAddr, Listening>>,
}

impl Converging {
    async fn run(mut self, mut wanted: watch::Receiver<BTreeSet<SocketAddr>>) {
        loop {
            let want = wanted.borrow_and_update().clone();
            self.converge(&want).await;
            self.report();
            let retry = async {
                match self.failed.is_empty() {
                    false => tokio::time::sleep(AGAIN).await,
                    true => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = wanted.changed() => if changed.is_err() { break },
                Some(ended) = self.running.join_next_with_id() => self.ended(ended),
                () = retry => {}
            }
        }
        self.running.shutdown().await;
    }

    async fn converge(&mut self, want: &BTreeSet<SocketAddr>) {
        self.failed.retain(|address, _| want.contains(address));
        self.listeners.retain(|address, listener| {
            let keep = want.contains(address);
            if !keep {
                listener.abort();
            }
            keep
        });
        for address in want {
            if self.listeners.contains_key(address) {
                continue;
            }
            match bind(*address).await {
                Ok((udp, tcp)) => {
                    tracing::debug!(%address, "names are answered");
                    self.failed.remove(address);
                    let serving = serve(udp, tcp, *address, Arc::clone(&self.resolver));
                    self.listeners.insert(*address, self.running.spawn(serving));
                }
                Err(error) => {
                    let known = self.failed.get(address);
                    if known.is_none_or(|known| reason(known) != reason(&error)) {
                        let reason = reason(&error);
                        tracing::debug!(%address, reason, "names are not answered yet");
                        self.failed.insert(*address, Arc::new(error));
                    }
                }
            }
        }
    }

    /// A listener ended: by being let go, or because a socket broke.
    fn ended(&mut self, ended: Result<(tokio::task::Id, SocketAddr), tokio::task::JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let broken = self.listeners.iter().find(|(_, listener)| listener.id() == id);
        if let Some(address) = broken.map(|(address, _)| *address) {
            tracing::warn!(%address, "the responder stopped; it is started again");
            self.listeners.remove(&address);
            self.failed.insert(address, Arc::new(ListenError::Stopped));
        }
    }

    fn report(&self) {
        let bound = self.listeners.keys().map(|address| (*address, Listening::Bound));
        let failed =
            self.failed.iter().map(|(at, error)| (*at, Listening::Failed(Arc::clone(error))));
        let status: BTreeMap<_, _> = bound.chain(failed).collect();
        let same = |old: &BTreeMap<SocketAddr, Listening>| {
            old.len() == status.len()
                && old.iter().all(|(at, old)| match (old, &status.get(at)) {
                    (Listening::Bound, Some(Listening::Bound)) => true,
                    (Listening::Failed(a), Some(Listening::Failed(b))) => Arc::ptr_eq(a, b),
                    _ => false,
                })
        };
        self.report.send_if_modified(|old| {
            let changed = !same(old);
            if changed {
                old.clone_from(&status);
            }
            changed
        });
    }
}

/// The whole of it, to tell one failure from another.
fn reason(error: &ListenError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

async fn bind(address: SocketAddr) -> Result<(UdpSocket, TcpListener), ListenError> {
    let udp = UdpSocket::bind(address).await.map_err(ListenError::Udp)?;
    let tcp = TcpListener::bind(address).await.map_err(ListenError::Tcp)?;
    Ok((udp, tcp))
}

/// Serves until a socket breaks.
async fn serve(
    udp: UdpSocket,
    tcp: TcpListener,
    address: SocketAddr,
    resolver: Arc<Resolver>,
) -> SocketAddr {
    let room = Arc::new(Semaphore::new(UNDER_WAY));
    let post = Post { at: address.ip(), resolver, room };
    let broken = tokio::select! {
        error = udp::serve(udp, post.clone()) => ListenError::Udp(error),
        error = tcp::serve(tcp, post) => ListenError::Tcp(error),
    };
    tracing::warn!(%address, error = %broken, "a socket broke");
    address
}

/// What both loops of an address share.
#[derive(Debug, Clone)]
struct Post {
    at: std::net::IpAddr,
    resolver: Arc<Resolver>,
    room: Arc<Semaphore>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Forwarders, Names, Zone};

    #[tokio::test]
    async fn a_responder_that_breaks_is_replaced() {
        let names = Names::of("node-a".parse().unwrap());
        let resolver = Resolver::new(Zone::new(&names), Forwarders::Given(Vec::new()));
        let (report, mut status) = watch::channel(BTreeMap::new());
        let mut converging = Converging {
            resolver,
            listeners: BTreeMap::new(),
            running: JoinSet::new(),
            failed: BTreeMap::new(),
            report,
        };
        // Of this process alone: nobody else can take a port of it, for whichever protocol.
        let [_, a, b, c] = std::process::id().to_be_bytes();
        let free = SocketAddr::from(([127, 64 | a, b, c], 53));
        let want = BTreeSet::from([free]);
        converging.converge(&want).await;
        converging.report();
        assert!(status.borrow_and_update()[&free].is_bound());
        converging.listeners[&free].abort();
        let ended = converging.running.join_next_with_id().await.unwrap();
        converging.ended(ended);
        converging.report();
        assert!(!status.borrow_and_update()[&free].is_bound());
        converging.converge(&want).await;
        converging.report();
        assert!(status.borrow_and_update()[&free].is_bound());
    }
}

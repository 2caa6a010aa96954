//! What this node knows of each upstream address, and keeps while pictures come and go: how much it has under way,
//! whether it could be reached, and its idle connections.
//!
//! Must never decide who is healthy: that is in the picture. It only passes over, for a while, whom this node cannot
//! connect to.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use jaco_api::model::{NodeName, ReplicaId};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{
    choose::{Candidate, choose},
    live::hex,
    pool::Pool,
    visitors::block_of,
};
use crate::route::{Sticky, Upstream};

/// So many connects in a row must fail before an upstream is passed over.
const FAILURES: u32 = 2;
/// For how long it is, the first time and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// One address that is sent to.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) pool: Pool,
    in_flight: AtomicUsize,
    /// Those of `in_flight` that are tunnels.
    tunnels: AtomicUsize,
    failures: AtomicU32,
    /// Milliseconds since `since` until which it is passed over.
    until: AtomicU64,
    since: Instant,
}

impl Endpoint {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            pool: Pool::default(),
            in_flight: AtomicUsize::new(0),
            tunnels: AtomicUsize::new(0),
            failures: AtomicU32::new(0),
            until: AtomicU64::new(0),
            since: Instant::now(),
        }
    }

    pub(crate) fn reached(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
            self.until.store(0, Relaxed);
        }
    }

    pub(crate) fn unreachable(&self) {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if failures >= FAILURES {
            let (first, most) = BACK_OFF;
            let pause = first.saturating_mul(1 << (failures - FAILURES).min(8)).min(most);
            self.until.store(millis(self.since.elapsed() + pause), Relaxed);
            tracing::debug!(upstream = %self.address, failures, ?pause, "passed over");
        }
    }

    fn passed_over(&self) -> bool {
        let until = self.until.load(Relaxed);
        until != 0 && millis(self.since.elapsed()) < until
    }
}

fn tag(replica: &ReplicaId) -> Box<str> {
    hex(&Sha256::digest(replica.to_string())[..8]).into()
}

fn seed(replica: &ReplicaId) -> u64 {
    let digest: [u8; 32] = Sha256::digest(replica.to_string()).into();
    let first = digest.first_chunk().expect("a digest has more than eight bytes");
    u64::from_be_bytes(*first)
}

/// Spreads what is near (the finaliser of SplitMix64).
fn mixed(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Something is under way at an endpoint as long as this lives.
#[derive(Debug)]
pub(crate) struct InFlight(pub(crate) Arc<Endpoint>);

impl InFlight {
    fn begin(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.in_flight.fetch_add(1, Relaxed);
        Self(Arc::clone(endpoint))
    }
}

impl Clone for InFlight {
    fn clone(&self) -> Self {
        Self::begin(&self.0)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// What is under way has become a tunnel, which ends when one of its ends wants it to.
#[derive(Debug)]
pub(crate) struct Tunnel(InFlight);

impl Tunnel {
    pub(crate) fn of(under_way: InFlight) -> Self {
        under_way.0.tunnels.fetch_add(1, Relaxed);
        Self(under_way)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.0.0.tunnels.fetch_sub(1, Relaxed);
    }
}

/// A replica of one route. What every request reads is first, and so together in the cache.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Replica {
    pub(crate) endpoint: Arc<Endpoint>,
    /// What a cookie calls it: the same on every node. Only if the route asks for it.
    pub(crate) tag: Option<Box<str>>,
    /// What it is drawn with where addresses stay with replicas: the same on every node.
    seed: u64,
    local: bool,
    pub(crate) id: ReplicaId,
    pub(crate) node: NodeName,
}

/// The replicas of one route that may get something new.
#[derive(Debug, Default)]
pub(crate) struct Replicas(Box<[Replica]>);

impl Replicas {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One that is not in `tried`, and that it has one more under way.
    ///
    /// When all that are left are passed over, they are asked nevertheless: a refused connect says more than this
    /// node's memory.
    pub(crate) fn choose(&self, tried: &[SocketAddr]) -> Option<(&Replica, InFlight)> {
        if let [only] = &*self.0 {
            let untried = !tried.contains(&only.endpoint.address);
            return untried.then(|| (only, InFlight::begin(&only.endpoint)));
        }
        let candidates = |all: bool| -> Vec<Candidate> {
            let one = |(index, replica): (usize, &Replica)| {
                let endpoint = &replica.endpoint;
                let fits = !tried.contains(&endpoint.address) && (all || !endpoint.passed_over());
                fits.then(|| Candidate {
                    index,
                    in_flight: endpoint.in_flight.load(Relaxed),
                    local: replica.local,
                })
            };
            self.0.iter().enumerate().filter_map(one).collect()
        };
        let dice = rand::random();
        let index = choose(&candidates(false), dice).or_else(|| choose(&candidates(true), dice))?;
        let replica = &self.0[index];
        Some((replica, InFlight::begin(&replica.endpoint)))
    }

    /// The one of this visitor, of those that are not in `tried`: each is drawn with the visitor's address, and the
    /// highest number wins (rendezvous hashing). Whom the others had stay with them when one goes.
    pub(crate) fn of_visitor(
        &self,
        visitor: IpAddr,
        tried: &[SocketAddr],
    ) -> Option<(&Replica, InFlight)> {
        let visitor = match block_of(visitor) {
            IpAddr::V4(v4) => u64::from(u32::from(v4)),
            // Its lower half is empty.
            IpAddr::V6(v6) => u64::try_from(u128::from(v6) >> 64).unwrap_or_default(),
        };
        let untried = || self.0.iter().filter(|r| !tried.contains(&r.endpoint.address));
        let drawn = |replica: &&Replica| mixed(mixed(visitor) ^ replica.seed);
        let reachable = untried().filter(|r| !r.endpoint.passed_over()).max_by_key(drawn);
        let replica = reachable.or_else(|| untried().max_by_key(drawn))?;
        Some((replica, InFlight::begin(&replica.endpoint)))
    }

    /// The one that `fits`, unless it is passed over.
    pub(crate) fn named(&self, fits: impl Fn(&Replica) -> bool) -> Option<(&Replica, InFlight)> {
        let replica = self.0.iter().find(|replica| fits(replica))?;
        let reachable = !replica.endpoint.passed_over();
        reachable.then(|| (replica, InFlight::begin(&replica.endpoint)))
    }
}

/// Every address that is known: pictures come and go, what was learned of an address stays.
#[derive(Debug, Default)]
pub(crate) struct Endpoints(Mutex<BTreeMap<SocketAddr, Weak<Endpoint>>>);

impl Endpoints {
    /// The replicas that may get something new.
    pub(crate) fn replicas(&self, upstreams: &[Upstream], sticky: Option<Sticky>) -> Replicas {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut endpoint = |address: SocketAddr| {
            let kept = known.get(&address).and_then(Weak::upgrade);
            kept.unwrap_or_else(|| {
                let new = Arc::new(Endpoint::new(address));
                known.insert(address, Arc::downgrade(&new));
                new
            })
        };
        let replica = |upstream: &Upstream| Replica {
            endpoint: endpoint(upstream.address),
            id: upstream.replica.clone(),
            node: upstream.node.clone(),
            local: upstream.local,
            tag: (sticky == Some(Sticky::Cookie)).then(|| tag(&upstream.replica)),
            seed: seed(&upstream.replica),
        };
        Replicas(upstreams.iter().filter(|u| !u.draining).map(replica).collect())
    }

    /// Forgets what nothing leads to any more.
    pub(crate) fn prune(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, endpoint| endpoint.strong_count() > 0);
    }

    /// Whom this node cannot connect to at present.
    pub(crate) fn passed_over(&self) -> BTreeSet<SocketAddr> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = known.values().filter_map(Weak::upgrade);
        all.filter(|endpoint| endpoint.passed_over()).map(|endpoint| endpoint.address).collect()
    }

    /// What is under way, by address.
    pub(crate) fn in_flight(&self) -> BTreeMap<SocketAddr, usize> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = known.values().filter_map(Weak::upgrade);
        all.map(|e| (e.address, e.in_flight.load(Relaxed))).collect()
    }

    /// How many requests `address` has under way on any of its ports, tunnels not counted.
    pub(crate) fn requests(&self, address: IpAddr) -> usize {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = known.values().filter_map(Weak::upgrade).filter(|e| e.address.ip() == address);
        // A tunnel that ends meanwhile may be counted in one of the two only.
        own.map(|e| e.in_flight.load(Relaxed).saturating_sub(e.tunnels.load(Relaxed))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(port: u16, draining: bool) -> Upstream {
        Upstream {
            address: ([127, 0, 0, 1], port).into(),
            replica: ReplicaId {
                deployment: "shop".parse().expect("a deployment name"),
                service: "web".parse().expect("a service name"),
                slot: jaco_api::model::Slot::Index(1),
            },
            node: "one".parse().expect("a node name"),
            local: false,
            draining,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_cannot_be_reached_is_passed_over_for_a_while() {
        let endpoints = Endpoints::default();
        let replicas = endpoints.replicas(&[upstream(1, false), upstream(2, false)], None);
        let first = Arc::clone(&replicas.0[0].endpoint);
        let ports = || -> Vec<u16> {
            let port = |_| replicas.choose(&[]).expect("a replica").0.endpoint.address.port();
            (0..64).map(port).collect()
        };
        first.unreachable();
        assert!(ports().contains(&1), "one failure may be chance");
        first.unreachable();
        assert!(!ports().contains(&1));
        tokio::time::advance(Duration::from_millis(1100)).await;
        assert!(ports().contains(&1), "it is tried again");
        first.unreachable();
        tokio::time::advance(Duration::from_millis(1100)).await;
        assert!(!ports().contains(&1), "the pause grows");
        first.reached();
        assert!(ports().contains(&1));
    }

    #[tokio::test]
    async fn when_all_are_passed_over_they_are_tried() {
        let endpoints = Endpoints::default();
        let replicas = endpoints.replicas(&[upstream(1, false), upstream(2, false)], None);
        for replica in &replicas.0 {
            (0..5).for_each(|_| replica.endpoint.unreachable());
        }
        let (first, _) = replicas.choose(&[]).expect("one of the two");
        let tried = [first.endpoint.address];
        let (second, _) = replicas.choose(&tried).expect("the other one");
        assert_ne!(second.endpoint.address, tried[0]);
    }

    #[tokio::test]
    async fn a_draining_one_gets_nothing_new_and_keeps_what_it_has() {
        let endpoints = Endpoints::default();
        let before = endpoints.replicas(&[upstream(1, false), upstream(2, false)], None);
        let (_, held) = before.named(|r| r.endpoint.address.port() == 1).expect("the first");
        let after = endpoints.replicas(&[upstream(1, true), upstream(2, false)], None);
        drop(before);
        endpoints.prune();
        for _ in 0..64 {
            assert_eq!(after.choose(&[]).expect("a replica").0.endpoint.address.port(), 2);
        }
        assert_eq!(endpoints.in_flight()[&([127, 0, 0, 1], 1).into()], 1);
        let requests = || endpoints.requests([127, 0, 0, 1].into());
        assert_eq!(requests(), 1);
        let held = Tunnel::of(held);
        assert_eq!(requests(), 0, "a tunnel does not end by itself");
        drop(held);
        assert_eq!(requests(), 0);
        endpoints.prune();
        assert_eq!(endpoints.in_flight().len(), 1);
    }
}

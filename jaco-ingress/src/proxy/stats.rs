//! What was counted: read as a value, and kept while pictures come and go.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::StatusCode;
use jaco_api::model::{DeploymentName, ServiceName};

use crate::route::Route;

/// Upper bounds of the duration buckets, in milliseconds; the last bucket has none.
pub const BUCKETS_MS: [u64; 12] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 30_000];

/// Whom a counter is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteKey {
    /// The domain of the route.
    pub domain: String,
    /// Its path.
    pub path: String,
    /// Whose service it leads to.
    pub deployment: DeploymentName,
    /// The service.
    pub service: ServiceName,
}

impl RouteKey {
    pub(super) fn of(route: &Route) -> Self {
        Self {
            domain: route.domain.clone(),
            path: route.path.clone(),
            deployment: route.deployment.clone(),
            service: route.service.clone(),
        }
    }
}

/// What was counted of one route since the ingress began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteStats {
    /// Requests by the class of their answer: 1xx (upgrades) first, 5xx last.
    pub answers: [u64; 5],
    /// Requests by the time until their answer was sent whole: one number for each of [`BUCKETS_MS`] and one for
    /// what took longer. They are not cumulative.
    pub durations: [u64; BUCKETS_MS.len() + 1],
    /// The sum of all durations.
    pub duration_sum: Duration,
    /// Connects and exchanges with replicas that failed, those that were tried again too.
    pub upstream_errors: u64,
    /// Requests that were sent to another replica.
    pub retries: u64,
    /// Requests under way.
    pub in_flight: u64,
}

/// What each request changes is first, and so together in the cache.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Counters {
    begun: AtomicU64,
    micros: AtomicU64,
    answers: [AtomicU64; 5],
    durations: [AtomicU64; BUCKETS_MS.len() + 1],
    pub(super) upstream_errors: AtomicU64,
    pub(super) retries: AtomicU64,
}

impl Counters {
    pub(super) fn begin(&self) {
        self.begun.fetch_add(1, Relaxed);
    }

    pub(super) fn end(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.answers[class].fetch_add(1, Relaxed);
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_MS.partition_point(|bound| *bound <= millis);
        self.durations[bucket].fetch_add(1, Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Relaxed);
    }

    fn read(&self) -> RouteStats {
        let answers = std::array::from_fn(|i| self.answers[i].load(Relaxed));
        let ended: u64 = answers.iter().sum();
        RouteStats {
            answers,
            durations: std::array::from_fn(|i| self.durations[i].load(Relaxed)),
            duration_sum: Duration::from_micros(self.micros.load(Relaxed)),
            upstream_errors: self.upstream_errors.load(Relaxed),
            retries: self.retries.load(Relaxed),
            // The numbers are read one after the other: one may have ended that was not seen to begin.
            in_flight: self.begun.load(Relaxed).saturating_sub(ended),
        }
    }
}

/// The counters of every route that is, or has a request under way.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<BTreeMap<RouteKey, Weak<Counters>>>);

impl Ledger {
    pub(super) fn counters(&self, key: &RouteKey) -> Arc<Counters> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = known.get(key).and_then(Weak::upgrade) {
            return kept;
        }
        let new = Arc::new(Counters::default());
        known.insert(key.clone(), Arc::downgrade(&new));
        new
    }

    pub(super) fn prune(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, counters| counters.strong_count() > 0);
    }

    pub(super) fn read(&self) -> BTreeMap<RouteKey, RouteStats> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = known.iter().filter_map(|(key, c)| Some((key.clone(), c.upgrade()?.read())));
        all.collect()
    }
}

//! Clocks for tests: one that stands still until it is turned, and one that may be off.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use jaco_api::model::Timestamp;
use tokio::{sync::oneshot, time::Instant};

use crate::clock::Clock;

/// Time that moves only by [`ManualClock::advance`]. Clones are the same clock.
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    face: Arc<Mutex<Face>>,
}

#[derive(Debug, Default)]
struct Face {
    now: Timestamp,
    next: u64,
    /// Sleepers by deadline, then by order of arrival.
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { face: Arc::new(Mutex::new(Face { now, ..Face::default() })) }
    }
    /// Lets time pass and wakes everybody whose time has come, earliest deadline first.
    pub fn advance(&self, span: Duration) {
        let mut face = self.lock();
        face.now = face.now.after(span);
        let now = face.now;
        while let Some(first) = face.sleepers.first_entry().filter(|f| f.key().0 <= now) {
            // A sleeper that was dropped does not care.
            let _ = first.remove().send(());
        }
    }
    /// How many are asleep.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.lock().sleepers.values().filter(|s| !s.is_closed()).count()
    }
    /// The earliest time anybody waits for.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.lock().sleepers.iter().find(|(_, s)| !s.is_closed()).map(|((at, _), _)| *at)
    }
    fn lock(&self) -> MutexGuard<'_, Face> {
        self.face.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }
    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        let mut face = self.lock();
        if span.is_zero() {
            return Box::pin(async {});
        }
        let (wake, woken) = oneshot::channel();
        let key = (face.now.after(span), face.next);
        face.next += 1;
        face.sleepers.insert(key, wake);
        // The clock itself may be gone: then nobody ever wakes the sleeper.
        Box::pin(async move {
            if woken.await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

/// The clock of one simulated host: tokio's time, which tests pause, and how far the host is off. What
/// sleeps by it sleeps by tokio's time: a host that is off is not slow. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct SimulatedClock {
    began: (Timestamp, Instant),
    ahead: Arc<AtomicI64>,
}

impl SimulatedClock {
    /// A clock that shows `now` and is right.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { began: (now, Instant::now()), ahead: Arc::default() }
    }
    /// It is so many milliseconds ahead from now on; behind, when it is less than nothing.
    pub fn set_ahead(&self, milliseconds: i64) {
        self.ahead.store(milliseconds, Ordering::Relaxed);
    }
    /// What it would show if it were right.
    #[must_use]
    pub fn true_time(&self) -> Timestamp {
        self.began.0.after(self.began.1.elapsed())
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let ahead = self.ahead.load(Ordering::Relaxed);
        Timestamp(self.true_time().0.saturating_add_signed(ahead))
    }
    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_off_is_not_slow() {
        let clock = SimulatedClock::at(Timestamp(100_000));
        clock.set_ahead(-30_000);
        clock.sleep(Duration::from_secs(5)).await;
        assert_eq!(clock.now(), Timestamp(75_000));
        assert_eq!(clock.true_time(), Timestamp(105_000));
    }

    #[tokio::test]
    async fn sleepers_wake_when_their_time_has_come_and_not_before() {
        let clock = ManualClock::at(Timestamp(1_000));
        let short = tokio::spawn(clock.sleep(Duration::from_millis(10)));
        let long = tokio::spawn(clock.sleep(Duration::from_millis(20)));
        assert_eq!(clock.sleepers(), 2);
        clock.advance(Duration::from_millis(10));
        short.await.unwrap();
        assert!(!long.is_finished());
        assert_eq!(clock.next_deadline(), Some(Timestamp(1_020)));
        clock.advance(Duration::from_millis(10));
        long.await.unwrap();
        assert_eq!(clock.now(), Timestamp(1_020));
    }
}

//! Deadlines that are hardly ever reached, such as those for the head of a request and for its answer.
//!
//! A timer of the runtime is costly to set and to take back. A connection has some that stay set, one for each request
//! that it has at once: such a timer is moved when it goes off before its deadline, and not with each request.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::rt;
use tokio::time::{Instant, Sleep};

/// So many are kept of one connection.
const KEPT: usize = 16;

/// The timers of one connection for which nothing waits.
#[derive(Clone, Default)]
pub(super) struct Alarms(Arc<Mutex<Vec<Pin<Box<Sleep>>>>>);

impl fmt::Debug for Alarms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Alarms").finish_non_exhaustive()
    }
}

impl Alarms {
    /// Ready at `deadline`.
    pub(super) fn at(&self, deadline: Instant) -> Alarm {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let sleep = match kept {
            Some(mut sleep) => {
                if deadline < sleep.deadline() {
                    sleep.as_mut().reset(deadline);
                }
                sleep
            }
            None => Box::pin(tokio::time::sleep_until(deadline)),
        };
        Alarm { deadline, sleep: Some(sleep), home: self.clone() }
    }
}

/// One deadline. Its timer goes back to the connection when it is dropped.
pub(super) struct Alarm {
    deadline: Instant,
    /// Until it is dropped. It goes off at the deadline or before.
    sleep: Option<Pin<Box<Sleep>>>,
    home: Alarms,
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let Some(sleep) = &mut self.sleep else { return Poll::Ready(()) };
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let mut home = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if home.len() < KEPT {
            home.extend(self.sleep.take());
        }
    }
}

impl rt::Timer for Alarms {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(self.at(Instant::now() + duration))
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(self.at(deadline.into()))
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into()
    }
}

impl rt::Sleep for Alarm {}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn each_deadline_is_kept_whatever_the_one_before_was() {
        let alarms = Alarms::default();
        let began = Instant::now();
        // Given up before it is reached, as nearly all are.
        let waited = tokio::time::timeout(SECOND, alarms.at(began + 5 * SECOND)).await;
        assert!(waited.is_err());
        for (seconds, what) in [(9, "later than the one before"), (2, "earlier"), (0, "past")] {
            let began = Instant::now();
            alarms.at(began + seconds * SECOND).await;
            assert_eq!(began.elapsed().as_secs(), u64::from(seconds), "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_at_once_are_independent() {
        let alarms = Alarms::default();
        for _ in 0..2 {
            let began = Instant::now();
            let late = alarms.at(began + 3 * SECOND);
            alarms.at(began + SECOND).await;
            assert_eq!(began.elapsed(), SECOND);
            late.await;
            assert_eq!(began.elapsed(), 3 * SECOND);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_kept_than_a_connection_may_need() {
        let alarms = Alarms::default();
        let deadline = Instant::now() + SECOND;
        let mut many: Vec<Alarm> = (0..KEPT + 4).map(|_| alarms.at(deadline)).collect();
        futures::future::join_all(&mut many).await;
        assert_eq!(Instant::now(), deadline);
        drop(many);
        assert_eq!(alarms.0.lock().expect("nobody panicked").len(), KEPT);
    }
}

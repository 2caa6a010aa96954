//! Questions on their way: whoever asks the same meanwhile waits for the same answer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OnceCell;

use super::{Failure, Key, Said};

type Landed = Result<Arc<Said>, Arc<Failure>>;
type Open = HashMap<Arc<Key>, Arc<OnceCell<Landed>>>;

#[derive(Debug, Default)]
pub(super) struct Flights {
    open: Mutex<Open>,
}

/// Somebody who waits for a flight; the last one takes it off the list.
struct Passenger<'f> {
    flights: &'f Flights,
    key: Arc<Key>,
    flight: Arc<OnceCell<Landed>>,
}

impl Flights {
    /// The answer to `key`: that of who asks already, or else of `ask`. When who asks is cancelled, the next one
    /// who waits asks.
    pub(super) async fn join<F, A>(&self, key: &Arc<Key>, ask: F) -> Landed
    where
        F: FnOnce() -> A,
        A: Future<Output = Landed>,
    {
        let flight = Arc::clone(self.list().entry(Arc::clone(key)).or_default());
        let passenger = Passenger { flights: self, key: Arc::clone(key), flight };
        let landed = passenger.flight.get_or_init(ask).await.clone();
        passenger.flights.close(&passenger);
        landed
    }

    fn list(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, passenger: &Passenger<'_>) {
        let mut open = self.list();
        if open.get(&passenger.key).is_some_and(|flight| Arc::ptr_eq(flight, &passenger.flight)) {
            open.remove(&passenger.key);
        }
    }
}

impl Drop for Passenger<'_> {
    fn drop(&mut self) {
        let mut open = self.flights.list();
        // The list and this one: nobody else waits.
        if Arc::strong_count(&self.flight) == 2
            && open.get(&self.key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight))
        {
            open.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    fn key() -> Arc<Key> {
        Arc::new(Key {
            question: [0; 5].into(),
            recursion_desired: true,
            checking_disabled: false,
            authentic_data: false,
            edns: false,
            dnssec_ok: false,
        })
    }

    #[tokio::test]
    async fn one_asks_for_all_and_another_when_it_is_cancelled() {
        let (flights, gate) = (Arc::new(Flights::default()), Arc::new(Semaphore::new(0)));
        let asked = Arc::new(AtomicU32::new(0));
        let join = || {
            let (flights, gate) = (Arc::clone(&flights), Arc::clone(&gate));
            let asked = Arc::clone(&asked);
            tokio::spawn(async move {
                let ask = || async {
                    asked.fetch_add(1, Ordering::Relaxed);
                    gate.acquire().await.expect("the gate is never closed").forget();
                    Ok(Arc::new(Said::example(60)))
                };
                flights.join(&key(), ask).await.is_ok()
            })
        };
        let first = join();
        while asked.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let others = [join(), join()];
        tokio::task::yield_now().await;
        first.abort();
        assert!(first.await.is_err());
        gate.add_permits(1);
        for other in others {
            assert!(other.await.unwrap());
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2, "the first, and one of the others");
        assert!(flights.list().is_empty(), "nothing is left on the list");
    }
}

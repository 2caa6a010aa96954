//! Questions that others answer.
//!
//! Input is a question and who may be asked; output is what one of them said, byte for byte but for what is the
//! business of two neighbours alone (ids, flags, EDNS, TTLs that count down). It must never make up an answer: when
//! nobody can be reached it says that, which is not that the name does not exist.

mod cache;
mod exchange;
mod flights;
mod race;
mod said;
mod upstreams;

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::Instant};

pub use upstreams::Forwarders;

pub(crate) use exchange::Failure;
pub(crate) use said::Said;
#[cfg(feature = "testing")]
pub(crate) use {
    said::{Reading, read},
    upstreams::nameservers,
};

use super::query::{HEADER, Query};
use cache::{Cache, Hit};
use flights::Flights;
use race::Standing;
use upstreams::Upstreams;

/// How many questions of a node may be on their way: each takes a socket for each upstream.
const UNDER_WAY: usize = 512;

/// What is asked, as far as the answer depends on it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// The question as in a message, its name in small letters.
    question: Box<[u8]>,
    recursion_desired: bool,
    checking_disabled: bool,
    authentic_data: bool,
    edns: bool,
    dnssec_ok: bool,
}

impl Key {
    /// The key of a query that came as this packet.
    pub(crate) fn of(query: &Query, packet: &[u8]) -> Self {
        let mut question: Box<[u8]> = packet.get(HEADER..query.end).unwrap_or_default().into();
        let name = question.len().saturating_sub(4);
        question[..name].make_ascii_lowercase();
        Self {
            question,
            recursion_desired: query.header.recursion_desired,
            checking_disabled: query.header.checking_disabled,
            authentic_data: query.header.authentic_data,
            edns: query.edns.is_some(),
            dnssec_ok: query.wants_dnssec(),
        }
    }
}

/// What is known about a forwarded question.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// Said so many seconds ago.
    Said { said: Arc<Said>, age: u32 },
    /// Nobody can be reached; this is what was said before, and is no longer valid.
    Stale { said: Arc<Said> },
    /// Nobody says anything.
    Failed(Arc<Failure>),
}

/// Asks others, remembers what they say, and asks each question once at a time.
#[derive(Debug)]
pub(crate) struct Forwarder {
    upstreams: Upstreams,
    standing: Standing,
    cache: Cache,
    flights: Flights,
    room: Semaphore,
}

impl Forwarder {
    pub(crate) fn new(forwarders: Forwarders, patience: Duration) -> Self {
        Self {
            upstreams: Upstreams::new(forwarders),
            standing: Standing::new(patience),
            cache: Cache::default(),
            flights: Flights::default(),
            room: Semaphore::new(UNDER_WAY),
        }
    }

    /// What is known already.
    pub(crate) fn known(&self, key: &Key) -> Option<Outcome> {
        match self.cache.look_up(key, Instant::now()) {
            Hit::Fresh { said, age } => Some(Outcome::Said { said, age }),
            Hit::Stale(_) | Hit::Miss => None,
        }
    }

    /// Asks the upstreams, but for our `own` addresses.
    pub(crate) async fn ask(&self, key: Key, own: &BTreeSet<SocketAddr>) -> Outcome {
        let key = Arc::new(key);
        let asked = self.flights.join(&key, || async {
            // Somebody may have asked between the look at the cache and this flight.
            if let Hit::Fresh { said, .. } = self.cache.look_up(&key, Instant::now()) {
                return Ok(said);
            }
            let Ok(_room) = self.room.try_acquire() else {
                return Err(Arc::new(Failure::Overloaded));
            };
            let upstreams = self.upstreams.current(own).await;
            let said = race::run(upstreams, &key, &self.standing).await.map_err(Arc::new)?;
            let said = Arc::new(said);
            self.cache.insert(&key, &said, Instant::now());
            Ok(said)
        });
        match asked.await {
            Ok(said) => Outcome::Said { said, age: 0 },
            Err(failure) => match self.cache.look_up(&key, Instant::now()) {
                Hit::Stale(said) => Outcome::Stale { said },
                _ => Outcome::Failed(failure),
            },
        }
    }
}

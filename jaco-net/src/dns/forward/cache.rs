//! What upstreams said, for as long as they allow.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{Key, Said};

/// How many answers are kept, and how many bytes of them.
const ENTRIES: usize = 8192;
const BYTES: usize = 4 << 20;
/// How long an answer may be used when nobody can be asked (RFC 8767).
const STALE: Duration = Duration::from_secs(3600);

/// Bounded; what was not asked for longest goes first.
#[derive(Debug, Default)]
pub(super) struct Cache {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<Arc<Key>, Entry>,
    /// The keys, by when they were last asked for.
    used: BTreeMap<u64, Arc<Key>>,
    clock: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    said: Arc<Said>,
    since: Instant,
    used: u64,
}

/// What is there.
#[derive(Debug)]
pub(super) enum Hit {
    Fresh { said: Arc<Said>, age: u32 },
    Stale(Arc<Said>),
    Miss,
}

impl Cache {
    pub(super) fn look_up(&self, key: &Key, now: Instant) -> Hit {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Table { entries, used, clock, .. } = &mut *table;
        let Some(entry) = entries.get_mut(key) else { return Hit::Miss };
        if let Some(shared) = used.remove(&entry.used) {
            *clock += 1;
            entry.used = *clock;
            used.insert(*clock, shared);
        }
        let age = now.saturating_duration_since(entry.since);
        let said = Arc::clone(&entry.said);
        if age < said.lifetime() {
            return Hit::Fresh { said, age: u32::try_from(age.as_secs()).unwrap_or(u32::MAX) };
        }
        // What does not exist is never said on old grounds.
        if said.is_positive() && age < said.lifetime() + STALE {
            Hit::Stale(said)
        } else {
            Hit::Miss
        }
    }

    /// Keeps an answer, if it may be kept.
    pub(super) fn insert(&self, key: &Arc<Key>, said: &Arc<Said>, now: Instant) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.remove(key);
        if said.lifetime().is_zero() {
            return;
        }
        table.clock += 1;
        let clock = table.clock;
        table.bytes += cost(key, said);
        table.used.insert(clock, Arc::clone(key));
        let entry = Entry { said: Arc::clone(said), since: now, used: clock };
        table.entries.insert(Arc::clone(key), entry);
        while table.entries.len() > ENTRIES || table.bytes > BYTES {
            let Some((_, oldest)) = table.used.first_key_value() else { break };
            let oldest = Arc::clone(oldest);
            table.remove(&oldest);
        }
    }
}

impl Table {
    fn remove(&mut self, key: &Key) {
        if let Some((key, entry)) = self.entries.remove_entry(key) {
            self.used.remove(&entry.used);
            self.bytes = self.bytes.saturating_sub(cost(&key, &entry.said));
        }
    }
}

/// What an entry takes, roughly.
fn cost(key: &Key, said: &Said) -> usize {
    256 + key.question.len() + said.size()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32) -> Arc<Key> {
        let mut question = n.to_be_bytes().to_vec();
        question.extend([0; 4]);
        Arc::new(Key {
            question: question.into(),
            recursion_desired: true,
            checking_disabled: false,
            authentic_data: false,
            edns: false,
            dnssec_ok: false,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_for_last_stays() {
        let cache = Cache::default();
        let said = Arc::new(Said::example(60));
        let first = key(0);
        cache.insert(&first, &said, Instant::now());
        for n in 1..=u32::try_from(ENTRIES).unwrap() + 100 {
            cache.insert(&key(n), &said, Instant::now());
            assert!(matches!(cache.look_up(&first, Instant::now()), Hit::Fresh { .. }), "{n}");
        }
        assert!(matches!(cache.look_up(&key(1), Instant::now()), Hit::Miss));
        let table = cache.table.lock().unwrap();
        assert!(table.entries.len() <= ENTRIES && table.bytes <= BYTES);
        assert_eq!(table.entries.len(), table.used.len());
        let all: usize = table.entries.iter().map(|(key, entry)| cost(key, &entry.said)).sum();
        assert_eq!(table.bytes, all);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_age_and_then_serve_only_in_need() {
        let cache = Cache::default();
        cache.insert(&key(1), &Arc::new(Said::example(60)), Instant::now());
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(matches!(cache.look_up(&key(1), Instant::now()), Hit::Fresh { age: 59, .. }));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(matches!(cache.look_up(&key(1), Instant::now()), Hit::Stale(_)));
        tokio::time::advance(STALE).await;
        assert!(matches!(cache.look_up(&key(1), Instant::now()), Hit::Miss));
    }
}

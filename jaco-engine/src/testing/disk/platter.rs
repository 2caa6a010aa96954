//! What is on a simulated disk, written and durable.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use rand::{RngExt as _, rngs::StdRng};

use crate::raft::{
    MemoryStorage, RaftStorage as _, format,
    storage::{Cell, Completion, Record, StorageError},
};

pub(super) struct Platter {
    pub(super) dice: StdRng,
    /// Counts the times it was opened: whoever opened it before writes nothing any more.
    pub(super) life: u64,
    /// What readers see.
    pub(super) written: MemoryStorage,
    /// What is there after a crash.
    pub(super) durable: MemoryStorage,
    /// What is written and not yet durable, in order.
    pub(super) queue: VecDeque<Write>,
    pub(super) flushing: bool,
    /// Shortest and longest time that a flush takes.
    pub(super) flush: (Duration, Duration),
    pub(super) full: bool,
    /// Acknowledges what it has not flushed.
    pub(super) lies: bool,
    /// Every entry that was ever in the log and was not taken back, also after it was purged.
    pub(super) archive: BTreeMap<u64, Bytes>,
}

pub(super) struct Write {
    pub(super) change: Change,
    pub(super) done: Option<Completion>,
}

pub(super) enum Change {
    Append(Vec<Record>),
    Truncate(u64),
    Purge(u64, Bytes),
    Set(Cell, Bytes),
}

impl Change {
    fn apply(self, to: &MemoryStorage) {
        match self {
            Self::Append(records) => to.append(records, Box::new(|_| ())),
            Self::Truncate(from) => to.truncate(from),
            Self::Purge(through, mark) => to.purge(through, mark),
            Self::Set(cell, value) => to.set_cell(cell, value, None),
        }
    }
}

pub(super) type Told = Vec<(Completion, Result<(), Arc<StorageError>>)>;

pub(super) fn closed(done: Completion) -> (Completion, Result<(), Arc<StorageError>>) {
    (done, Err(Arc::new(StorageError::Closed)))
}

impl Platter {
    pub(super) fn empty(&mut self) {
        self.written = MemoryStorage::default();
        self.durable = MemoryStorage::default();
        self.queue.clear();
        self.flushing = false;
        self.archive.clear();
    }

    /// Takes a write in; what is to be told at once.
    pub(super) fn write(
        &mut self,
        change: Change,
        done: Option<Completion>,
    ) -> Option<(Completion, Result<(), Arc<StorageError>>)> {
        match &change {
            Change::Append(records) => {
                let (first, next) = (records.first().map(|r| r.index), self.written.extent().end);
                if !self.written.extent().is_empty() && first.is_some_and(|first| first != next) {
                    let found = first.unwrap_or_default();
                    let gap = Arc::new(StorageError::Gap { expected: next, found });
                    return done.map(|done| (done, Err(gap)));
                }
                self.archive.extend(records.iter().map(|r| (r.index, r.bytes.clone())));
            }
            Change::Truncate(from) => drop(self.archive.split_off(from)),
            Change::Purge(through, mark) => self.forget_replaced(*through, mark),
            Change::Set(..) => {}
        }
        change.copy().apply(&self.written);
        let (told, done) = if self.lies { (done, None) } else { (None, done) };
        self.queue.push_back(Write { change, done });
        told.map(|done| (done, Ok(())))
    }

    /// Entries that a snapshot of somebody else's log has replaced were never committed, or may not
    /// have been: the log through the last of them is not the one that is purged.
    fn forget_replaced(&mut self, through: u64, mark: &Bytes) {
        let last = self.archive.get(&through).cloned();
        let last =
            last.and_then(|bytes| format::read_entry(&Record { index: through, bytes }).ok());
        let purged = format::read_log_id(mark).ok().flatten();
        if purged.is_none() || last.map(|entry| entry.log_id) != purged {
            let first = self.written.extent().start;
            self.archive.retain(|index, _| *index < first || *index > through);
        }
    }

    /// Makes the first `count` writes durable.
    pub(super) fn settle(&mut self, count: usize) -> Told {
        let mut told = Vec::new();
        for write in self.queue.drain(..count.min(self.queue.len())) {
            write.change.apply(&self.durable);
            told.extend(write.done.map(|done| (done, Ok(()))));
        }
        told
    }

    pub(super) fn crash(&mut self) -> Told {
        let kept = self.dice.random_range(0..=self.queue.len());
        let mut told: Told = self.settle(kept).into_iter().map(|(done, _)| closed(done)).collect();
        if let Some(Write { change: Change::Append(records), .. }) = self.queue.front() {
            let torn = self.dice.random_range(0..=records.len());
            Change::Append(records[..torn].to_vec()).apply(&self.durable);
        }
        told.extend(self.queue.drain(..).filter_map(|write| write.done).map(closed));
        self.flushing = false;
        self.written = self.durable.copy();
        self.archive.split_off(&self.durable.extent().end);
        told
    }
}

impl Change {
    fn copy(&self) -> Self {
        match self {
            Self::Append(records) => Self::Append(records.clone()),
            Self::Truncate(from) => Self::Truncate(*from),
            Self::Purge(through, mark) => Self::Purge(*through, mark.clone()),
            Self::Set(cell, value) => Self::Set(*cell, value.clone()),
        }
    }
}

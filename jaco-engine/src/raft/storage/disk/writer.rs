//! The one thread that writes the log: many waiting writes become one write and one flush.
//!
//! In: operations in order. Out: bytes on disk, then the news of it. A full disk makes it wait and
//! try again; any other failure ends writing for good, because what a failed flush has lost cannot
//! be known.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{
    DiskOptions, Shared,
    ledger::{Ledger, Place, Slot},
    record::{self, Content},
    recover::Recovered,
    segment::Segment,
};
use crate::{
    durable,
    raft::storage::{Completion, StorageError},
};

/// Most bytes of one write.
const BATCH_BYTES: usize = 4 << 20;
/// Between two attempts to write to a full disk.
const FULL_PAUSE: Duration = Duration::from_millis(500);

/// A write that waits for its turn.
pub(super) enum Operation {
    /// New records. `tickets` are those of the entries among them, in order.
    Write { contents: Vec<Content>, tickets: Vec<u64>, done: Option<Completion> },
    /// Nothing more will come.
    Close,
}

/// Wakes the writer out of its pauses when the storage is closed.
#[derive(Debug, Default)]
pub(super) struct Closing {
    closed: Mutex<bool>,
    woken: Condvar,
}

impl Closing {
    pub(super) fn close(&self) {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.woken.notify_all();
    }
    /// Waits a while; true when the storage was closed.
    fn pause(&self, span: Duration) -> bool {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        *self
            .woken
            .wait_timeout_while(closed, span, |closed| !*closed)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

/// The state of the writing thread.
pub(super) struct Writer {
    directory: PathBuf,
    options: DiskOptions,
    shared: Arc<Shared>,
    closing: Arc<Closing>,
    active: Arc<Segment>,
    /// How much of the active segment is on disk for sure.
    durable: u64,
    /// What follows after that; `written` bytes of it are in the file already.
    pending: Vec<u8>,
    written: usize,
    /// What the files say, without places.
    mirror: Ledger,
    /// Segments, oldest first, with the index after the highest entry ever written to each.
    segments: Vec<(Arc<Segment>, u64)>,
    failed: Option<Arc<StorageError>>,
}

/// What one round of writing is to bring about.
#[derive(Default)]
struct Round {
    /// Index, ticket and place of new entries.
    entries: Vec<(u64, u64, Place)>,
    done: Vec<Completion>,
    purged: Option<u64>,
    flush: bool,
    close: bool,
}

impl Writer {
    pub(super) fn new(
        directory: &Path,
        options: DiskOptions,
        shared: Arc<Shared>,
        closing: Arc<Closing>,
        recovered: &Recovered,
    ) -> Option<Self> {
        let segments: Vec<_> = recovered
            .segments
            .iter()
            .map(|(s, segment)| {
                (segment.clone(), recovered.ends.get(s).copied().unwrap_or_default())
            })
            .collect();
        Some(Self {
            directory: directory.to_owned(),
            options,
            shared,
            closing,
            active: segments.last()?.0.clone(),
            durable: recovered.end,
            pending: Vec::new(),
            written: 0,
            mirror: Ledger::spanning(&recovered.ledger.checkpoint()),
            segments,
            failed: None,
        })
    }

    pub(super) fn run(mut self, mut queue: mpsc::UnboundedReceiver<Operation>) {
        while let Some(first) = queue.blocking_recv() {
            let mut round = Round::default();
            self.take(first, &mut round);
            while !round.close && self.pending.len() < BATCH_BYTES {
                let Ok(next) = queue.try_recv() else { break };
                self.take(next, &mut round);
            }
            let close = round.close;
            self.finish(round);
            if close {
                break;
            }
        }
        queue.close();
        while let Ok(operation) = queue.try_recv() {
            if let Operation::Write { done: Some(done), .. } = operation {
                done(Err(Arc::new(StorageError::Closed)));
            }
        }
    }

    /// Encodes an operation behind those that wait already.
    fn take(&mut self, operation: Operation, round: &mut Round) {
        let Operation::Write { contents, tickets, done } = operation else {
            round.close = true;
            round.flush = true;
            return;
        };
        let mut tickets = tickets.into_iter();
        for content in contents {
            let at = self.pending.len();
            record::encode(&mut self.pending, self.active.salt, self.durable, &content);
            let place = Place {
                segment: self.active.sequence,
                offset: self.durable + at as u64,
                len: self.pending.len() - at,
            };
            match &content {
                Content::Entry { index, .. } => {
                    round.entries.extend(tickets.next().map(|ticket| (*index, ticket, place)));
                }
                Content::Purge { through, .. } => {
                    round.purged = round.purged.max(Some(*through));
                    round.flush = true;
                }
                _ => {}
            }
            self.mirror_content(&content);
        }
        if let Some(done) = done {
            round.done.push(done);
            round.flush = true;
        }
    }

    fn mirror_content(&mut self, content: &Content) {
        match content {
            Content::Entry { index, .. } => {
                let end = self.segments.last_mut().map(|(_, end)| end);
                if let Some(end) = end {
                    *end = (*end).max(index + 1);
                }
                // The front has refused gaps already.
                let _ = self.mirror.append(*index, Slot::default());
            }
            Content::Cell { cell, value } => self.mirror.set_cell(*cell, value.clone()),
            Content::Truncate { from } => self.mirror.truncate(*from),
            Content::Purge { through, mark } => self.mirror.purge(*through, mark.clone()),
            Content::Checkpoint(_) => {}
        }
    }

    /// Writes what waits and tells everybody.
    fn finish(&mut self, round: Round) {
        let result = self.write_until_done(round.flush);
        if result.is_ok() && round.flush {
            self.shared.placed(&round.entries, self.options.cache_bytes);
        }
        for done in round.done {
            done(result.clone());
        }
        if result.is_err() {
            return;
        }
        if let Some(through) = round.purged {
            self.drop_segments(through);
        }
        if round.flush && self.durable >= self.options.segment_bytes {
            self.rotate();
        }
    }

    /// Tries until everything is on disk, or for good reasons never will be.
    fn write_until_done(&mut self, flush: bool) -> Result<(), Arc<StorageError>> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        loop {
            let error = match self.write(flush) {
                Ok(()) => {
                    self.shared.set_fault(None);
                    return Ok(());
                }
                Err(error) => Arc::new(error),
            };
            if self.shared.set_fault(Some(error.clone())) {
                tracing::error!(%error, "the raft log cannot be written");
            }
            // After a failed write everything since the last flush is written again.
            self.written = 0;
            if !error.passes() || self.closing.pause(FULL_PAUSE) {
                self.failed = Some(error.clone());
                return Err(error);
            }
        }
    }

    fn write(&mut self, flush: bool) -> Result<(), StorageError> {
        let fresh = &self.pending[self.written..];
        if !fresh.is_empty() {
            let offset = self.durable + self.written as u64;
            let room = self.options.room(fresh.len());
            self.active.write(&fresh[..room], offset)?;
            if room < fresh.len() {
                return Err(super::segment::write_error(
                    &self.active.path,
                    std::io::ErrorKind::StorageFull.into(),
                ));
            }
            self.written = self.pending.len();
        }
        if flush && !self.pending.is_empty() {
            self.active.flush()?;
            self.durable += self.pending.len() as u64;
            self.pending.clear();
            self.written = 0;
        }
        Ok(())
    }

    /// Begins the next segment. Without space for it the old one grows on.
    fn rotate(&mut self) {
        let sequence = self.active.sequence + 1;
        match Segment::create(&self.directory, sequence, self.mirror.checkpoint()) {
            Ok((segment, len)) => {
                self.active = Arc::new(segment);
                self.durable = len;
                self.segments.push((self.active.clone(), 0));
                self.shared.add_segment(self.active.clone());
            }
            Err(error) => tracing::warn!(%error, "cannot begin a new segment of the raft log"),
        }
    }

    /// Removes the oldest segments that hold no entry after `through`. The purge is durable by now.
    fn drop_segments(&mut self, through: u64) {
        let dead = self
            .segments
            .iter()
            .take(self.segments.len() - 1)
            .take_while(|(_, end)| *end <= through + 1)
            .count();
        for (segment, _) in self.segments.drain(..dead).collect::<Vec<_>>() {
            self.shared.remove_segment(segment.sequence);
            // One that stays is removed with the next purge after a restart.
            if let Err(error) = segment.remove() {
                tracing::warn!(%error, "cannot remove a purged segment of the raft log");
            }
        }
        if dead > 0 {
            let _ = durable::flush_directory_of(&self.active.path);
        }
    }
}

/// A record's bytes as they are handed over.
pub(super) fn entry(index: u64, bytes: Bytes) -> Content {
    Content::Entry { index, bytes }
}

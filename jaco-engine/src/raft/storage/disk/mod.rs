//! The log on disk: append-only segments, one writer thread, group commit.
//!
//! `<directory>/LOCK`, `log-<sequence>.seg`, `snapshot-<number>.snap`. Entries, truncations, purges,
//! votes and the committed index are records of one sequence, so one flush makes all of them
//! durable and their order is never in doubt. Nothing is ever overwritten except a torn tail.
//! `docs/design/storage.md` says why.

#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzzing;
mod ledger;
mod record;
mod recover;
mod scan;
mod segment;
mod snapshot;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use bytes::Bytes;
use tokio::sync::mpsc;

use self::{
    ledger::{Ledger, Place, Slot},
    record::Content,
    segment::{Segment, io_error},
    writer::{Closing, Operation, Writer},
};
use super::{Cell, Completion, RaftStorage, Record, StorageError, StoredSnapshot};
use crate::durable;

/// How a log is kept.
#[derive(Debug, Clone)]
pub struct DiskOptions {
    /// A segment that has grown this long is followed by a new one.
    pub segment_bytes: u64,
    /// Bytes of the newest entries that stay in memory.
    pub cache_bytes: usize,
    /// Bytes that may still be written: a disk that fills up, for tests.
    #[cfg(test)]
    room: Option<Arc<AtomicU64>>,
}

impl Default for DiskOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 8 << 20,
            cache_bytes: 4 << 20,
            #[cfg(test)]
            room: None,
        }
    }
}

impl DiskOptions {
    /// How many of `wanted` bytes may be written.
    #[cfg(not(test))]
    fn room(&self, wanted: usize) -> usize {
        wanted
    }
    #[cfg(test)]
    fn room(&self, wanted: usize) -> usize {
        let Some(room) = &self.room else { return wanted };
        let granted = usize::try_from(room.load(Ordering::SeqCst)).unwrap().min(wanted);
        room.fetch_sub(granted as u64, Ordering::SeqCst);
        granted
    }
}

/// A raft log in a directory of its own.
#[derive(Debug)]
pub struct DiskStorage {
    directory: PathBuf,
    shared: Arc<Shared>,
    closing: Arc<Closing>,
    queue: mpsc::UnboundedSender<Operation>,
    writer: Mutex<Option<JoinHandle<()>>>,
    tickets: AtomicU64,
    saving: Mutex<()>,
    /// Held until the storage is closed.
    lock: Mutex<Option<File>>,
}

/// What the writer and the readers share.
#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    ledger: Ledger,
    segments: BTreeMap<u64, Arc<Segment>>,
    fault: Option<Arc<StorageError>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Entries have become durable.
    fn placed(&self, entries: &[(u64, u64, Place)], budget: usize) {
        let mut inner = self.lock();
        for (index, ticket, place) in entries {
            inner.ledger.place(*index, *ticket, *place);
        }
        inner.ledger.cool(budget);
    }
    /// True when that is news.
    fn set_fault(&self, fault: Option<Arc<StorageError>>) -> bool {
        let mut inner = self.lock();
        let news = inner.fault.is_none() && fault.is_some();
        inner.fault = fault;
        news
    }
    fn add_segment(&self, segment: Arc<Segment>) {
        self.lock().segments.insert(segment.sequence, segment);
    }
    fn remove_segment(&self, sequence: u64) {
        self.lock().segments.remove(&sequence);
    }
}

impl DiskStorage {
    /// Opens the log in `directory`, which is made if it is not there. A torn tail is cut off.
    ///
    /// # Errors
    /// [`StorageError`] when the directory is in use, cannot be read, or acknowledged data in it is
    /// damaged or missing.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, StorageError> {
        Self::open_with(directory, DiskOptions::default())
    }

    /// As [`Self::open`], with other sizes.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(
        directory: impl AsRef<Path>,
        options: DiskOptions,
    ) -> Result<Self, StorageError> {
        let directory = directory.as_ref().to_owned();
        durable::private_directory(&directory).map_err(|e| io_error("create", &directory, e))?;
        let lock = lock(&directory.join("LOCK"))?;
        let recovered = recover::recover(&directory)?;
        let ledger = Ledger::default();
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner { ledger, segments: recovered.segments.clone(), fault: None }),
        });
        let closing = Arc::<Closing>::default();
        let writer = Writer::new(&directory, options, shared.clone(), closing.clone(), &recovered);
        shared.lock().ledger = recovered.ledger;
        let (queue, operations) = mpsc::unbounded_channel();
        let writer = writer.map(|w| {
            std::thread::Builder::new()
                .name("raft-log".to_owned())
                .spawn(move || w.run(operations))
                .map_err(|e| io_error("start the thread that writes", &directory, e))
        });
        Ok(Self {
            shared,
            closing,
            queue,
            writer: Mutex::new(writer.transpose()?),
            tickets: AtomicU64::new(1),
            saving: Mutex::new(()),
            lock: Mutex::new(Some(lock)),
            directory,
        })
    }

    fn send(&self, contents: Vec<Content>, tickets: Vec<u64>, done: Option<Completion>) {
        let operation = Operation::Write { contents, tickets, done };
        if let Err(mpsc::error::SendError(Operation::Write { done: Some(done), .. })) =
            self.queue.send(operation)
        {
            done(Err(Arc::new(StorageError::Closed)));
        }
    }
}

fn lock(path: &Path) -> Result<File, StorageError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|e| io_error("open", path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StorageError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(e)) => Err(io_error("lock", path, e)),
    }
}

impl RaftStorage for DiskStorage {
    fn extent(&self) -> Range<u64> {
        self.shared.lock().ledger.extent()
    }

    fn read(&self, range: Range<u64>) -> Result<Vec<Record>, StorageError> {
        enum Source {
            Memory(Bytes),
            Disk(Arc<Segment>, Place),
        }
        let sources: Vec<(u64, Source)> = {
            let inner = self.shared.lock();
            let kept = inner.ledger.extent();
            (range.start.max(kept.start)..range.end.min(kept.end))
                .filter_map(|index| {
                    let slot = inner.ledger.slot(index)?;
                    let source = match (&slot.bytes, slot.place) {
                        (Some(bytes), _) => Source::Memory(bytes.clone()),
                        (None, Some(place)) => {
                            Source::Disk(inner.segments.get(&place.segment)?.clone(), place)
                        }
                        (None, None) => return None,
                    };
                    Some((index, source))
                })
                .collect()
        };
        let mut records = Vec::with_capacity(sources.len());
        for (index, source) in sources {
            let bytes = match source {
                Source::Memory(bytes) => bytes,
                Source::Disk(segment, place) => match segment.read(place)?.content {
                    Content::Entry { index: found, bytes } if found == index => bytes,
                    _ => return Err(segment.corrupt(place.offset, "another record lies there")),
                },
            };
            records.push(Record { index, bytes });
        }
        Ok(records)
    }

    fn append(&self, records: Vec<Record>, done: Completion) {
        // The queue is filled under the lock: it has the order of the ledger.
        let mut inner = self.shared.lock();
        let kept = inner.ledger.extent();
        let first = records.first().filter(|_| kept.is_empty()).map_or(kept.end, |r| r.index);
        if let Some((expected, gap)) = (first..).zip(&records).find(|(at, r)| *at != r.index) {
            drop(inner);
            let gap = StorageError::Gap { expected, found: gap.index };
            return done(Err(Arc::new(gap)));
        }
        let (mut contents, mut tickets) = (Vec::new(), Vec::new());
        for Record { index, bytes } in records {
            let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
            let slot = Slot { bytes: Some(bytes.clone()), place: None, ticket };
            // Checked above.
            let _ = inner.ledger.append(index, slot);
            contents.push(writer::entry(index, bytes));
            tickets.push(ticket);
        }
        self.send(contents, tickets, Some(done));
    }

    fn truncate(&self, from: u64) {
        let mut inner = self.shared.lock();
        inner.ledger.truncate(from);
        self.send(vec![Content::Truncate { from }], Vec::new(), None);
    }

    fn purge(&self, through: u64, mark: Bytes) {
        let mut inner = self.shared.lock();
        inner.ledger.purge(through, mark.clone());
        self.send(vec![Content::Purge { through, mark }], Vec::new(), None);
    }

    fn cell(&self, cell: Cell) -> Option<Bytes> {
        self.shared.lock().ledger.cell(cell).cloned()
    }

    fn set_cell(&self, cell: Cell, value: Bytes, done: Option<Completion>) {
        let mut inner = self.shared.lock();
        inner.ledger.set_cell(cell, value.clone());
        self.send(vec![Content::Cell { cell, value }], Vec::new(), done);
    }

    fn snapshot(&self) -> Result<Option<StoredSnapshot>, StorageError> {
        let _one = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        snapshot::load(&self.directory)
    }

    fn save_snapshot(&self, stored: StoredSnapshot) -> Result<(), StorageError> {
        let _one = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        snapshot::save(&self.directory, &stored)
    }

    fn fault(&self) -> Option<Arc<StorageError>> {
        self.shared.lock().fault.clone()
    }

    fn close(&self) {
        self.closing.close();
        let _ = self.queue.send(Operation::Close);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if writer.is_some_and(|w| w.join().is_err()) {
            tracing::error!("the thread that writes the raft log has panicked");
        }
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for DiskStorage {
    fn drop(&mut self) {
        self.close();
    }
}

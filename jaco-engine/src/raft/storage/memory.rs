//! A storage that lasts as long as its last clone.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use super::{Cell, Completion, RaftStorage, Record, StorageError, StoredSnapshot};

/// Keeps everything in memory. Clones are the same storage: a test that restarts a node hands a
/// clone to the next life.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Clone, Default)]
struct Kept {
    records: BTreeMap<u64, Bytes>,
    next: u64,
    cells: BTreeMap<Cell, Bytes>,
    snapshot: Option<StoredSnapshot>,
}

impl MemoryStorage {
    /// The same content in a storage of its own.
    #[must_use]
    pub fn copy(&self) -> Self {
        let kept = Kept::clone(&self.lock());
        Self { kept: Arc::new(Mutex::new(kept)) }
    }
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn append(&mut self, records: Vec<Record>) -> Result<(), StorageError> {
        for record in records {
            if !self.records.is_empty() && record.index != self.next {
                return Err(StorageError::Gap { expected: self.next, found: record.index });
            }
            self.next = record.index + 1;
            self.records.insert(record.index, record.bytes);
        }
        Ok(())
    }
}

impl RaftStorage for MemoryStorage {
    fn extent(&self) -> Range<u64> {
        let kept = self.lock();
        kept.records.first_key_value().map_or(kept.next, |(first, _)| *first)..kept.next
    }
    fn read(&self, range: Range<u64>) -> Result<Vec<Record>, StorageError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let kept = self.lock();
        let found = kept.records.range(range);
        Ok(found.map(|(index, bytes)| Record { index: *index, bytes: bytes.clone() }).collect())
    }
    fn append(&self, records: Vec<Record>, done: Completion) {
        let appended = self.lock().append(records);
        done(appended.map_err(Arc::new));
    }
    fn truncate(&self, from: u64) {
        let mut kept = self.lock();
        kept.records.split_off(&from);
        kept.next = kept.next.min(from);
    }
    fn purge(&self, through: u64, mark: Bytes) {
        let mut kept = self.lock();
        kept.records = kept.records.split_off(&(through + 1));
        kept.next = kept.next.max(through + 1);
        kept.cells.insert(Cell::Purged, mark);
    }
    fn cell(&self, cell: Cell) -> Option<Bytes> {
        self.lock().cells.get(&cell).cloned()
    }
    fn set_cell(&self, cell: Cell, value: Bytes, done: Option<Completion>) {
        self.lock().cells.insert(cell, value);
        if let Some(done) = done {
            done(Ok(()));
        }
    }
    fn snapshot(&self) -> Result<Option<StoredSnapshot>, StorageError> {
        Ok(self.lock().snapshot.clone())
    }
    fn save_snapshot(&self, snapshot: StoredSnapshot) -> Result<(), StorageError> {
        self.lock().snapshot = Some(snapshot);
        Ok(())
    }
    fn fault(&self) -> Option<Arc<StorageError>> {
        None
    }
    fn close(&self) {}
    fn in_memory(&self) -> bool {
        true
    }
}

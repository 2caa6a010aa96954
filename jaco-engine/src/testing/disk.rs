//! A disk in memory that is slow, full, or loses what was not flushed.
//!
//! In: what raft writes. Out: what a node finds there in its next life. Every acknowledged write is
//! there; of those under way at a crash a part may be, in order, the last one torn.

mod platter;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::raft::{
    MemoryStorage, RaftStorage,
    storage::{Cell, Completion, Record, StorageError, StoredSnapshot},
};

use platter::{Change, Platter, Told, closed};

/// An entry of the log as it is written.
pub type Entry = Bytes;

/// The disk of one host. Clones are the same disk.
#[derive(Clone)]
pub struct SimulatedDisk {
    platter: Arc<Mutex<Platter>>,
}

impl std::fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimulatedDisk")
    }
}

impl SimulatedDisk {
    /// An empty disk that flushes at once. What a crash leaves follows from the seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let platter = Platter {
            dice: StdRng::seed_from_u64(seed),
            life: 0,
            written: MemoryStorage::default(),
            durable: MemoryStorage::default(),
            queue: VecDeque::new(),
            flushing: false,
            flush: (Duration::ZERO, Duration::ZERO),
            full: false,
            lies: false,
            archive: BTreeMap::new(),
        };
        Self { platter: Arc::new(Mutex::new(platter)) }
    }

    /// Opens the disk in the name of a directory, as a node does. A directory that is not there means
    /// that everything was deleted.
    ///
    /// # Errors
    /// [`StorageError::Io`] when the directory cannot be made.
    pub fn open(&self, directory: &Path) -> Result<OpenDisk, StorageError> {
        let mut platter = self.lock();
        if !directory.exists() {
            std::fs::create_dir_all(directory).map_err(|source| StorageError::Io {
                operation: "create",
                path: directory.to_owned(),
                source,
            })?;
            platter.empty();
        }
        platter.life += 1;
        let path = directory.to_owned();
        Ok(OpenDisk { disk: self.clone(), life: platter.life, path })
    }

    /// The power goes: what was not acknowledged may be there, in part and in order, or not.
    pub fn crash(&self) {
        let told = {
            let mut platter = self.lock();
            platter.life += 1;
            platter.crash()
        };
        tell(told);
    }

    /// How long each flush takes, at least and at most.
    pub fn set_flush(&self, least: Duration, most: Duration) {
        self.lock().flush = (least, most.max(least));
    }
    /// No space is left, or there is some again: writes wait meanwhile.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
        self.flush();
    }
    /// Acknowledges writes before they are durable, as no disk may.
    pub fn set_lies(&self, lies: bool) {
        self.lock().lies = lies;
    }
    /// An entry of the log as it is or was here; nothing where it was taken back, or came with a
    /// snapshot.
    #[must_use]
    pub fn entry(&self, index: u64) -> Option<Entry> {
        self.lock().archive.get(&index).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.platter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes what waits durable: at once, or in the background.
    fn flush(&self) {
        let (told, slow) = {
            let mut platter = self.lock();
            let waits = platter.queue.iter().any(|write| write.done.is_some());
            if !waits || platter.full || platter.flushing {
                return;
            }
            if platter.flush.1.is_zero() {
                let all = platter.queue.len();
                (platter.settle(all), false)
            } else {
                platter.flushing = true;
                (Vec::new(), true)
            }
        };
        tell(told);
        if slow {
            tokio::spawn(self.clone().flush_slowly());
        }
    }

    async fn flush_slowly(self) {
        let (life, count, takes) = {
            let mut platter = self.lock();
            let (least, most) = platter.flush;
            let takes = if most > least { platter.dice.random_range(least..=most) } else { least };
            (platter.life, platter.queue.len(), takes)
        };
        tokio::time::sleep(takes).await;
        let told = {
            let mut platter = self.lock();
            if platter.life != life {
                return;
            }
            platter.flushing = false;
            platter.settle(count)
        };
        tell(told);
        self.flush();
    }

    fn write(&self, life: u64, change: Change, done: Option<Completion>) {
        let refused = {
            let mut platter = self.lock();
            if platter.life == life { platter.write(change, done) } else { done.map(closed) }
        };
        tell(refused.into_iter().collect());
        self.flush();
    }
}

/// Completions are called without the lock: they may write again.
fn tell(told: Told) {
    for (done, result) in told {
        done(result);
    }
}

/// The disk as one life of a node has it open.
#[derive(Debug)]
pub struct OpenDisk {
    disk: SimulatedDisk,
    life: u64,
    path: PathBuf,
}

impl RaftStorage for OpenDisk {
    fn extent(&self) -> std::ops::Range<u64> {
        self.disk.lock().written.extent()
    }
    fn read(&self, range: std::ops::Range<u64>) -> Result<Vec<Record>, StorageError> {
        self.disk.lock().written.read(range)
    }
    fn append(&self, records: Vec<Record>, done: Completion) {
        self.disk.write(self.life, Change::Append(records), Some(done));
    }
    fn truncate(&self, from: u64) {
        self.disk.write(self.life, Change::Truncate(from), None);
    }
    fn purge(&self, through: u64, mark: Bytes) {
        self.disk.write(self.life, Change::Purge(through, mark), None);
    }
    fn cell(&self, cell: Cell) -> Option<Bytes> {
        self.disk.lock().written.cell(cell)
    }
    fn set_cell(&self, cell: Cell, value: Bytes, done: Option<Completion>) {
        self.disk.write(self.life, Change::Set(cell, value), done);
    }
    fn snapshot(&self) -> Result<Option<StoredSnapshot>, StorageError> {
        self.disk.lock().written.snapshot()
    }
    fn save_snapshot(&self, snapshot: StoredSnapshot) -> Result<(), StorageError> {
        let platter = self.disk.lock();
        if platter.life != self.life {
            return Err(StorageError::Closed);
        }
        // A file of its own: durable when this returns, whatever waits of the log.
        platter.durable.save_snapshot(snapshot.clone())?;
        platter.written.save_snapshot(snapshot)
    }
    fn fault(&self) -> Option<Arc<StorageError>> {
        let full = self.disk.lock().full;
        full.then(|| {
            let (path, source) = (self.path.clone(), io::ErrorKind::StorageFull.into());
            Arc::new(StorageError::DiskFull { path, source })
        })
    }
    fn close(&self) {
        let told = {
            let mut platter = self.disk.lock();
            if platter.life != self.life {
                return;
            }
            platter.life += 1;
            platter.flushing = false;
            let all = platter.queue.len();
            platter.settle(all)
        };
        tell(told);
    }
    fn in_memory(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::storage::conformance;

    fn append(storage: &dyn RaftStorage, index: u64) {
        let bytes = Bytes::from(index.to_string());
        storage.append(vec![Record { index, bytes }], Box::new(|_| ()));
    }

    #[test]
    fn it_conforms() {
        let (dir, disk) = (tempfile::tempdir().unwrap(), SimulatedDisk::seeded(1));
        conformance::check(|| disk.open(dir.path()).unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_crash_keeps_what_was_acknowledged_and_a_part_of_the_rest_in_order() {
        let mut ends = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let dir = tempfile::tempdir().unwrap();
            let disk = SimulatedDisk::seeded(seed);
            let storage = disk.open(dir.path()).unwrap();
            (0..3).for_each(|index| append(&storage, index));
            disk.set_flush(Duration::from_secs(1), Duration::from_secs(1));
            (3..6).for_each(|index| append(&storage, index));
            disk.crash();
            append(&storage, 6);
            let storage = disk.open(dir.path()).unwrap();
            let extent = storage.extent();
            assert!(extent.start == 0 && (3..=6).contains(&extent.end), "{extent:?}");
            assert_eq!(disk.entry(extent.end), None);
            ends.insert(extent.end);
        }
        assert_eq!(ends.len(), 4, "every length happens: {ends:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_disk_acknowledges_late_and_a_full_one_when_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let disk = SimulatedDisk::seeded(1);
        let storage = disk.open(dir.path()).unwrap();
        let write = |index: u64| {
            let (done, told) = tokio::sync::oneshot::channel();
            let record = Record { index, bytes: Bytes::new() };
            storage.append(vec![record], Box::new(|result| drop(done.send(result))));
            told
        };
        let began = tokio::time::Instant::now();
        disk.set_flush(Duration::from_millis(300), Duration::from_millis(300));
        write(0).await.unwrap().unwrap();
        assert_eq!(began.elapsed(), Duration::from_millis(300));
        disk.set_full(true);
        assert!(storage.fault().is_some());
        let waits = write(1);
        tokio::time::sleep(Duration::from_secs(60)).await;
        disk.set_full(false);
        waits.await.unwrap().unwrap();
        assert!(began.elapsed() > Duration::from_secs(60));
    }
}

//! What a node keeps of the raft log: the `RaftStorage` seam and its two implementations.
//!
//! A storage knows bytes and indexes, no consensus: it can be written and tested without openraft.
//! [`DiskStorage`] survives `kill -9` and power loss; [`MemoryStorage`] is for tests and for the
//! simulator. Whoever writes another one runs [`conformance`] on it.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod disk;
mod error;
mod memory;

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

#[cfg(any(test, feature = "testing"))]
pub(crate) use disk::fuzzing as files;
pub use disk::{DiskOptions, DiskStorage};
pub use error::StorageError;
pub use memory::MemoryStorage;

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place.
    pub index: u64,
    /// Its content.
    pub bytes: Bytes,
}

/// Values beside the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// Term and vote: durable before anybody is told.
    Vote,
    /// What is known to be committed: may be lost, then it is learned again.
    Committed,
    /// The last entry that was purged.
    Purged,
}

impl Cell {
    /// Every cell, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Vote, Self::Committed, Self::Purged];
}

/// A state in one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// What the state is: log position and membership.
    pub meta: Bytes,
    /// The state.
    pub data: Bytes,
}

/// Told when a write is durable, or why it will never be.
pub type Completion = Box<dyn FnOnce(Result<(), Arc<StorageError>>) + Send>;

/// Does what may wait for the disk: beside the runtime's tasks, or in place where there is no disk.
pub(crate) async fn beside<T: Send + 'static>(
    storage: Arc<dyn RaftStorage>,
    work: impl FnOnce(&dyn RaftStorage) -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    if storage.in_memory() {
        return Ok(work(&*storage));
    }
    tokio::task::spawn_blocking(move || work(&*storage)).await
}

/// What a node keeps of the raft log.
///
/// Writes take effect in the order of the calls, for readers at once; they become durable in that
/// order too, a later one never without the earlier ones. No method waits for the disk except
/// [`Self::save_snapshot`], [`Self::snapshot`], [`Self::close`] and a [`Self::read`] of old entries.
pub trait RaftStorage: Send + Sync + 'static {
    /// Indexes of the entries that are kept. Empty, it still says which index comes next.
    fn extent(&self) -> Range<u64>;
    /// Entries of a range; those outside of [`Self::extent`] are left out.
    ///
    /// # Errors
    /// [`StorageError`] when an entry cannot be read back as it was written.
    fn read(&self, range: Range<u64>) -> Result<Vec<Record>, StorageError>;
    /// Adds entries at the end. The first one may have any index while there is no entry; `done` is
    /// told once they are durable.
    fn append(&self, records: Vec<Record>, done: Completion);
    /// Forgets the entries from this index on. Needs not be durable by itself.
    fn truncate(&self, from: u64);
    /// Forgets the entries through this index and keeps `mark` in [`Cell::Purged`].
    fn purge(&self, through: u64, mark: Bytes);
    /// The value of a cell.
    fn cell(&self, cell: Cell) -> Option<Bytes>;
    /// Replaces the value of a cell; `done` is told once it is durable. Without `done` it becomes
    /// durable with the next write that asks for it.
    fn set_cell(&self, cell: Cell, value: Bytes, done: Option<Completion>);
    /// The newest snapshot.
    ///
    /// # Errors
    /// [`StorageError`] when it cannot be read back as it was written.
    fn snapshot(&self) -> Result<Option<StoredSnapshot>, StorageError>;
    /// Keeps a snapshot durably, then forgets the former ones.
    ///
    /// # Errors
    /// [`StorageError`] when it cannot be kept; then the former one still is.
    fn save_snapshot(&self, snapshot: StoredSnapshot) -> Result<(), StorageError>;
    /// Why writes wait at present, or will never succeed again.
    fn fault(&self) -> Option<Arc<StorageError>>;
    /// Ends all writing; what was appended before is durable afterwards unless there is a fault.
    fn close(&self);
    /// Whether no method ever waits for a disk: then none is moved to another thread, and what happens
    /// around it happens in one order.
    fn in_memory(&self) -> bool {
        false
    }
}

//! What every storage must do: run this on an implementation of one's own.

use std::sync::{Arc, mpsc};

use bytes::Bytes;

use super::{Cell, Completion, RaftStorage, Record, StorageError, StoredSnapshot};

/// Runs every check. `open` opens an empty storage the first time and the same one again each
/// further time, after the former handle was closed and dropped.
///
/// # Panics
/// When the storage does not conform.
pub fn check<S: RaftStorage>(mut open: impl FnMut() -> S) {
    let storage = open();
    assert_eq!(storage.extent(), 0..0, "a fresh storage is empty");
    assert_eq!(storage.snapshot().expect("no snapshot yet"), None);
    assert!(Cell::ALL.iter().all(|c| storage.cell(*c).is_none()), "a fresh storage has no values");

    append(&storage, 0..10).expect("entries follow each other");
    assert_eq!(storage.extent(), 0..10);
    assert_eq!(read(&storage, 3, 5), records(3..5), "both ends of a range count");
    assert_eq!(read(&storage, 8, 100), records(8..10), "what is not there is left out");
    assert_eq!(read(&storage, 5, 5), []);
    assert!(append(&storage, 11..12).is_err(), "a gap is refused");
    assert_eq!(storage.extent(), 0..10, "what was refused changes nothing");

    storage.truncate(7);
    assert_eq!(storage.extent(), 0..7);
    append(&storage, 7..9).expect("after a truncation entries go on from there");
    set(&storage, Cell::Vote, "vote 1");
    set(&storage, Cell::Vote, "vote 2");
    storage.set_cell(Cell::Committed, Bytes::from_static(b"6"), None);
    storage.purge(2, Bytes::from_static(b"mark"));
    assert_eq!(storage.extent(), 3..9);
    assert_eq!(read(&storage, 0, 100), records(3..9), "purged entries are gone");
    let snapshot = |text: &'static str| StoredSnapshot {
        meta: Bytes::from_static(b"meta"),
        data: Bytes::from_static(text.as_bytes()),
    };
    storage.save_snapshot(snapshot("first")).expect("a snapshot is kept");
    storage.save_snapshot(snapshot("second")).expect("a snapshot is kept");

    let storage = reopen(storage, &mut open);
    assert_eq!(storage.extent(), 3..9, "entries survive");
    assert_eq!(read(&storage, 0, 100), records(3..9));
    assert_eq!(storage.cell(Cell::Vote).as_deref(), Some(b"vote 2".as_slice()));
    assert_eq!(storage.cell(Cell::Committed).as_deref(), Some(b"6".as_slice()));
    assert_eq!(storage.cell(Cell::Purged).as_deref(), Some(b"mark".as_slice()));
    assert_eq!(storage.snapshot().expect("it reads back"), Some(snapshot("second")));

    storage.truncate(3);
    assert_eq!(storage.extent(), 3..3, "an empty log knows which entry comes next");
    storage.purge(19, Bytes::from_static(b"ahead"));
    assert_eq!(storage.extent(), 20..20, "purging ahead of the log moves it");
    append(&storage, 20..22).expect("entries follow the purged ones");
    let storage = reopen(storage, &mut open);
    assert_eq!(storage.extent(), 20..22);
    assert_eq!(read(&storage, 0, 100), records(20..22));
    assert!(storage.fault().is_none());
    storage.close();
}

fn reopen<S: RaftStorage>(storage: S, open: &mut impl FnMut() -> S) -> S {
    storage.close();
    drop(storage);
    open()
}

/// The entries that the checks write.
pub(super) fn records(range: std::ops::Range<u64>) -> Vec<Record> {
    range.map(|index| Record { index, bytes: format!("entry {index}").into() }).collect()
}

/// Appends entries and waits until they are durable.
pub(super) fn append(
    storage: &impl RaftStorage,
    range: std::ops::Range<u64>,
) -> Result<(), Arc<StorageError>> {
    wait(|done| storage.append(records(range), done))
}

/// Starts a write and waits for its completion.
pub(super) fn wait(start: impl FnOnce(Completion)) -> Result<(), Arc<StorageError>> {
    let (sender, receiver) = mpsc::channel();
    start(Box::new(move |result| {
        let _ = sender.send(result);
    }));
    receiver.recv().expect("every write is completed")
}

fn set(storage: &impl RaftStorage, cell: Cell, value: &'static str) {
    wait(|done| storage.set_cell(cell, Bytes::from_static(value.as_bytes()), Some(done)))
        .expect("a value is kept");
}

fn read(storage: &impl RaftStorage, from: u64, to: u64) -> Vec<Record> {
    storage.read(from..to).expect("entries read back")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::storage::{DiskOptions, DiskStorage, MemoryStorage};

    #[test]
    fn memory_conforms() {
        let kept = MemoryStorage::default();
        check(|| kept.clone());
    }

    #[test]
    fn disk_conforms_with_any_sizes() {
        for (segment_bytes, cache_bytes) in [(8 << 20, 4 << 20), (1, 0), (200, 30)] {
            let dir = tempfile::tempdir().unwrap();
            let mut options = DiskOptions::default();
            (options.segment_bytes, options.cache_bytes) = (segment_bytes, cache_bytes);
            check(|| DiskStorage::open_with(dir.path(), options.clone()).unwrap());
        }
    }
}

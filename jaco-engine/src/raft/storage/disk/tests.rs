//! Crashes at every byte, damage at every byte, a full disk.

use std::{fs, path::PathBuf};

use super::*;
use crate::raft::storage::conformance::{append, records, wait};

struct Kept {
    dir: tempfile::TempDir,
}

impl Kept {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }
    fn open(&self) -> DiskStorage {
        DiskStorage::open(self.dir.path()).unwrap()
    }
    fn segment(&self, sequence: u64) -> PathBuf {
        self.dir.path().join(format!("log-{sequence:016}.seg"))
    }
    fn bytes(&self) -> Vec<u8> {
        fs::read(self.segment(1)).unwrap()
    }
    fn set_bytes(&self, bytes: &[u8]) {
        fs::write(self.segment(1), bytes).unwrap();
    }
}

/// Several entries in one write: appended while the writer is held up by nothing, but handed over
/// in one call.
fn acknowledged(kept: &Kept, count: u64) -> usize {
    let storage = kept.open();
    for index in 0..count {
        append(&storage, index..index + 1).unwrap();
    }
    storage.close();
    kept.bytes().len()
}

#[test]
fn a_write_torn_at_any_byte_loses_nothing_that_was_acknowledged() {
    let kept = Kept::new();
    let whole = acknowledged(&kept, 3);
    let storage = kept.open();
    append(&storage, 3..6).unwrap(); // the write that will be torn
    storage.close();
    drop(storage);
    let bytes = kept.bytes();
    for cut in whole..=bytes.len() {
        kept.set_bytes(&bytes[..cut]);
        let storage = kept.open();
        let found = storage.read(0..100).unwrap();
        assert!(found.len() >= 3, "cut at {cut}");
        assert_eq!(found, records(0..found.len() as u64), "cut at {cut}");
        // And the log goes on from there, also after another crash.
        let next = found.len() as u64;
        append(&storage, next..next + 2).unwrap();
        drop(storage);
        assert_eq!(kept.open().read(0..100).unwrap(), records(0..next + 2), "cut at {cut}");
    }
}

#[test]
fn a_write_that_arrived_in_part_or_changed_loses_nothing_that_was_acknowledged() {
    let kept = Kept::new();
    let whole = acknowledged(&kept, 3);
    let storage = kept.open();
    append(&storage, 3..6).unwrap();
    storage.close();
    drop(storage);
    let bytes = kept.bytes();
    for at in whole..bytes.len() {
        for page in [at..at + 1, at..bytes.len(), whole..at + 1] {
            let mut torn = bytes.clone();
            for byte in &mut torn[page.clone()] {
                *byte = if page.len() == 1 { !*byte } else { 0 };
            }
            kept.set_bytes(&torn);
            let found = kept.open().read(0..100).unwrap();
            assert!(found.len() >= 3, "{page:?}");
            assert_eq!(found, records(0..found.len() as u64), "{page:?}");
        }
    }
}

#[test]
fn damage_before_acknowledged_data_is_named_and_never_dropped() {
    let kept = Kept::new();
    acknowledged(&kept, 4);
    let bytes = kept.bytes();
    let last = {
        let scanned = scan::scan(
            &bytes,
            record::SEGMENT_HEADER,
            record::SegmentHeader::decode(&bytes).unwrap().salt,
            true,
        );
        usize::try_from(scanned.unwrap().records.last().unwrap().0).unwrap()
    };
    for at in 0..last {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        kept.set_bytes(&damaged);
        match DiskStorage::open(kept.dir.path()) {
            Err(StorageError::Corrupt { path, offset, .. }) => {
                assert_eq!(path, kept.segment(1));
                assert!(offset as usize <= at, "byte {at}, reported at {offset}");
            }
            Err(StorageError::NewerFormat { .. }) if at == 7 => {}
            other => panic!("byte {at}: {other:?}"),
        }
        assert_eq!(kept.bytes(), damaged, "nothing was touched");
    }
}

#[test]
fn a_missing_segment_and_a_damaged_older_one_are_errors() {
    let kept = Kept::new();
    let small = DiskOptions { segment_bytes: 1, ..DiskOptions::default() };
    let storage = DiskStorage::open_with(kept.dir.path(), small).unwrap();
    for index in 0..3 {
        append(&storage, index..index + 1).unwrap();
    }
    drop(storage);
    let first = fs::read(kept.segment(1)).unwrap();
    fs::write(kept.segment(1), &first[..first.len() - 1]).unwrap();
    assert!(matches!(
        DiskStorage::open(kept.dir.path()),
        Err(StorageError::Corrupt { path, .. }) if path == kept.segment(1)
    ));
    fs::remove_file(kept.segment(1)).unwrap();
    assert!(matches!(
        DiskStorage::open(kept.dir.path()),
        Err(StorageError::Missing { first: 0, last: 0, .. })
    ));
    fs::write(kept.segment(1), &first).unwrap();
    fs::remove_file(kept.segment(2)).unwrap();
    assert!(DiskStorage::open(kept.dir.path()).is_err());
}

#[test]
fn purging_removes_segments_and_what_is_left_opens() {
    let kept = Kept::new();
    let small = DiskOptions { segment_bytes: 1, ..DiskOptions::default() };
    let storage = DiskStorage::open_with(kept.dir.path(), small).unwrap();
    for index in 0..20 {
        append(&storage, index..index + 1).unwrap();
    }
    storage.purge(14, Bytes::from_static(b"mark"));
    storage.close();
    drop(storage);
    let left = segment::list(kept.dir.path()).unwrap();
    assert!(left.len() <= 7, "{left:?}");
    let storage = kept.open();
    assert_eq!(storage.read(0..100).unwrap(), records(15..20));
}

#[test]
fn one_process_at_a_time() {
    let kept = Kept::new();
    let storage = kept.open();
    assert!(matches!(DiskStorage::open(kept.dir.path()), Err(StorageError::Locked { .. })));
    drop(storage);
    kept.open();
}

#[test]
fn a_full_disk_makes_writes_wait_and_spoils_nothing() {
    let kept = Kept::new();
    let room = Arc::new(AtomicU64::new(100));
    let options = DiskOptions { room: Some(room.clone()), ..DiskOptions::default() };
    let storage = DiskStorage::open_with(kept.dir.path(), options.clone()).unwrap();
    append(&storage, 0..2).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    storage.append(
        records(2..6),
        Box::new(move |result| {
            sender.send(result).unwrap();
        }),
    );
    let fault = loop {
        match storage.fault() {
            Some(fault) => break fault,
            None => std::thread::yield_now(),
        }
    };
    assert!(matches!(&*fault, StorageError::DiskFull { .. }) && fault.passes());
    assert!(receiver.try_recv().is_err(), "nothing is acknowledged");
    room.store(10_000, Ordering::SeqCst);
    receiver.recv().unwrap().unwrap();
    assert!(storage.fault().is_none());
    drop(storage);
    assert_eq!(kept.open().read(0..100).unwrap(), records(0..6));

    // Closed while it waits: the writes fail, and what was acknowledged is there.
    room.store(10, Ordering::SeqCst);
    let storage = DiskStorage::open_with(kept.dir.path(), options).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    storage.append(
        records(6..9),
        Box::new(move |result| {
            sender.send(result).unwrap();
        }),
    );
    while storage.fault().is_none() {
        std::thread::yield_now();
    }
    storage.close();
    assert!(receiver.recv().unwrap().is_err());
    drop(storage);
    assert_eq!(kept.open().read(0..6).unwrap(), records(0..6));
}

#[test]
fn many_writers_share_flushes_and_all_of_it_is_there() {
    let kept = Kept::new();
    let storage = kept.open();
    let (sender, receiver) = std::sync::mpsc::channel();
    for index in 0..500 {
        let sender = sender.clone();
        let done = Box::new(move |result| sender.send(result).unwrap());
        storage.append(records(index..index + 1), done);
    }
    for _ in 0..500 {
        receiver.recv().unwrap().unwrap();
    }
    storage.truncate(400);
    wait(|done| storage.set_cell(Cell::Vote, Bytes::from_static(b"v"), Some(done))).unwrap();
    drop(storage);
    assert_eq!(kept.open().read(0..1_000).unwrap(), records(0..400));
}

#[test]
fn a_damaged_snapshot_is_an_error_and_left_overs_are_removed() {
    let kept = Kept::new();
    let storage = kept.open();
    let stored = StoredSnapshot { meta: Bytes::from_static(b"m"), data: vec![7; 1_000].into() };
    storage.save_snapshot(stored.clone()).unwrap();
    drop(storage);
    let path = kept.dir.path().join("snapshot-0000000000000001.snap");
    let bytes = fs::read(&path).unwrap();
    fs::write(kept.dir.path().join("snapshot-0000000000000002.snap.tmp"), &bytes[..50]).unwrap();
    assert_eq!(kept.open().snapshot().unwrap(), Some(stored));
    assert_eq!(fs::read_dir(kept.dir.path()).unwrap().count(), 3);
    for at in [0, 9, 13, 17, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        fs::write(&path, damaged).unwrap();
        assert!(kept.open().snapshot().is_err(), "byte {at}");
    }
}

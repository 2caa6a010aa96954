//! Opening a log directory: from its files to a ledger, or to a typed error.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use super::{
    ledger::{Ledger, Place},
    record::{Content, SEGMENT_HEADER},
    scan::{Damage, scan},
    segment::{self, Segment, io_error},
};
use crate::{
    durable,
    raft::storage::{StorageError, disk::record::Checkpoint},
};

/// What was found in a directory.
pub(super) struct Recovered {
    pub(super) ledger: Ledger,
    pub(super) segments: BTreeMap<u64, Arc<Segment>>,
    /// Index after the highest entry ever written to each segment.
    pub(super) ends: BTreeMap<u64, u64>,
    /// Length of the newest segment.
    pub(super) end: u64,
}

/// Reads every segment. The newest one's torn tail is cut off; an empty directory gets its first
/// segment.
pub(super) fn recover(directory: &Path) -> Result<Recovered, StorageError> {
    remove_left_overs(directory)?;
    let sequences = segment::list(directory)?;
    let Some((&first, &newest)) = sequences.first().zip(sequences.last()) else {
        return begin(directory);
    };
    let mut found = Recovered {
        ledger: Ledger::default(),
        segments: BTreeMap::new(),
        ends: BTreeMap::new(),
        end: SEGMENT_HEADER,
    };
    for sequence in first..=newest {
        found.read(directory, sequence, sequence == first, sequence == newest)?;
    }
    if let Some((first, last)) = found.ledger.missing() {
        return Err(StorageError::Missing { path: directory.to_owned(), first, last });
    }
    Ok(found)
}

fn begin(directory: &Path) -> Result<Recovered, StorageError> {
    let (segment, end) = Segment::create(directory, 1, Checkpoint::default())?;
    Ok(Recovered {
        ledger: Ledger::default(),
        segments: BTreeMap::from([(1, Arc::new(segment))]),
        ends: BTreeMap::from([(1, 0)]),
        end,
    })
}

impl Recovered {
    fn read(
        &mut self,
        directory: &Path,
        sequence: u64,
        is_first: bool,
        is_newest: bool,
    ) -> Result<(), StorageError> {
        let (segment, bytes) = Segment::open(directory, sequence)?;
        let scanned = scan(&bytes, SEGMENT_HEADER, segment.salt, is_newest).map_err(
            |Damage { offset }| segment.corrupt(offset, "a record that was durable is damaged"),
        )?;
        let mut records = scanned.records.into_iter();
        let Some((offset, Content::Checkpoint(checkpoint))) =
            records.next().map(|(offset, found)| (offset, found.content))
        else {
            return Err(segment.corrupt(SEGMENT_HEADER, "the checkpoint is damaged"));
        };
        if is_first {
            self.ledger = Ledger::at(&checkpoint).map_err(|p| segment.corrupt(offset, p))?;
        } else if checkpoint != self.ledger.checkpoint() {
            return Err(segment.corrupt(offset, "the segment does not follow the one before"));
        }
        let mut end = 0;
        for (offset, found) in records {
            if let Content::Entry { index, .. } = found.content {
                end = end.max(index + 1);
            }
            let place = Place { segment: sequence, offset, len: found.len };
            self.ledger
                .replay(found.content, place)
                .map_err(|problem| segment.corrupt(offset, problem))?;
        }
        if is_newest {
            // What was read may still be in the page cache only, after a kill.
            segment.cut(scanned.end)?;
            self.end = scanned.end;
        }
        self.ends.insert(sequence, end);
        self.segments.insert(sequence, Arc::new(segment));
        Ok(())
    }
}

/// Files that were being written when the process died.
fn remove_left_overs(directory: &Path) -> Result<(), StorageError> {
    let failed = |source| io_error("list", directory, source);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|e| e == durable::TEMPORARY) {
            fs::remove_file(&path).map_err(|e| io_error("remove", &path, e))?;
        }
    }
    Ok(())
}

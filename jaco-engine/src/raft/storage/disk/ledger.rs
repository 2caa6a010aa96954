//! Which entries and values there are and where: pure bookkeeping.

use std::{collections::VecDeque, ops::Range};

use bytes::Bytes;

use super::record::{Checkpoint, Content};
use crate::raft::storage::{Cell, StorageError};

/// Most entries of a log: its slots alone would fill the memory of a host.
const MOST_ENTRIES: u64 = 1 << 26;

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) offset: u64,
    /// Length with its header.
    pub(super) len: usize,
}

/// One entry: in memory, on disk, or both.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot {
    pub(super) bytes: Option<Bytes>,
    pub(super) place: Option<Place>,
    /// Tells an entry from an earlier one of the same index.
    pub(super) ticket: u64,
}

/// Entries without a gap, and the cells.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    start: u64,
    slots: VecDeque<Slot>,
    cells: [Option<Bytes>; 3],
    /// Bytes of entries held in memory.
    cached: usize,
    /// No entry before this one is held in memory.
    coldest: u64,
}

impl Ledger {
    /// A ledger as a segment's first record describes it. The error is what is wrong with it.
    pub(super) fn at(checkpoint: &Checkpoint) -> Result<Self, &'static str> {
        if checkpoint.next.saturating_sub(checkpoint.start) > MOST_ENTRIES {
            return Err("the checkpoint spans more entries than a log can hold");
        }
        Ok(Self::spanning(checkpoint))
    }
    /// The same of a checkpoint that is known to be good. Where the entries lie is not known yet.
    pub(super) fn spanning(checkpoint: &Checkpoint) -> Self {
        let count = checkpoint.next.saturating_sub(checkpoint.start);
        Self {
            start: checkpoint.start,
            slots: (0..count).map(|_| Slot::default()).collect(),
            cells: checkpoint.cells.clone(),
            cached: 0,
            coldest: checkpoint.start,
        }
    }
    /// What the first record of a segment begun now says.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        let Range { start, end } = self.extent();
        Checkpoint { start, next: end, cells: self.cells.clone() }
    }
    pub(super) fn extent(&self) -> Range<u64> {
        self.start..self.start + self.slots.len() as u64
    }
    pub(super) fn cell(&self, cell: Cell) -> Option<&Bytes> {
        self.cells[cell as usize].as_ref()
    }
    pub(super) fn set_cell(&mut self, cell: Cell, value: Bytes) {
        self.cells[cell as usize] = Some(value);
    }
    pub(super) fn slot(&self, index: u64) -> Option<&Slot> {
        self.slots.get(usize::try_from(index.checked_sub(self.start)?).ok()?)
    }

    pub(super) fn append(&mut self, index: u64, slot: Slot) -> Result<(), StorageError> {
        if self.slots.is_empty() {
            self.start = index;
            self.coldest = index;
        }
        let expected = self.extent().end;
        if index != expected {
            return Err(StorageError::Gap { expected, found: index });
        }
        self.cached += slot.bytes.as_ref().map_or(0, Bytes::len);
        self.slots.push_back(slot);
        Ok(())
    }
    pub(super) fn truncate(&mut self, from: u64) {
        while self.extent().end > from {
            let Some(slot) = self.slots.pop_back() else {
                self.start = from;
                break;
            };
            self.uncache(&slot);
        }
        self.coldest = self.coldest.min(self.extent().end);
    }
    pub(super) fn purge(&mut self, through: u64, mark: Bytes) {
        self.set_cell(Cell::Purged, mark);
        while self.start <= through {
            match self.slots.pop_front() {
                Some(slot) => {
                    self.uncache(&slot);
                    self.start += 1;
                }
                None => self.start = through + 1,
            }
        }
        self.coldest = self.coldest.max(self.start);
    }
    fn uncache(&mut self, slot: &Slot) {
        self.cached -= slot.bytes.as_ref().map_or(0, Bytes::len);
    }

    /// An entry has become durable; it need not stay in memory.
    pub(super) fn place(&mut self, index: u64, ticket: u64, place: Place) {
        let Some(at) = index.checked_sub(self.start).and_then(|at| usize::try_from(at).ok()) else {
            return;
        };
        if let Some(slot) = self.slots.get_mut(at).filter(|s| s.ticket == ticket) {
            slot.place = Some(place);
        }
    }
    /// Lets go of the oldest durable entries in memory until no more than `budget` bytes are held.
    pub(super) fn cool(&mut self, budget: usize) {
        while self.cached > budget {
            let at = usize::try_from(self.coldest - self.start).unwrap_or(usize::MAX);
            let Some(slot) = self.slots.get_mut(at).filter(|s| s.place.is_some()) else { return };
            self.cached -= slot.bytes.take().map_or(0, |b| b.len());
            self.coldest += 1;
        }
    }

    /// Takes up a record that was read back; `place` is where an entry lies.
    pub(super) fn replay(&mut self, content: Content, place: Place) -> Result<(), &'static str> {
        match content {
            Content::Entry { index, .. } => {
                let slot = Slot { place: Some(place), ..Slot::default() };
                return self.append(index, slot).map_err(|_| "an entry does not follow the last");
            }
            Content::Cell { cell, value } => self.set_cell(cell, value),
            Content::Truncate { from } => self.truncate(from),
            Content::Purge { through, mark } => self.purge(through, mark),
            Content::Checkpoint(_) => return Err("a checkpoint is not the first record"),
        }
        Ok(())
    }
    /// First and last entry that ought to be there and lies nowhere.
    pub(super) fn missing(&self) -> Option<(u64, u64)> {
        let lost = |slot: &Slot| slot.place.is_none() && slot.bytes.is_none();
        let first = self.slots.iter().position(lost)? as u64;
        let last = self.slots.iter().rposition(lost)? as u64;
        Some((self.start + first, self.start + last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_that_no_memory_holds_is_refused() {
        let at = |next| Ledger::at(&Checkpoint { start: 1, next, ..Checkpoint::default() });
        assert_eq!(at(9).map(|ledger| ledger.extent()).ok(), Some(1..9));
        assert!(at(1 << 40).is_err() && at(u64::MAX).is_err());
    }

    fn slot(ticket: u64) -> Slot {
        Slot { bytes: Some(Bytes::from_static(b"0123456789")), place: None, ticket }
    }
    fn place() -> Place {
        Place { segment: 1, offset: 0, len: 9 }
    }

    #[test]
    fn only_durable_entries_leave_memory_and_the_oldest_go_first() {
        let mut ledger = Ledger::default();
        for index in 5..10 {
            ledger.append(index, slot(index)).unwrap();
        }
        ledger.cool(0);
        assert_eq!(ledger.cached, 50);
        ledger.place(5, 5, place());
        ledger.place(6, 6, place());
        ledger.place(7, 99, place()); // of an entry that was replaced meanwhile
        ledger.cool(0);
        assert_eq!(ledger.cached, 30);
        ledger.truncate(6);
        ledger.append(6, slot(20)).unwrap();
        assert_eq!((ledger.extent(), ledger.cached), (5..7, 10));
        ledger.place(6, 20, place());
        ledger.cool(0);
        assert_eq!(ledger.cached, 0);
    }

    #[test]
    fn gaps_are_refused_and_purging_ahead_moves_the_start() {
        let mut ledger = Ledger::default();
        ledger.append(3, slot(1)).unwrap();
        assert!(matches!(
            ledger.append(5, slot(2)),
            Err(StorageError::Gap { expected: 4, found: 5 })
        ));
        ledger.purge(10, Bytes::new());
        assert_eq!((ledger.extent(), ledger.cached), (11..11, 0));
    }
}

//! Names for the readers of files, so that the fuzzer reaches them without a disk.

use std::path::Path;

use super::{
    ledger::{Ledger, Place},
    record::{self, Content, SEGMENT_HEADER, SegmentHeader},
    scan::{Damage, scan},
    snapshot,
};

/// A segment's header.
pub fn header(sequence: u64, salt: u32) -> Vec<u8> {
    SegmentHeader { sequence, salt }.encode()
}

/// A record with a checksum that fits, whatever its body.
pub fn record(salt: u32, durable: u64, kind: u8, body: &[u8]) -> Vec<u8> {
    record::seal(salt, durable, kind, body)
}

/// The header and the records of a segment, written anew; `None` when it is refused.
///
/// What opening a log does with its only segment.
pub fn segment(bytes: &[u8], newest: bool) -> Option<Vec<u8>> {
    let header = SegmentHeader::decode(bytes).ok()?;
    let scanned = match scan(bytes, SEGMENT_HEADER, header.salt, newest) {
        Ok(scanned) => scanned,
        Err(Damage { offset }) => {
            assert!(offset < bytes.len() as u64);
            return None;
        }
    };
    let mut out = header.encode();
    let mut ledger = Ledger::default();
    for (number, (offset, found)) in scanned.records.into_iter().enumerate() {
        assert_eq!(offset, out.len() as u64);
        record::encode(&mut out, header.salt, found.durable, &found.content);
        match (number, found.content) {
            // A long log is a matter of memory, not of reading.
            (0, Content::Checkpoint(c)) if c.next.saturating_sub(c.start) > 1 << 20 => return None,
            (0, Content::Checkpoint(checkpoint)) => ledger = Ledger::at(&checkpoint).ok()?,
            (_, content) => {
                let place = Place { segment: header.sequence, offset, len: found.len };
                ledger.replay(content, place).ok()?;
            }
        }
    }
    assert_eq!(scanned.end, out.len() as u64);
    let _ = ledger.missing();
    Some(out)
}

/// A snapshot file, written anew; `None` when it is refused.
pub fn snapshot(bytes: &[u8]) -> Option<Vec<u8>> {
    let stored = snapshot::decode(Path::new("snapshot"), bytes.to_vec().into()).ok()?;
    Some(snapshot::encode(&stored))
}

/// What a snapshot file holds.
pub fn snapshot_of(meta: &[u8], data: &[u8]) -> Vec<u8> {
    let stored = super::StoredSnapshot { meta: meta.to_vec().into(), data: data.to_vec().into() };
    snapshot::encode(&stored)
}

//! Reading a segment back: pure. In: its bytes. Out: its records and where they end, or where it
//! is damaged.
//!
//! A write that was in flight when the machine died may be torn anywhere, also with later parts on
//! disk and earlier ones not. Such a tail was never acknowledged and is cut off. But when a whole
//! record further on says that the bad place was durable when it was written, acknowledged data
//! was lost: that is damage, and never cut off.

use super::record::{self, Found};

/// The records of a segment.
#[derive(Debug)]
pub(super) struct Scanned {
    /// Records with their offsets.
    pub(super) records: Vec<(u64, Found)>,
    /// Where the last whole record ends; the rest of the file is a torn tail.
    pub(super) end: u64,
}

/// Acknowledged data is damaged here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) offset: u64,
}

/// Reads the records of a segment from `start` on. `last` says whether it is the newest segment:
/// an older one was durable in full before the next one was begun.
pub(super) fn scan(bytes: &[u8], start: u64, salt: u32, last: bool) -> Result<Scanned, Damage> {
    let mut records = Vec::new();
    let mut at = usize::try_from(start).unwrap_or(usize::MAX).min(bytes.len());
    while at < bytes.len() {
        let Some(found) = record::decode(salt, &bytes[at..]) else {
            if !last || was_durable(bytes, at, salt) {
                return Err(Damage { offset: at as u64 });
            }
            break;
        };
        let len = found.len;
        records.push((at as u64, found));
        at += len;
    }
    Ok(Scanned { records, end: at as u64 })
}

/// Whether a whole record after `bad` was written when `bad` was durable already.
fn was_durable(bytes: &[u8], bad: usize, salt: u32) -> bool {
    (bad + 1..bytes.len()).any(|at| {
        let rest = &bytes[at..];
        record::claim(rest).is_some_and(|(len, durable)| {
            len <= rest.len() && durable > bad as u64 && durable <= at as u64
        }) && record::decode(salt, rest).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::storage::disk::record::Content;

    /// Records of which each says how much was durable when it was written.
    fn segment(durables: &[u64]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
        for (index, durable) in durables.iter().enumerate() {
            offsets.push(bytes.len());
            let content =
                Content::Entry { index: index as u64, bytes: b"some entry".as_slice().into() };
            record::encode(&mut bytes, 1, *durable, &content);
        }
        (bytes, offsets)
    }

    #[test]
    fn a_hole_in_the_batch_in_flight_is_a_torn_tail() {
        let (mut bytes, offsets) = segment(&[0, 0, 0]);
        bytes[offsets[1] + 20] ^= 1;
        let scanned = scan(&bytes, 0, 1, true).unwrap();
        assert_eq!((scanned.records.len(), scanned.end), (1, offsets[1] as u64));
    }

    #[test]
    fn a_hole_that_a_later_record_knew_to_be_durable_is_damage() {
        let (_, offsets) = segment(&[0, 0, 0]);
        let (mut bytes, _) = segment(&[0, 0, offsets[2] as u64]);
        bytes[offsets[1] + 20] ^= 1;
        assert_eq!(scan(&bytes, 0, 1, true).unwrap_err(), Damage { offset: offsets[1] as u64 });
        // Also when the damage is in the length, which hides where the next record begins.
        let (mut bytes, _) = segment(&[0, 0, offsets[2] as u64]);
        bytes[offsets[1] + 5] ^= 1;
        assert_eq!(scan(&bytes, 0, 1, true).unwrap_err(), Damage { offset: offsets[1] as u64 });
    }

    #[test]
    fn an_older_segment_has_no_torn_tail() {
        let (bytes, offsets) = segment(&[0, 0]);
        let cut = &bytes[..bytes.len() - 1];
        assert_eq!(scan(cut, 0, 1, false).unwrap_err(), Damage { offset: offsets[1] as u64 });
        assert_eq!(scan(cut, 0, 1, true).unwrap().records.len(), 1);
    }
}

//! Names for the readers of what is on disk, so that the fuzzer reaches each by itself.

pub use crate::raft::storage::files::{header, record, segment, snapshot, snapshot_of};
use crate::raft::{format, storage::Record};

/// An entry of the raft log, written anew; `None` when it is refused.
pub fn entry(bytes: &[u8]) -> Option<Vec<u8>> {
    let record = Record { index: 0, bytes: bytes.to_vec().into() };
    let entry = format::read_entry(&record).ok()?;
    Some(format::write_entry(&entry).bytes.to_vec())
}

/// A vote, written anew; `None` when it is refused.
pub fn vote(bytes: &[u8]) -> Option<Vec<u8>> {
    format::read_vote(bytes).ok().map(|vote| format::write_vote(&vote).to_vec())
}

/// The place of an entry, written anew; `None` when it is refused.
pub fn log_id(bytes: &[u8]) -> Option<Vec<u8>> {
    format::read_log_id(bytes).ok().map(|id| format::write_log_id(id).to_vec())
}

/// What a snapshot says of itself, written anew; `None` when it is refused.
pub fn meta(bytes: &[u8]) -> Option<Vec<u8>> {
    format::read_meta(bytes).ok().map(|meta| format::write_meta(&meta).to_vec())
}

//! The bytes of a log segment: pure encoding and decoding.
//!
//! ```text
//! segment = "JACOLOG" format:u8  sequence:u64  salt:u32  crc:u32       record*
//! record  = crc:u32  len:u32  durable:u64  kind:u8                     body[len]
//! ```
//! All numbers are little-endian. `crc` covers everything after it up to the end of the body and
//! starts from the segment's salt, so that bytes of a foreign segment, or of a value that a user
//! chose, are no record here. `durable` is how much of the segment was known to be on disk when
//! the record was written: it tells a torn tail from damage (see `scan`).

use bytes::Bytes;

use super::super::Cell;

/// Newest format of a segment.
pub(super) const FORMAT: u8 = 1;
const MAGIC: &[u8; 7] = b"JACOLOG";
/// Bytes before the first record.
pub(super) const SEGMENT_HEADER: u64 = 24;
/// Bytes of a record before its body.
pub(super) const RECORD_HEADER: usize = 17;

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) sequence: u64,
    pub(super) salt: u32,
}

/// Why a segment's first bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadHeader {
    Newer(u8),
    Damaged,
}

impl SegmentHeader {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.push(FORMAT);
        out.extend(self.sequence.to_le_bytes());
        out.extend(self.salt.to_le_bytes());
        let crc = crc32fast::hash(&out);
        out.extend(crc.to_le_bytes());
        out
    }
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadHeader> {
        let mut reader = Reader(bytes);
        if reader.take(7) != Some(MAGIC.as_slice()) {
            return Err(BadHeader::Damaged);
        }
        let format = reader.u8().ok_or(BadHeader::Damaged)?;
        if format > FORMAT {
            return Err(BadHeader::Newer(format));
        }
        let found = (|| Some((reader.u64()?, reader.u32()?, reader.u32()?)))();
        match found {
            Some((sequence, salt, crc)) if crc32fast::hash(&bytes[..20]) == crc => {
                Ok(Self { sequence, salt })
            }
            _ => Err(BadHeader::Damaged),
        }
    }
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// An entry of the log.
    Entry { index: u64, bytes: Bytes },
    /// A new value of a cell.
    Cell { cell: Cell, value: Bytes },
    /// No entries from this index on.
    Truncate { from: u64 },
    /// No entries through this index.
    Purge { through: u64, mark: Bytes },
    /// Where everything stood when the segment was begun: its first record.
    Checkpoint(Checkpoint),
}

/// Where everything stood when a segment was begun.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// Index of the first entry that is kept.
    pub(super) start: u64,
    /// Index of the next entry to come.
    pub(super) next: u64,
    /// Values of the cells, in the order of [`Cell::ALL`].
    pub(super) cells: [Option<Bytes>; 3],
}

/// Above every index of an entry: no log gets there, and one more is still a number.
const BEYOND: u64 = 1 << 62;

const ENTRY: u8 = 1;
const CELL: u8 = 2;
const TRUNCATE: u8 = 3;
const PURGE: u8 = 4;
const CHECKPOINT: u8 = 5;

/// Adds a record to a buffer.
pub(super) fn encode(out: &mut Vec<u8>, salt: u32, durable: u64, content: &Content) {
    let at = out.len();
    out.extend([0; RECORD_HEADER]);
    let kind = match content {
        Content::Entry { index, bytes } => {
            out.extend(index.to_le_bytes());
            out.extend_from_slice(bytes);
            ENTRY
        }
        Content::Cell { cell, value } => {
            out.push(*cell as u8);
            out.extend_from_slice(value);
            CELL
        }
        Content::Truncate { from } => {
            out.extend(from.to_le_bytes());
            TRUNCATE
        }
        Content::Purge { through, mark } => {
            out.extend(through.to_le_bytes());
            out.extend_from_slice(mark);
            PURGE
        }
        Content::Checkpoint(checkpoint) => {
            encode_checkpoint(out, checkpoint);
            CHECKPOINT
        }
    };
    let len = u32::try_from(out.len() - at - RECORD_HEADER)
        .expect("an entry is far smaller than 4 GiB: requests are limited to megabytes");
    let header = &mut out[at..at + RECORD_HEADER];
    header[4..8].copy_from_slice(&len.to_le_bytes());
    header[8..16].copy_from_slice(&durable.to_le_bytes());
    header[16] = kind;
    let crc = checksum(salt, &out[at + 4..]);
    out[at..at + 4].copy_from_slice(&crc.to_le_bytes());
}

/// A record of any kind and body, with the checksum that fits.
#[cfg(any(test, feature = "testing"))]
pub(super) fn seal(salt: u32, durable: u64, kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).expect("a body for a test is small");
    let mut out = vec![0; 4];
    out.extend(len.to_le_bytes());
    out.extend(durable.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(body);
    let crc = checksum(salt, &out[4..]);
    out[..4].copy_from_slice(&crc.to_le_bytes());
    out
}

fn encode_checkpoint(out: &mut Vec<u8>, checkpoint: &Checkpoint) {
    out.extend(checkpoint.start.to_le_bytes());
    out.extend(checkpoint.next.to_le_bytes());
    for value in &checkpoint.cells {
        let len = value.as_ref().map_or(u32::MAX, |v| {
            u32::try_from(v.len()).expect("a cell holds a vote or a log id: some bytes")
        });
        out.extend(len.to_le_bytes());
        out.extend_from_slice(value.as_deref().unwrap_or_default());
    }
}

/// A record that was found whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) content: Content,
    /// How much of the segment was durable when it was written.
    pub(super) durable: u64,
    /// Length with its header.
    pub(super) len: usize,
}

/// The record at the start of `bytes`, unless it is cut off or damaged.
pub(super) fn decode(salt: u32, bytes: &[u8]) -> Option<Found> {
    let mut reader = Reader(bytes);
    let (crc, len, durable, kind) = (reader.u32()?, reader.u32()?, reader.u64()?, reader.u8()?);
    let body = reader.take(usize::try_from(len).ok()?)?;
    let whole = RECORD_HEADER + body.len();
    if checksum(salt, &bytes[4..whole]) != crc {
        return None;
    }
    let content = decode_body(kind, body)?;
    Some(Found { content, durable, len: whole })
}

fn decode_body(kind: u8, body: &[u8]) -> Option<Content> {
    let mut reader = Reader(body);
    let content = match kind {
        ENTRY => Content::Entry { index: reader.index()?, bytes: reader.rest() },
        CELL => {
            Content::Cell { cell: *Cell::ALL.get(usize::from(reader.u8()?))?, value: reader.rest() }
        }
        TRUNCATE => Content::Truncate { from: reader.index()? },
        PURGE => Content::Purge { through: reader.index()?, mark: reader.rest() },
        CHECKPOINT => {
            let mut checkpoint = Checkpoint {
                start: reader.index()?,
                next: reader.index()?,
                ..Checkpoint::default()
            };
            for cell in &mut checkpoint.cells {
                let len = reader.u32()?;
                if len != u32::MAX {
                    *cell = Some(Bytes::copy_from_slice(reader.take(usize::try_from(len).ok()?)?));
                }
            }
            Content::Checkpoint(checkpoint)
        }
        _ => return None,
    };
    // What is more than a record of this format holds is not passed over.
    reader.0.is_empty().then_some(content)
}

/// How long and how durable a record at the start of `bytes` claims to be, unchecked.
pub(super) fn claim(bytes: &[u8]) -> Option<(usize, u64)> {
    let mut reader = Reader(bytes);
    let (_, len, durable) = (reader.u32()?, reader.u32()?, reader.u64()?);
    Some((RECORD_HEADER.checked_add(usize::try_from(len).ok()?)?, durable))
}

fn checksum(salt: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(bytes);
    hasher.finalize()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }
    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }
    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
    /// The index of an entry.
    fn index(&mut self) -> Option<u64> {
        self.u64().filter(|index| *index < BEYOND)
    }
    fn rest(&mut self) -> Bytes {
        Bytes::copy_from_slice(std::mem::take(&mut self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Content> {
        let bytes = Bytes::from_static(b"abc");
        vec![
            Content::Entry { index: 7, bytes: bytes.clone() },
            Content::Cell { cell: Cell::Committed, value: bytes.clone() },
            Content::Truncate { from: 3 },
            Content::Purge { through: 2, mark: bytes.clone() },
            Content::Checkpoint(Checkpoint {
                start: 1,
                next: 9,
                cells: [None, Some(bytes), Some(Bytes::new())],
            }),
        ]
    }

    #[test]
    fn records_come_back_and_any_changed_byte_shows() {
        for content in samples() {
            let mut out = Vec::new();
            encode(&mut out, 5, 24, &content);
            let found = decode(5, &out).unwrap();
            assert_eq!((found.content, found.durable, found.len), (content, 24, out.len()));
            assert_eq!(decode(6, &out), None);
            for at in 0..out.len() {
                let mut changed = out.clone();
                changed[at] ^= 0x10;
                assert_eq!(decode(5, &changed), None, "byte {at}");
                assert_eq!(decode(5, &out[..at]), None, "cut at {at}");
            }
        }
    }

    #[test]
    fn a_body_that_holds_more_than_it_should_is_no_record() {
        for content in samples() {
            let mut out = Vec::new();
            encode(&mut out, 5, 24, &content);
            let body = [&out[RECORD_HEADER..], b"x"].concat();
            let found = decode(5, &seal(5, 24, out[16], &body));
            let open_end = !matches!(content, Content::Truncate { .. } | Content::Checkpoint(_));
            assert_eq!(found.is_some(), open_end, "{content:?}");
        }
    }

    #[test]
    fn an_index_that_no_log_reaches_is_damage() {
        for kind in [ENTRY, TRUNCATE, PURGE] {
            let record = |index: u64| seal(5, 24, kind, &index.to_le_bytes());
            assert!(decode(5, &record(BEYOND - 1)).is_some(), "{kind}");
            for index in [BEYOND, u64::MAX] {
                assert_eq!(decode(5, &record(index)), None, "{kind}");
            }
        }
    }

    #[test]
    fn headers_come_back_and_newer_formats_are_named() {
        let header = SegmentHeader { sequence: 3, salt: 9 };
        let bytes = header.encode();
        assert_eq!(bytes.len() as u64, SEGMENT_HEADER);
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        let mut newer = bytes.clone();
        newer[7] = FORMAT + 1;
        assert_eq!(SegmentHeader::decode(&newer), Err(BadHeader::Newer(FORMAT + 1)));
        assert_eq!(SegmentHeader::decode(&bytes[..23]), Err(BadHeader::Damaged));
    }
}

//! Snapshots: one file each, whole or not there.
//!
//! ```text
//! file = "JACOSNP" format:u8  crc:u32  meta_len:u32  meta  data
//! ```
//! `crc` covers everything after it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::segment::{io_error, write_error};
use crate::{
    durable,
    raft::storage::{StorageError, StoredSnapshot},
};

const FORMAT: u8 = 1;
const MAGIC: &[u8; 7] = b"JACOSNP";
const HEADER: usize = 16;

/// Writes a snapshot, then removes the former ones.
pub(super) fn save(directory: &Path, snapshot: &StoredSnapshot) -> Result<(), StorageError> {
    let former = list(directory)?;
    let number = former.last().map_or(1, |(number, _)| number + 1);
    let path = directory.join(format!("snapshot-{number:016}.snap"));
    durable::write_file(&path, 0o600, &encode(snapshot)).map_err(|e| write_error(&path, e))?;
    for (_, path) in former {
        fs::remove_file(&path).map_err(|e| io_error("remove", &path, e))?;
    }
    Ok(())
}

/// The newest snapshot.
pub(super) fn load(directory: &Path) -> Result<Option<StoredSnapshot>, StorageError> {
    let Some((_, path)) = list(directory)?.pop() else { return Ok(None) };
    let bytes = fs::read(&path).map_err(|e| io_error("read", &path, e))?;
    decode(&path, bytes.into()).map(Some)
}

fn list(directory: &Path) -> Result<Vec<(u64, PathBuf)>, StorageError> {
    let mut found = Vec::new();
    let failed = |source| io_error("list", directory, source);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let number = path
            .file_name()
            .and_then(|n| n.to_str()?.strip_prefix("snapshot-")?.strip_suffix(".snap"))
            .and_then(|n| n.parse::<u64>().ok());
        found.extend(number.map(|n| (n, path)));
    }
    found.sort_unstable();
    Ok(found)
}

pub(super) fn encode(snapshot: &StoredSnapshot) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + snapshot.meta.len() + snapshot.data.len());
    out.extend(MAGIC);
    out.push(FORMAT);
    out.extend([0; 4]);
    let len = u32::try_from(snapshot.meta.len())
        .expect("the meta data is a log id and a member list: far below 4 GiB");
    out.extend(len.to_le_bytes());
    out.extend_from_slice(&snapshot.meta);
    out.extend_from_slice(&snapshot.data);
    let crc = crc32fast::hash(&out[12..]);
    out[8..12].copy_from_slice(&crc.to_le_bytes());
    out
}

pub(super) fn decode(path: &Path, bytes: Bytes) -> Result<StoredSnapshot, StorageError> {
    let damaged = |problem| StorageError::Corrupt { path: path.to_owned(), offset: 0, problem };
    if bytes.len() < HEADER || &bytes[..7] != MAGIC {
        return Err(damaged("the header is damaged"));
    }
    if bytes[7] > FORMAT {
        let path = path.to_owned();
        return Err(StorageError::NewerFormat { path, found: bytes[7], known: FORMAT });
    }
    if bytes[8..12] != crc32fast::hash(&bytes[12..]).to_le_bytes() {
        return Err(damaged("the checksum does not fit"));
    }
    let len = bytes[12..16].iter().rev().fold(0, |n, b| n << 8 | usize::from(*b));
    let end = HEADER.saturating_add(len);
    if end > bytes.len() {
        return Err(damaged("the meta data is cut off"));
    }
    Ok(StoredSnapshot { meta: bytes.slice(HEADER..end), data: bytes.slice(end..) })
}

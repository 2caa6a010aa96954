//! One file of the log.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::{
    ledger::Place,
    record::{self, BadHeader, Checkpoint, Content, FORMAT, Found, SegmentHeader},
};
use crate::{durable, raft::storage::StorageError};

/// An open segment.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) sequence: u64,
    pub(super) salt: u32,
    pub(super) path: PathBuf,
    file: File,
}

/// Path of a segment.
fn path_of(directory: &Path, sequence: u64) -> PathBuf {
    directory.join(format!("log-{sequence:016}.seg"))
}

/// Sequences of the segments in a directory, ascending.
pub(super) fn list(directory: &Path) -> Result<Vec<u64>, StorageError> {
    let mut found = Vec::new();
    let failed = |source| io_error("list", directory, source);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let sequence = name
            .to_str()
            .and_then(|n| n.strip_prefix("log-")?.strip_suffix(".seg")?.parse::<u64>().ok());
        found.extend(sequence);
    }
    found.sort_unstable();
    Ok(found)
}

impl Segment {
    /// Begins a segment with a checkpoint: durable and whole, or not there. Its length is returned.
    pub(super) fn create(
        directory: &Path,
        sequence: u64,
        checkpoint: Checkpoint,
    ) -> Result<(Self, u64), StorageError> {
        let salt = rand::random();
        let mut bytes = SegmentHeader { sequence, salt }.encode();
        record::encode(&mut bytes, salt, 0, &Content::Checkpoint(checkpoint));
        let path = path_of(directory, sequence);
        durable::write_file(&path, 0o600, &bytes).map_err(|e| write_error(&path, e))?;
        let file = open_file(&path)?;
        Ok((Self { sequence, salt, path, file }, bytes.len() as u64))
    }

    /// Opens a segment and reads all of it.
    pub(super) fn open(directory: &Path, sequence: u64) -> Result<(Self, Vec<u8>), StorageError> {
        let path = path_of(directory, sequence);
        let file = open_file(&path)?;
        let bytes = fs::read(&path).map_err(|e| io_error("read", &path, e))?;
        let salt = match SegmentHeader::decode(&bytes) {
            Ok(header) if header.sequence == sequence => header.salt,
            Err(BadHeader::Newer(found)) => {
                return Err(StorageError::NewerFormat { path, found, known: FORMAT });
            }
            Ok(_) | Err(BadHeader::Damaged) => {
                let problem = "the header is damaged";
                return Err(StorageError::Corrupt { path, offset: 0, problem });
            }
        };
        Ok((Self { sequence, salt, path, file }, bytes))
    }

    /// Reads a record back and checks it again.
    pub(super) fn read(&self, place: Place) -> Result<Found, StorageError> {
        let mut bytes = vec![0; place.len];
        self.file
            .read_exact_at(&mut bytes, place.offset)
            .map_err(|e| io_error("read", &self.path, e))?;
        record::decode(self.salt, &bytes)
            .ok_or_else(|| self.corrupt(place.offset, "a record has changed since it was written"))
    }
    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> Result<(), StorageError> {
        self.file.write_all_at(bytes, offset).map_err(|e| write_error(&self.path, e))
    }
    /// Makes what was written durable.
    pub(super) fn flush(&self) -> Result<(), StorageError> {
        self.file.sync_data().map_err(|e| write_error(&self.path, e))
    }
    /// Cuts off a torn tail.
    pub(super) fn cut(&self, len: u64) -> Result<(), StorageError> {
        self.file.set_len(len).map_err(|e| io_error("cut the torn tail of", &self.path, e))?;
        self.file.sync_all().map_err(|e| io_error("flush", &self.path, e))
    }
    pub(super) fn remove(&self) -> Result<(), StorageError> {
        fs::remove_file(&self.path).map_err(|e| io_error("remove", &self.path, e))
    }
    pub(super) fn corrupt(&self, offset: u64, problem: &'static str) -> StorageError {
        StorageError::Corrupt { path: self.path.clone(), offset, problem }
    }
}

fn open_file(path: &Path) -> Result<File, StorageError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| io_error("open", path, e))
}

pub(super) fn io_error(operation: &'static str, path: &Path, source: io::Error) -> StorageError {
    StorageError::Io { operation, path: path.to_owned(), source }
}

pub(super) fn write_error(path: &Path, source: io::Error) -> StorageError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StorageError::DiskFull { path: path.to_owned(), source }
        }
        _ => io_error("write", path, source),
    }
}

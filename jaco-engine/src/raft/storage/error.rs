//! What can be wrong with a storage.

use std::{io, path::PathBuf};

/// Why the raft log cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The operating system refuses.
    #[error("cannot {operation} {path}", path = path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No space is left. Writes wait and go on by themselves once there is some.
    #[error("no space is left to write {path}", path = path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has the directory open.
    #[error("{path} is in use by another process", path = path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// Acknowledged data was changed or cut off.
    #[error("{path} is damaged at offset {offset}: {problem}", path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        problem: &'static str,
    },
    /// A file of the log is not there, and the entries in it were not purged.
    #[error("{path} is missing: entries {first} to {last} are nowhere else", path = path.display())]
    Missing {
        /// The file, or the directory when its name is not known.
        path: PathBuf,
        /// First entry that is missed.
        first: u64,
        /// Last entry that is missed.
        last: u64,
    },
    /// Written by a newer version.
    #[error("{path} has format {found}, newer than {known}", path = path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u8,
        /// The newest format that is understood.
        known: u8,
    },
    /// Entries were appended that do not follow the last one.
    #[error("entry {found} was appended where entry {expected} belongs")]
    Gap {
        /// What belongs there.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// The storage was closed.
    #[error("the storage is closed")]
    Closed,
}

impl StorageError {
    /// Whether writing will go on by itself.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self, Self::DiskFull { .. })
    }
}

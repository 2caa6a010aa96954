//! Why `jacod.yaml` is refused, and where.

use std::{io, path::PathBuf};

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The file is no YAML of this schema.
    #[error("{place}: {message}")]
    Parse { place: Place, message: String },
    /// A value does not fit its key.
    #[error("{place}: `{key}` {problem}")]
    Value { place: Place, key: &'static str, problem: String },
    /// The key belongs to a feature that this version does not have.
    #[error("{place}: `{key}` is not built yet: this version has nothing that it could configure")]
    NotBuilt { place: Place, key: &'static str },
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: u64,
    pub(crate) column: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

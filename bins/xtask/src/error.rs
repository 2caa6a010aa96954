//! Why a developer command failed.

use std::io;

use jaco_harness::HarnessError;

pub(crate) type Result<T, E = TaskError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskError {
    #[error("cannot start {program}")]
    Start {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("{line} failed ({status})")]
    Failed { line: String, status: String },
    #[error("cannot {operation} {path}")]
    File {
        operation: &'static str,
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("{what} needs root: run it with sudo")]
    NotRoot { what: &'static str },
    #[error("missing: {packages}. This machine has no apt-get: install them with its own tools")]
    NoApt { packages: String },
    #[error("still missing after the installation: {packages}")]
    StillMissing { packages: String },
    #[error("{count} of {total} steps failed: {names}")]
    Steps { count: usize, total: usize, names: String },
    #[error("the rig was to run and could not: {reason}")]
    RigRequired { reason: String },
    #[error(
        "cargo-fuzz is not installed: run `cargo install cargo-fuzz` and `rustup toolchain install nightly`"
    )]
    NoFuzzer,
    #[error("the check failed: {what}")]
    Check { what: String },
    #[error(transparent)]
    Rig(#[from] HarnessError),
}

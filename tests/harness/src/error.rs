//! What can go wrong on the way to a cluster.

use std::{io, path::PathBuf, time::Duration};

/// Why the rig is not as it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HarnessError {
    /// Namespaces, interfaces and engines need root.
    #[error("the rig needs root")]
    NotRoot,
    /// A program is not installed.
    #[error("{program} is not installed; `cargo xtask setup` installs it")]
    Missing {
        /// Its name.
        program: String,
    },
    /// A program could not be started.
    #[error("cannot start {program}")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program ended with a failure.
    #[error("{line} ended with {status}\n{output}")]
    Command {
        /// The command line.
        line: String,
        /// How it ended.
        status: String,
        /// What it printed.
        output: String,
    },
    /// A file or directory could not be used.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something did not come true in time.
    #[error("waited {}s for {what}\n{report}", waited.as_secs())]
    Timeout {
        /// What should have come true.
        what: String,
        /// How long it was waited for.
        waited: Duration,
        /// What was seen last.
        report: String,
    },
    /// Something went wrong in a cluster.
    #[error("status and last log lines of every node:\n{report}")]
    Cluster {
        /// What.
        source: Box<HarnessError>,
        /// Status and last log lines of every node.
        report: String,
    },
    /// A program printed something else than JSON where JSON was asked for.
    #[error("{line} printed no JSON: {output}")]
    NotJson {
        /// The command line.
        line: String,
        /// What it printed.
        output: String,
        /// Where it stopped making sense.
        #[source]
        source: serde_json::Error,
    },
    /// A certificate could not be made.
    #[error("a certificate cannot be made")]
    Certificate(#[source] rcgen::Error),
    /// A file holds no captured packets.
    #[error("{} is no capture of Ethernet frames", path.display())]
    BadCapture {
        /// The file.
        path: PathBuf,
    },
    /// No rig of this name exists.
    #[error("there is no rig {name:?}")]
    UnknownRig {
        /// The name.
        name: String,
    },
    /// No node of this name exists.
    #[error("there is no node {name}")]
    UnknownNode {
        /// The name.
        name: String,
    },
    /// Every address block that rigs use is taken.
    #[error("no free address block for a switch: too many rigs are up")]
    NoFreeBlock,
}

impl HarnessError {
    pub(crate) fn file(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { operation, path, source }
    }
}

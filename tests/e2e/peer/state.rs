//! What every listener of the peer knows.

use std::sync::atomic::AtomicBool;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The peer.
pub(crate) struct Peer {
    /// Name of its container.
    pub(crate) host: String,
    /// True once it was told to be unhealthy.
    pub(crate) sick: AtomicBool,
    /// Cancelled when it is asked to stop.
    pub(crate) stopping: CancellationToken,
    /// WebSockets that are open.
    pub(crate) sockets: TaskTracker,
}

impl Peer {
    pub(crate) fn new() -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let stopping = CancellationToken::new();
        Self { host, sick: AtomicBool::new(false), stopping, sockets: TaskTracker::new() }
    }
}

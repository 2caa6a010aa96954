//! Tells when the tunnel of this process is of no use any more.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::watch;

/// Rung by whichever end of the tunnel breaks first; wakes whoever repairs it.
///
/// The protocol has a word of its own for that, but says it, too, when it changes its port or key.
#[derive(Debug, Clone)]
pub(super) struct Bell {
    changed: watch::Sender<u64>,
    rung: Arc<AtomicBool>,
}

impl Bell {
    pub(super) fn new(changed: watch::Sender<u64>) -> Self {
        Self { changed, rung: Arc::default() }
    }

    pub(super) fn broken(&self) {
        self.rung.store(true, Ordering::Relaxed);
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
    }

    pub(super) fn is_broken(&self) -> bool {
        self.rung.load(Ordering::Relaxed)
    }
}

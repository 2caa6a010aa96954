//! Which members have answered lately.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jaco_api::model::NodeId;
use tokio::time::Instant;

/// The outcome of the latest call to each member. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Contacts {
    latest: Arc<Mutex<BTreeMap<NodeId, Contact>>>,
}

/// What is known of one member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Contact {
    /// When it last answered.
    pub(super) answered: Option<Instant>,
    /// Whether it failed to answer the latest call; one that was never called has not.
    pub(super) silent: bool,
}

impl Contacts {
    pub(super) fn answered(&self, peer: NodeId) {
        let contact = Contact { answered: Some(Instant::now()), silent: false };
        self.lock().insert(peer, contact);
    }
    pub(super) fn silent(&self, peer: NodeId) {
        self.lock().entry(peer).or_default().silent = true;
    }
    pub(super) fn of(&self, peer: NodeId) -> Contact {
        self.lock().get(&peer).copied().unwrap_or_default()
    }
    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Contact>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

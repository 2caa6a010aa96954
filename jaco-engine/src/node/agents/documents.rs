//! Opened container documents of this node's replicas, in memory only.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use jaco_api::model::{ContainerSpec, Digest};

use crate::{
    assignment::Documents,
    seal::{self, Keyring},
    state::State,
};

/// Opens documents once and forgets those that are no longer asked for.
pub(crate) struct OpenedDocuments {
    keyring: Keyring,
    opened: BTreeMap<Digest, Arc<ContainerSpec>>,
}

impl OpenedDocuments {
    pub(crate) fn new(keyring: Keyring) -> Self {
        Self { keyring, opened: BTreeMap::new() }
    }

    /// Runs a projection with the documents of a state; what it did not ask for is forgotten.
    pub(crate) fn of<T>(&mut self, state: &State, project: impl FnOnce(&dyn Documents) -> T) -> T {
        let reading = Reading { source: self, state, used: Mutex::default() };
        let result = project(&reading);
        self.opened = reading.used.into_inner().unwrap_or_else(PoisonError::into_inner);
        result
    }
}

struct Reading<'a> {
    source: &'a OpenedDocuments,
    state: &'a State,
    used: Mutex<BTreeMap<Digest, Arc<ContainerSpec>>>,
}

impl Documents for Reading<'_> {
    fn container(&self, digest: &Digest) -> Option<Arc<ContainerSpec>> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = used.get(digest).or_else(|| self.source.opened.get(digest)) {
            let known = Arc::clone(known);
            used.insert(*digest, Arc::clone(&known));
            return Some(known);
        }
        let sealed = self.state.document(digest)?;
        let plain = self.source.keyring.open(seal::CONTAINER, sealed);
        let plain = plain
            .inspect_err(|error| tracing::error!(%digest, %error, "a document does not open"))
            .ok()?;
        let spec = ContainerSpec::from_canonical(&plain)
            .inspect_err(|error| tracing::error!(%digest, %error, "a document cannot be read"))
            .ok()?;
        let spec = Arc::new(spec);
        used.insert(*digest, Arc::clone(&spec));
        Some(spec)
    }
}

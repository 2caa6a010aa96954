//! Opened container documents, secrets and configs of this node's replicas, in memory only.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use jaco_api::model::{ContainerSpec, Digest, FileContent, FileId, NamedFile};

use crate::{
    assignment::Documents,
    seal::{self, Keyring},
    state::State,
};

/// Opens documents once and forgets those that are no longer asked for.
pub(crate) struct OpenedDocuments {
    keyring: Keyring,
    opened: Opened,
}

#[derive(Default)]
struct Opened {
    containers: BTreeMap<Digest, Arc<ContainerSpec>>,
    files: BTreeMap<(FileId, u64), FileContent>,
}

impl OpenedDocuments {
    pub(crate) fn new(keyring: Keyring) -> Self {
        Self { keyring, opened: Opened::default() }
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
    used: Mutex<Opened>,
}

impl Documents for Reading<'_> {
    fn container(&self, digest: &Digest) -> Option<Arc<ContainerSpec>> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let known = used.containers.get(digest);
        if let Some(known) = known.or_else(|| self.source.opened.containers.get(digest)) {
            let known = Arc::clone(known);
            used.containers.insert(*digest, Arc::clone(&known));
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
        used.containers.insert(*digest, Arc::clone(&spec));
        Some(spec)
    }

    fn file(&self, file: &NamedFile) -> Option<FileContent> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (file.id.clone(), file.version);
        let known = used.files.get(&key).or_else(|| self.source.opened.files.get(&key));
        let content = match known.cloned() {
            Some(known) => known,
            None => {
                let plain = self.source.keyring.open(seal::FILE, &file.content);
                let plain = plain
                    .inspect_err(|error| tracing::error!(%error, "{} does not open", file.id))
                    .ok()?;
                FileContent(plain.as_slice().into())
            }
        };
        used.files.insert(key, content.clone());
        Some(content)
    }
}

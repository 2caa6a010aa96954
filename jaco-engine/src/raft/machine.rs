//! The state machine: committed entries in, states and outcomes out.
//!
//! It applies entries in order, publishes each batch's last state and answers whoever proposed.
//! An entry that this version does not understand stops it for good, with the reason in the status:
//! skipping it would make this node differ from the others. A snapshot replaces everything.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};
use openraft::{
    EntryPayload, OptionalSend, RaftSnapshotBuilder,
    storage::{EntryResponder, RaftStateMachine},
};

use super::{
    error::{RaftError, io_error},
    format,
    storage::{RaftStorage, StoredSnapshot, beside},
    types::{C, Entry, LogId, Reply, Snapshot, SnapshotMeta, StoredMembership},
};
use crate::{
    command,
    state::{State, snapshot},
    submit::Applied,
    watch::{self, StatePublisher, StateWatch},
};

/// Why applying has stopped, once it has.
pub(super) type Halt = Arc<OnceLock<Arc<RaftError>>>;

/// The state machine of one node.
pub(crate) struct Machine {
    storage: Arc<dyn RaftStorage>,
    publisher: StatePublisher,
    state: Arc<State>,
    last_applied: Option<LogId>,
    membership: StoredMembership,
    halt: Halt,
}

impl Machine {
    /// The machine as the newest snapshot left it. Entries after that are applied by openraft.
    pub(super) fn load(storage: Arc<dyn RaftStorage>) -> Result<(Self, StateWatch), RaftError> {
        let (meta, state) = match storage.snapshot().map_err(Arc::new)? {
            Some(stored) => (format::read_meta(&stored.meta)?, snapshot::read(&stored.data)?),
            None => (SnapshotMeta::default(), State::default()),
        };
        let state = Arc::new(state);
        let (publisher, watch) = watch::channel(state.clone());
        let machine = Self {
            storage,
            publisher,
            state,
            last_applied: meta.last_log_id,
            membership: meta.last_membership,
            halt: Halt::default(),
        };
        Ok((machine, watch))
    }

    pub(super) fn halt(&self) -> Halt {
        self.halt.clone()
    }

    fn apply_entry(&mut self, entry: Entry) -> Result<Reply, RaftError> {
        let index = entry.log_id.index;
        let reply = match entry.payload {
            EntryPayload::Normal(proposal) => {
                let envelope = command::decode(&proposal.0)
                    .map_err(|source| RaftError::Entry { index, source })?;
                let (state, outcome) = self.state.apply(index, &envelope);
                self.state = Arc::new(state);
                Reply { applied: Some(Applied { index, outcome }) }
            }
            EntryPayload::Blank => {
                self.state = Arc::new(self.state.at_index(index));
                Reply::default()
            }
            EntryPayload::Membership(members) => {
                self.membership = StoredMembership::new(Some(entry.log_id), members);
                self.state = Arc::new(self.state.at_index(index));
                Reply::default()
            }
        };
        self.last_applied = Some(entry.log_id);
        Ok(reply)
    }

    /// Remembers why nothing is applied any more.
    fn stop(&self, error: RaftError) -> io::Error {
        let error = Arc::new(error);
        tracing::error!(error = &*error as &dyn std::error::Error, "the state machine has stopped");
        let _ = self.halt.set(error.clone());
        io_error(error)
    }
}

impl RaftStateMachine<C> for Machine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.last_applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<C>>> + Unpin + OptionalSend,
    {
        let mut answers = Vec::new();
        let result = loop {
            match entries.try_next().await {
                Ok(Some((entry, responder))) => match self.apply_entry(entry) {
                    Ok(reply) => answers.extend(responder.map(|r| (r, reply))),
                    Err(error) => break Err(self.stop(error)),
                },
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        // The state first: whoever is answered finds it there.
        self.publisher.publish(self.state.clone());
        for (responder, reply) in answers {
            responder.send(reply);
        }
        result
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            storage: self.storage.clone(),
            state: self.state.clone(),
            meta: SnapshotMeta {
                last_log_id: self.last_applied,
                last_membership: self.membership.clone(),
            },
        }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: Bytes) -> io::Result<()> {
        let stored = StoredSnapshot { meta: format::write_meta(meta), data };
        let installed = beside(self.storage.clone(), move |storage| {
            let state = snapshot::read(&stored.data)?;
            storage.save_snapshot(stored).map_err(Arc::new)?;
            Ok::<_, RaftError>(state)
        });
        let state = installed.await.map_err(io_error)?.map_err(|error| self.stop(error))?;
        self.state = Arc::new(state);
        self.last_applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.publisher.publish(self.state.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let stored = beside(self.storage.clone(), |storage| storage.snapshot())
            .await
            .map_err(io_error)?
            .map_err(io_error)?;
        let Some(stored) = stored else { return Ok(None) };
        let meta = format::read_meta(&stored.meta).map_err(io_error)?;
        Ok(Some(Snapshot { meta, snapshot: stored.data }))
    }
}

/// A state to be written down; taking it has cost one `Arc`.
pub(crate) struct Builder {
    storage: Arc<dyn RaftStorage>,
    state: Arc<State>,
    meta: SnapshotMeta,
}

impl RaftSnapshotBuilder<C> for Builder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let (state, meta) = (self.state.clone(), self.meta.clone());
        let built = beside(self.storage.clone(), move |storage| {
            let data = Bytes::from(snapshot::write(&state));
            let stored = StoredSnapshot { meta: format::write_meta(&meta), data: data.clone() };
            storage.save_snapshot(stored)?;
            Ok::<_, super::storage::StorageError>(Snapshot { meta, snapshot: data })
        });
        built.await.map_err(io_error)?.map_err(io_error)
    }
}

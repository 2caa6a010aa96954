//! The committed log, applied once more from its beginning and by nobody's snapshot.
//!
//! In: the entries of a cluster's log, in order. Out: the state after each of them, and what each was.
//! Whatever a node holds at an index must be what is held here.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use jaco_api::model::NodeId;
use openraft::EntryPayload;

use crate::{
    command::{self, Envelope, Outcome},
    raft::{FormatError, format, storage::Record},
    state::State,
};

/// An entry that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It is no entry.
    #[error("entry {index} cannot be read")]
    Entry {
        /// Its place.
        index: u64,
        /// Why not.
        source: FormatError,
    },
    /// Its command is none.
    #[error("the command of entry {index} cannot be read")]
    Command {
        /// Its place.
        index: u64,
        /// Why not.
        source: command::DecodeError,
    },
}

/// What an entry was.
#[derive(Debug, Clone)]
pub enum Content {
    /// A leader's first word.
    Blank,
    /// Other members of the raft group.
    Members {
        /// Who votes; two sets while they change.
        voters: Vec<BTreeSet<NodeId>>,
        /// Everybody.
        all: BTreeSet<NodeId>,
    },
    /// A command.
    Command {
        /// Who wanted what, and when.
        envelope: Box<Envelope>,
        /// What it came to.
        outcome: Outcome,
    },
}

/// One entry and what it changed.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its place in the log.
    pub index: u64,
    /// The term it was written in.
    pub term: u64,
    /// The state before it.
    pub before: Arc<State>,
    /// The state after it.
    pub after: Arc<State>,
    /// What it was.
    pub content: Content,
}

/// The committed log from its first entry on.
#[derive(Debug, Default)]
pub struct Replay {
    entries: Vec<Bytes>,
    states: Vec<Arc<State>>,
}

impl Replay {
    /// The index of the entry that comes next.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.entries.len() as u64
    }
    /// An entry that was applied here.
    #[must_use]
    pub fn entry(&self, index: u64) -> Option<&Bytes> {
        self.entries.get(usize::try_from(index).ok()?)
    }
    /// The state after an entry.
    #[must_use]
    pub fn state(&self, index: u64) -> Option<&Arc<State>> {
        self.states.get(usize::try_from(index).ok()?)
    }
    /// The state after the last entry.
    #[must_use]
    pub fn newest(&self) -> Arc<State> {
        self.states.last().cloned().unwrap_or_default()
    }

    /// Applies the next entry.
    ///
    /// # Errors
    /// [`ReplayError`] when it cannot be read.
    pub fn apply(&mut self, bytes: Bytes) -> Result<Step, ReplayError> {
        let (index, before) = (self.next(), self.newest());
        let entry = format::read_entry(&Record { index, bytes: bytes.clone() })
            .map_err(|source| ReplayError::Entry { index, source })?;
        let (after, content) = match entry.payload {
            EntryPayload::Blank => (before.at_index(index), Content::Blank),
            EntryPayload::Membership(members) => {
                let set = |ids: &BTreeSet<u64>| ids.iter().copied().map(NodeId).collect();
                let voters = members.get_joint_config().iter().map(set).collect();
                let all = members.nodes().map(|(id, _)| NodeId(*id)).collect();
                (before.at_index(index), Content::Members { voters, all })
            }
            EntryPayload::Normal(proposal) => {
                let envelope = command::decode(&proposal.0)
                    .map_err(|source| ReplayError::Command { index, source })?;
                let (after, outcome) = before.apply(index, &envelope);
                (after, Content::Command { envelope: Box::new(envelope), outcome })
            }
        };
        let after = Arc::new(after);
        self.entries.push(bytes);
        self.states.push(Arc::clone(&after));
        Ok(Step { index, term: entry.log_id.leader_id.term, before, after, content })
    }
}

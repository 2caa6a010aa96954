//! A snapshot and the log after it give the same as the log alone.

use std::sync::Arc;

use jaco_engine::{
    state::{State, snapshot},
    testing::replay::{Content, Step},
};

use super::{Broken, Invariant};

/// Entries between two snapshots.
const EVERY: u64 = 16;

/// A state that is written down and read back again and again.
#[derive(Default)]
pub(super) struct Snapshots {
    shadow: Arc<State>,
}

impl Invariant for Snapshots {
    fn name(&self) -> &'static str {
        "snapshot + log = log alone"
    }

    fn entry(&mut self, step: &Step) -> Result<(), Broken> {
        let index = step.index;
        let next = match &step.content {
            Content::Command { envelope, outcome } => {
                let (next, same) = self.shadow.apply(index, envelope);
                if same != *outcome {
                    return Err(format!("entry {index} comes to {same:?}, not {outcome:?}"));
                }
                next
            }
            Content::Blank | Content::Members { .. } => self.shadow.at_index(index),
        };
        self.shadow = Arc::new(next);
        if !index.is_multiple_of(EVERY) {
            return Ok(());
        }
        let written = snapshot::write(&self.shadow);
        if written != snapshot::write(&step.after) {
            return Err(format!("the states at {index} differ"));
        }
        let read = snapshot::read(&written).map_err(|e| format!("at {index}: {e}"))?;
        self.shadow = Arc::new(read);
        Ok(())
    }
}

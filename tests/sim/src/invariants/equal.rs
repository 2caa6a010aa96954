//! The state is the same on all nodes at the same index, and what is committed never changes.

use std::collections::BTreeMap;

use jaco_engine::state::snapshot;

use super::{Broken, Invariant};
use crate::world::World;

#[derive(Default)]
pub(super) struct Equal {
    /// By host: the index of the state that was compared last, and of the last entry.
    compared: BTreeMap<usize, (u64, u64)>,
}

impl Invariant for Equal {
    fn name(&self) -> &'static str {
        "state equal on all nodes at equal index"
    }

    fn look(&mut self, world: &World) -> Result<(), Broken> {
        for (at, host) in world.cluster.hosts().iter().enumerate() {
            let (seen_state, seen_entry) = self.compared.entry(at).or_default();
            let commit = world.commit_of(at);
            if commit + 1 < *seen_entry {
                // Its disk was lost: it begins anew.
                *seen_entry = 0;
            }
            for index in *seen_entry..=commit.min(world.replay.next().saturating_sub(1)) {
                let there = host.disk().entry(index);
                if there.as_ref().is_some_and(|entry| world.replay.entry(index) != Some(entry)) {
                    return Err(format!("{} has another entry {index}", host.name()));
                }
                *seen_entry = index + 1;
            }
            let Some(state) = host.state().filter(|s| s.index() != *seen_state) else { continue };
            let Some(expected) = world.replay.state(state.index()) else { continue };
            *seen_state = state.index();
            if snapshot::write(&state) != snapshot::write(expected) {
                return Err(format!("{} has another state at {}", host.name(), state.index()));
            }
        }
        Ok(())
    }
}

//! A cluster that has converged writes nothing.

use super::{Broken, Invariant};
use crate::world::World;

#[derive(Default)]
pub(super) struct Idle {
    /// The next entry when the cluster came to rest.
    next: Option<u64>,
}

impl Invariant for Idle {
    fn name(&self) -> &'static str {
        "idle writes nothing"
    }

    fn rest(&mut self, world: &World) {
        self.next = Some(world.replay.next());
    }

    fn end(&mut self, world: &World) -> Result<(), Broken> {
        let (next, now) = (self.next.unwrap_or_default(), world.replay.next());
        match self.next {
            Some(_) if now > next => Err(format!("{} entries were written at rest", now - next)),
            _ => Ok(()),
        }
    }
}

//! A node changes nothing on its engine before it has caught up with what was committed when it
//! started. What a node without a lease kills is the exception: that is what leases are for. So is one
//! that was removed and clears up: it will never catch up.

use jaco_engine::testing::engine::Act;

use super::{Broken, Invariant};
use crate::world::{World, eyes::Sighting};

pub(super) struct CaughtUp;

impl Invariant for CaughtUp {
    fn name(&self) -> &'static str {
        "nodes act only when caught up"
    }

    fn act(&mut self, seen: &Sighting, world: &World) -> Result<(), Broken> {
        let kills = matches!(seen.act, Act::Remove(_));
        let clears_up = || {
            let removed = seen.member.is_some_and(|id| world.replay.newest().node(id).is_none());
            removed && matches!(seen.act, Act::Stop(_) | Act::RemoveNetwork(_))
        };
        match seen.caught_up {
            Some(false) if !seen.done && !kills && !clears_up() => {
                Err(format!("{} did {:?} before it had caught up", seen.host, seen.act))
            }
            _ => Ok(()),
        }
    }
}

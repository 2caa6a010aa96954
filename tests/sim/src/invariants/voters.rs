//! The raft group has an odd number of voters, seven at most. Two vote only while a lone leader that
//! leaves hands over.

use jaco_api::model::Availability;
use jaco_engine::testing::replay::{Content, Step};

use super::{Broken, Invariant};

pub(super) struct Voters;

impl Invariant for Voters {
    fn name(&self) -> &'static str {
        "voters odd and at most seven"
    }

    fn entry(&mut self, step: &Step) -> Result<(), Broken> {
        let Content::Members { voters, all } = &step.content else { return Ok(()) };
        let Some(next) = voters.last() else { return Err("nobody votes".to_owned()) };
        let leaves =
            |id| step.after.node(id).is_none_or(|n| n.availability == Availability::Leaving);
        let hands_over = next.len() == 2 && next.iter().any(|id| leaves(*id));
        if !next.is_subset(all) || next.len() > 7 || next.len() % 2 == 0 && !hands_over {
            return Err(format!("entry {} makes {next:?} of {all:?} vote", step.index));
        }
        Ok(())
    }
}

//! The leader's tasks, one file each.

mod announce;
mod schedule;

pub(super) use announce::Announce;
pub(super) use schedule::Schedule;

//! The leader's tasks, one file each.

mod announce;
mod lost;
mod rebalance;
mod schedule;

pub(super) use announce::Announce;
#[cfg_attr(not(test), expect(unused_imports, reason = "begun once sessions bring samples"))]
pub(super) use rebalance::Rebalance;
pub(super) use schedule::Schedule;

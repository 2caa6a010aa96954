//! The leader's tasks, one file each.

mod announce;
mod liveness;
mod members;
mod rekey;
mod schedule;

pub(super) use announce::Announce;
pub(super) use liveness::Liveness;
pub(super) use members::Members;
pub(super) use rekey::Renew;
pub(super) use schedule::Schedule;

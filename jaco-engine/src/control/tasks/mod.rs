//! The leader's tasks, one file each.

mod announce;
mod certs;
mod cron;
mod liveness;
mod lost;
mod members;
mod rebalance;
mod rekey;
mod schedule;
mod subnets;

pub(super) use announce::Announce;
pub(super) use certs::Certs;
pub(super) use cron::Cron;
pub(super) use liveness::Liveness;
pub(super) use members::Members;
pub(super) use rebalance::Rebalance;
pub(super) use rekey::Renew;
pub(super) use schedule::Schedule;
pub(super) use subnets::Subnets;

//! What is to run where, and what the next step of a rollout is.
//!
//! In: the state, the deployments to look at, the leader's time. Out: a [`Plan`], one guarded batch
//! of actions per deployment and the time at which something will have to be decided even if
//! nothing happens. A second call on the state that results from a plan plans nothing, except after
//! a step that gives the deployment another revision.
//!
//! It never touches a node, a clock or the log, never looks at an observation of another
//! generation, and never plans a step that `apply` would have to refuse: [`check`] says so of every
//! plan in tests and debug builds.
//!
//! | module | decides |
//! |---|---|
//! | [`filter`] | which nodes may take a replica at all, and why the others may not |
//! | [`place`] | which of them takes it |
//! | [`lost`] | when a replica on a lost node is placed elsewhere, or why it waits |
//! | [`drain`] | what is in the way of emptying a node, and what is left on it |
//! | [`rebalance`] | which replica leaves a hot node for a cold one |
//! | `addresses` | whether a service can have the virtual addresses that it asks for |
//! | `blocks` | whether a node can have the addresses that a service needs there |
//! | `companion` | what becomes of services that live beside others |
//! | `crowd` | which of too many replicas go first |
//! | `restart` | whether a replica has settled, is under way or has failed |
//! | `rollout` | whether a rollout goes on, has ended or has failed |
//! | [`cron`] | which services that run at times are due |
//! | `runs` | which of their runs start, are given up and are no longer kept |
//! | `replace` | which replicas of one service are created, replaced and removed now |
//! | [`plan()`] | the batches |

mod addresses;
mod blocks;
pub mod check;
mod companion;
pub mod constraint;
pub mod cron;
mod crowd;
pub mod drain;
pub mod filter;
mod input;
pub mod lost;
mod pass;
pub mod place;
mod plan;
mod readings;
pub mod rebalance;
mod replace;
mod restart;
mod rollout;
mod runs;
mod touched;

#[cfg(test)]
mod tests;

pub use input::{may_roll, wanted};
pub use plan::{Plan, plan, plan_with};
pub use readings::Readings;
pub use touched::touched;

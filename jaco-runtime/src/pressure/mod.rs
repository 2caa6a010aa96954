//! How loaded this node and its replicas are.
//!
//! In: the kernel's own accounts, read by a [`NodeSampler`] below `/proc` and `/sys/fs/cgroup`, and
//! [`Stats`](crate::container::Stats) of containers. Out: plain values. Shares of time need two
//! measurements: what lies between them is what counts. Nothing here judges what is much, keeps a
//! history, or measures without being asked.
//!
//! A node that is itself in a control group with limits (a container) is as large as those.

mod node;
mod parse;
mod replica;

pub use node::{NodeSampler, SampleError};
pub use replica::replica_usage;

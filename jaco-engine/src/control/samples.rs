//! The seam to what nodes tell of their load: the leader's memory of their signs of life, or a test.

use crate::scheduler::rebalance::Samples;

/// Where the leader's tasks learn how loaded nodes and replicas are.
pub trait Sampler: Send + Sync + 'static {
    /// The newest sample of every node that is heard of, and of its replicas.
    fn samples(&self) -> Samples;
}

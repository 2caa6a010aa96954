//! What the API asks this node about its own data plane.
//!
//! A seam to the part of the node that knows its firewall, mesh and bridges.

use async_trait::async_trait;
use jaco_api::model::Finding;

/// Proves the data plane of this node.
#[async_trait]
pub trait Doctor: Send + Sync {
    /// Looks at everything and says what is broken, with cause and fix. With `repair`, what can be put
    /// right is, and looked at again. Takes some seconds at most, whatever does not answer; what this
    /// node does not have is a finding that was skipped, never a missing one.
    async fn diagnose(&self, repair: bool) -> Vec<Finding>;
}

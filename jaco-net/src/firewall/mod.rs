//! The firewall seam: who may exchange packets with whom, as data, and the trait that loads it.
//!
//! Input is a [`Ruleset`], derived from replicated state; output is what the kernel holds. An
//! implementation must replace what it loaded before in one transaction, must never touch traffic
//! without an address in one of the ruleset's pools, and must never decide what is in the ruleset.

mod none;
mod policy;

use async_trait::async_trait;
use tokio::sync::watch;

pub use none::NoFirewall;
pub use policy::{Ruleset, Scope, Verdict};

use crate::NetError;

/// Loads rulesets into the kernel of this node.
#[async_trait]
pub trait Firewall: Send + Sync {
    /// Whether what is applied is really enforced. A node whose firewall enforces nothing says so.
    fn enforces(&self) -> bool {
        true
    }

    /// Replaces everything loaded before with `ruleset`, atomically: on error the old one stands.
    ///
    /// # Errors
    /// A ruleset that does not pass [`Ruleset::check`], and whatever the kernel refuses.
    async fn apply(&self, ruleset: &Ruleset) -> Result<(), NetError>;

    /// What the kernel holds now, element by element, not what was applied last; `None` when
    /// nothing of ours is loaded.
    ///
    /// # Errors
    /// The kernel cannot be asked.
    async fn read(&self) -> Result<Option<Ruleset>, NetError>;

    /// Changes whenever the loaded rules may have changed, by us or by somebody else. The number
    /// means nothing: look with [`Firewall::read`].
    fn watch(&self) -> watch::Receiver<u64>;
}

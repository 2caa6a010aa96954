//! The firewall seam: who may exchange packets with whom, as data, and the trait that loads it.
//!
//! Input is a [`Ruleset`], derived from replicated state; output is what the kernel holds. An
//! implementation must replace what it loaded before in one transaction, must never touch traffic
//! that is no business of the ruleset ([`Verdict::Foreign`]), and must never decide what is in the
//! ruleset.

mod check;
#[cfg(feature = "kernel")]
mod conntrack;
#[cfg(feature = "kernel")]
mod engine;
mod interface;
#[cfg(feature = "kernel")]
mod listing;
mod loaded;
#[cfg(feature = "kernel")]
mod netlink;
#[cfg(feature = "kernel")]
mod nft;
mod none;
#[cfg(feature = "kernel")]
mod pins;
mod policy;
#[cfg(feature = "kernel")]
mod program;
#[cfg(feature = "kernel")]
mod render;
#[cfg(feature = "kernel")]
mod sets;
#[cfg(feature = "kernel")]
mod tracked;
mod verdict;
#[cfg(feature = "kernel")]
mod watch;

use async_trait::async_trait;
use tokio::sync::watch as channel;

pub use check::Contradiction;
#[cfg(feature = "kernel")]
pub use engine::EngineChains;
pub use interface::{InterfaceName, InvalidInterfaceName};
pub use loaded::Loaded;
#[cfg(feature = "kernel")]
pub use nft::NftFirewall;
pub use none::NoFirewall;
pub use policy::{Bridge, IngressPort, MeshLink, Ruleset, Scope};
pub use verdict::{Packet, Path, Payload, Seen, Verdict};

use crate::NetError;

/// Loads rulesets into the kernel of this node.
#[async_trait]
pub trait Firewall: Send + Sync {
    /// Whether what is applied is really enforced. A node whose firewall enforces nothing says so.
    fn enforces(&self) -> bool {
        true
    }

    /// Replaces everything loaded before with `ruleset`, atomically: on error the old one stands.
    /// What the kernel held before, as [`Firewall::read`] says it.
    ///
    /// # Errors
    /// A ruleset that does not pass [`Ruleset::check`], whatever the kernel refuses, and what it
    /// holds afterwards when that is something else.
    async fn apply(&self, ruleset: &Ruleset) -> Result<Option<Loaded>, NetError>;

    /// What the kernel holds now, element by element and rule by rule, not what was applied last;
    /// `None` when nothing of ours is loaded.
    ///
    /// # Errors
    /// The kernel cannot be asked.
    async fn read(&self) -> Result<Option<Loaded>, NetError>;

    /// Removes everything that was loaded: when this host leaves its cluster, never when the daemon stops.
    /// Removing what is not there is success.
    ///
    /// # Errors
    /// Whatever the kernel refuses.
    async fn remove(&self) -> Result<(), NetError>;

    /// Changes whenever the loaded rules may have changed, by us or by somebody else. The number
    /// means nothing: look with [`Firewall::read`]. Called within a runtime.
    fn watch(&self) -> channel::Receiver<u64>;
}

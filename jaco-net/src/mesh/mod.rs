//! The mesh seam: one encrypted tunnel to every other member, as data, and the trait that builds it.
//!
//! Input is a [`MeshConfig`], derived from replicated state; output is the interface of this node.
//! An implementation changes only what differs and must never act on the absence of a configuration:
//! a node that is not caught up does not call it.

mod key;
mod peers;

use async_trait::async_trait;

pub use key::{InvalidKey, PrivateKey, PublicKey};
pub use peers::{MeshConfig, MeshPeer, PeerChange, changes};

use crate::NetError;

/// How the tunnels are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MeshKind {
    /// By the kernel's WireGuard.
    Kernel,
    /// By this process, over a TUN device.
    Userspace,
    /// Not at all: in memory, for tests.
    Fake,
}

/// The mesh interface of this node.
#[async_trait]
pub trait MeshDevice: Send + Sync {
    /// How the tunnels are made.
    fn kind(&self) -> MeshKind;

    /// Makes the interface and its peers equal to `config`, touching only what differs: traffic of
    /// unchanged peers is not interrupted.
    ///
    /// # Errors
    /// A configuration that does not pass [`MeshConfig::check`], and whatever the kernel refuses.
    async fn apply(&self, key: &PrivateKey, config: &MeshConfig) -> Result<(), NetError>;

    /// What the interface holds now; `None` when there is none.
    ///
    /// # Errors
    /// The interface cannot be asked.
    async fn read(&self) -> Result<Option<MeshConfig>, NetError>;

    /// Removes the interface. Removing what is not there is success.
    ///
    /// # Errors
    /// Whatever the kernel refuses.
    async fn remove(&self) -> Result<(), NetError>;
}

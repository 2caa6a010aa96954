//! The mesh seam: one encrypted tunnel to every other member, as data, and the trait that builds it.
//!
//! Input is a [`MeshConfig`], derived from replicated state; output is the interface of this node.
//! An implementation changes only what differs and must never act on the absence of a configuration:
//! a node that is not caught up does not call it.

#[cfg(any(feature = "kernel", feature = "userspace"))]
mod choice;
#[cfg(feature = "kernel")]
mod kernel;
mod key;
mod keyfile;
#[cfg(any(feature = "kernel", feature = "userspace"))]
pub(crate) mod link;
pub mod mtu;
mod peers;
#[cfg(feature = "userspace")]
mod userspace;

use std::{collections::BTreeMap, net::IpAddr};

use async_trait::async_trait;
use tokio::sync::watch;

#[cfg(any(feature = "kernel", feature = "userspace"))]
pub use choice::{
    Choice, Facilities, InvalidMeshMode, MeshMode, Missing, NoMesh, Reason, choose, open, probe,
};
pub use jaco_api::model::{InvalidMeshKey as InvalidKey, MeshKey as PublicKey, MeshKind};
#[cfg(feature = "kernel")]
pub use kernel::KernelMesh;
pub use key::PrivateKey;
pub use keyfile::{KeyFile, KeyFileError};
#[cfg(any(feature = "kernel", feature = "userspace"))]
pub use link::path_mtu;
pub use peers::{MeshConfig, MeshPeer, PeerChange, PeerStatus, changes, settle};
#[cfg(feature = "userspace")]
pub use userspace::UserspaceMesh;

use crate::NetError;

/// What the interface is called unless somebody wants another name.
pub const INTERFACE: &str = "jaco0";

/// The mesh interface of this node.
#[async_trait]
pub trait MeshDevice: Send + Sync {
    /// How the tunnels are made.
    fn kind(&self) -> MeshKind;

    /// Makes the interface equal to `config`, touching only what differs: traffic of unchanged peers
    /// is not interrupted, and another key leaves the interface and its addresses where they are.
    ///
    /// An endpoint at which a peer was heard from stays, see [`settle`].
    ///
    /// # Errors
    /// A configuration that does not pass [`MeshConfig::check`], and whatever the kernel refuses. What
    /// was refused is missing, and the rest is there.
    async fn apply(&self, key: &PrivateKey, config: &MeshConfig) -> Result<(), NetError>;

    /// What the interface holds now; `None` when there is none.
    ///
    /// # Errors
    /// The interface cannot be asked.
    async fn read(&self) -> Result<Option<MeshConfig>, NetError>;

    /// How each peer of the interface is doing.
    ///
    /// # Errors
    /// The interface cannot be asked.
    async fn peers(&self) -> Result<BTreeMap<PublicKey, PeerStatus>, NetError>;

    /// The way on which packets to a peer leave this node: how large they may be. `None` if there is none
    /// but through the mesh itself, or where that is not known.
    ///
    /// # Errors
    /// The routing table cannot be asked.
    async fn path(&self, endpoint: IpAddr) -> Result<Option<mtu::Path>, NetError>;

    /// Removes the interface. Removing what is not there is success.
    ///
    /// # Errors
    /// Whatever the kernel refuses.
    async fn remove(&self) -> Result<(), NetError>;

    /// Changes whenever the interface, its MTU, addresses or routes may have changed, by us or by
    /// somebody else. The number means nothing: [`MeshDevice::apply`] repairs what differs.
    ///
    /// To be called in a tokio runtime; what watches lives as long as that and the device.
    fn watch(&self) -> watch::Receiver<u64>;
}

#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

#[cfg(any(feature = "kernel", feature = "userspace"))]
mod bridge;
#[cfg(feature = "dns")]
pub mod dns;
#[cfg(feature = "doctor")]
pub mod doctor;
mod error;
pub mod firewall;
pub mod mesh;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(any(feature = "kernel", feature = "userspace"))]
pub use bridge::{BridgeChange, BridgeLink, Bridges};
pub use error::NetError;
pub use firewall::{
    Bridge, Contradiction, Firewall, IngressPort, InterfaceName, InvalidInterfaceName, Loaded,
    MeshLink, NoFirewall, Packet, Path, Payload, Ruleset, Scope, Seen, Verdict,
};
#[cfg(feature = "kernel")]
pub use firewall::{EngineChains, NftFirewall};
#[cfg(feature = "kernel")]
pub use mesh::KernelMesh;
#[cfg(feature = "userspace")]
pub use mesh::UserspaceMesh;
pub use mesh::{
    MeshConfig, MeshDevice, MeshKind, MeshPeer, PeerChange, PeerStatus, PrivateKey, PublicKey,
};

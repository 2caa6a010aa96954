#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod error;
pub mod firewall;
pub mod mesh;
#[cfg(feature = "testing")]
pub mod testing;

pub use error::NetError;
#[cfg(feature = "kernel")]
pub use firewall::NftFirewall;
pub use firewall::{
    Bridge, Contradiction, Firewall, IngressPort, InterfaceName, InvalidInterfaceName, Loaded,
    MeshLink, NoFirewall, Packet, Path, Payload, Ruleset, Scope, Verdict,
};
pub use mesh::{MeshConfig, MeshDevice, MeshKind, MeshPeer, PeerChange, PrivateKey, PublicKey};

#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod error;
pub mod firewall;
pub mod mesh;
#[cfg(feature = "testing")]
pub mod testing;

pub use error::NetError;
pub use firewall::{Firewall, NoFirewall, Ruleset, Scope, Verdict};
pub use mesh::{MeshConfig, MeshDevice, MeshKind, MeshPeer, PeerChange, PrivateKey, PublicKey};

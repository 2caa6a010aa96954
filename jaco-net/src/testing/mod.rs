//! Fakes that keep real state, and the suites that every implementation must pass.
//!
//! The suites panic at the first rule that is broken, naming it: call them from a test.

mod conformance;
mod firewall;
mod mesh;
#[cfg(feature = "dns")]
mod upstream;

#[cfg(feature = "dns")]
#[doc(hidden)]
pub mod fuzzing;

pub use conformance::{MeshTampering, firewall as firewall_suite, mesh as mesh_suite};
pub use firewall::FakeFirewall;
pub use mesh::FakeMesh;
#[cfg(feature = "dns")]
pub use upstream::{Asked, FakeUpstream, Manners, Says};

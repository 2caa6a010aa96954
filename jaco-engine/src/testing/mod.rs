//! Fakes and builders for tests, up to whole clusters in one process.

pub mod builders;
pub mod clock;
pub mod cluster;
pub mod disk;
pub mod engine;
#[doc(hidden)]
pub mod fuzzing;
pub mod network;
pub mod replay;
pub mod world;

pub use clock::{ManualClock, SimulatedClock};
pub use cluster::{Cluster, Host};
pub use disk::SimulatedDisk;
pub use network::SimulatedNetwork;
pub use replay::Replay;

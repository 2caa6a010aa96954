//! Fakes and builders for tests.

pub mod builders;
pub mod clock;
pub mod network;
pub mod world;

pub use clock::ManualClock;
pub use network::SimulatedNetwork;

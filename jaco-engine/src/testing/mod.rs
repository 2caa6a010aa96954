//! Fakes and builders for tests.

pub mod builders;
pub mod clock;

pub use clock::ManualClock;

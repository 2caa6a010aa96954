//! Fakes and builders for tests.

pub mod clock;

pub use clock::ManualClock;

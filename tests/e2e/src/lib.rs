//! Scenarios on real engines, and what they share: one rig, a fresh node each, and a report of every
//! node when one fails.
//!
//! A scenario is a function that panics or returns an error when a promise is broken. It finds an empty
//! engine and leaves whatever it likes: the engine is emptied before the next.

mod bench;
mod run;

pub use bench::Bench;
pub use run::{Scenario, main};

/// Any error ends a scenario.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

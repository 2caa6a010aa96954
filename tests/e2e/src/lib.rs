//! Scenarios on real engines, and what they share: a rig, fresh nodes each, and a report of every node
//! when one fails.
//!
//! A scenario is a function that panics or returns an error when a promise is broken. It finds empty
//! engines and leaves whatever it likes: they are emptied before the next. Those of one host share a
//! [`Bench`], those of many a [`Fleet`].

mod bench;
mod crowd;
mod fleet;
mod images;
mod observe;
mod pattern;
mod run;
mod stage;
pub mod talk;

pub use bench::Bench;
pub use crowd::{Crowd, CrowdOptions, Noticed, Seen};
pub use fleet::{Fleet, Replica};
pub use observe::observe;
pub use pattern::{Tally, pattern};
pub use run::{Scenario, Scenarios, main};
pub use stage::Stage;

/// Any error ends a scenario.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How often a scenario repeats what is costly: `full` times when `JACO_LONG` is set, else `usual`
/// times.
#[must_use]
pub fn times(usual: usize, full: usize) -> usize {
    if std::env::var_os("JACO_LONG").is_some() { full } else { usual }
}

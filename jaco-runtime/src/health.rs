//! What a container's state says about its health. Pure.
//!
//! Input: one look at a container and how long its run has lasted. Output: a verdict. Never
//! remembers anything: what counts across looks is in [`crate::reconcile`].

use std::time::Duration;

use jaco_api::model::Health;

use crate::container::Container;

/// A container without a check is taken for healthy after running this long.
pub const SETTLED: Duration = Duration::from_secs(2);

/// So long a run must be healthy for earlier failures to be forgotten.
pub const PROVEN: Duration = Duration::from_secs(10);

/// What is to be thought of a container that has processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not decided before so much more time has passed, or before its check says so.
    Starting(Option<Duration>),
    /// Runs and is healthy.
    Healthy,
    /// Its check fails.
    Unhealthy,
}

/// The verdict on a container that has been running for `age`.
#[must_use]
pub fn verdict(container: &Container, age: Duration) -> Verdict {
    match container.health {
        Health::Healthy => Verdict::Healthy,
        Health::Unhealthy => Verdict::Unhealthy,
        Health::Starting => Verdict::Starting(None),
        Health::None if age >= SETTLED => Verdict::Healthy,
        Health::None => Verdict::Starting(Some(SETTLED - age)),
    }
}

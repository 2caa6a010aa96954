//! How long after a failure the next attempt begins.

use std::time::Duration;

use super::{Failure, FailureKind};

/// The shortest wait after a failure.
pub const RETRY_DELAY: Duration = Duration::from_secs(60);
/// The shortest wait after the CA spoke of a rate limit.
pub const RATE_LIMIT_DELAY: Duration = Duration::from_secs(15 * 60);
/// The longest wait that is not the CA's own wish.
pub const RETRY_DELAY_CAP: Duration = Duration::from_secs(60 * 60);
/// The longest wait that a CA can wish for: its longest limits are counted by the week.
pub(super) const RETRY_AFTER_CAP: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The wait after the `failures`th failure in a row: doubled each time up to the cap, and never less than
/// the CA asked for.
#[must_use]
pub fn delay(failure: &Failure, failures: u32) -> Duration {
    let first = match failure.kind {
        FailureKind::RateLimited => RATE_LIMIT_DELAY,
        FailureKind::Refused | FailureKind::Unreachable | FailureKind::Local => RETRY_DELAY,
    };
    let doublings = failures.saturating_sub(1).min(16);
    let own = first.saturating_mul(1 << doublings).min(RETRY_DELAY_CAP);
    own.max(failure.retry_after.unwrap_or_default().min(RETRY_AFTER_CAP))
}

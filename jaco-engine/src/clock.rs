//! Time behind a seam: the system's, or one that tests turn by hand.
//!
//! Deciding code never reads a clock: whoever calls it passes the time in.

use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use jaco_api::model::Timestamp;

/// Where time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The present time.
    fn now(&self) -> Timestamp;
    /// Ends when this much time has passed.
    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()>;
}

/// The time of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_system_time(SystemTime::now())
    }
    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(span))
    }
}

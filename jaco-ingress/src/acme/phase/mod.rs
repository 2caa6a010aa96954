//! What is to be done about the certificate of one domain, as a value with a deadline.
//!
//! In: the replicated row of the domain, its settings and what is true now. Out: the next row and the
//! one thing to do. Whoever calls replicates the row before it acts, so that another issuer continues
//! where this one was. Reads no clock and asks nobody: times that come in are all there is.

mod backoff;
mod failure;
mod row;
mod settings;
mod step;
#[cfg(test)]
mod tests;

pub use backoff::{RATE_LIMIT_DELAY, RETRY_DELAY, RETRY_DELAY_CAP, delay};
pub use failure::{Failure, FailureKind};
pub use row::{Attempt, OrderRef, Phase, Row, UnknownPhase, Validity, Window};
pub use settings::{LETS_ENCRYPT, LETS_ENCRYPT_STAGING, Settings};
pub use step::{Action, Facts, ORDER_TIME, Outcome, Step, step};

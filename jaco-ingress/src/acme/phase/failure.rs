//! Why an attempt failed, as far as it decides what comes next.

use std::time::Duration;

/// Whose doing a failure was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The CA has had enough of us for now.
    RateLimited,
    /// The CA said no, or could not check the domain.
    Refused,
    /// The CA did not answer, or not sensibly.
    Unreachable,
    /// We could not do our part, such as publishing a challenge.
    Local,
}

/// One attempt's failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Whose doing it was.
    pub kind: FailureKind,
    /// What is told to people: the CA's own words where it said some.
    pub reason: String,
    /// How long the CA wants to be left alone.
    pub retry_after: Option<Duration>,
}

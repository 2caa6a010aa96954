//! Whether an image is there, and what to do about it. Pure.

use std::time::Duration;

use jaco_api::{
    error::ErrorCode,
    model::{PullPolicy, Reason, Timestamp},
};

use super::memory::{doubled, reason};
use crate::container::{ImageRef, RuntimeError};

/// First and longest pause between two attempts to fetch an image.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));

/// Failed attempts are counted up to here; then the image counts as not to be had.
pub(crate) const PULL_ATTEMPTS: u32 = 3;

/// What is known of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Image {
    state: State,
    /// Failures in a row, counted up to [`PULL_ATTEMPTS`].
    pub(crate) failures: u32,
    attempts: u32,
    /// The engine has a copy, if an old one.
    copy: bool,
    /// Why the last attempt failed.
    pub(crate) reason: Option<Reason>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum State {
    #[default]
    Unknown,
    Missing,
    /// It is there, and old enough to be fetched again.
    Stale,
    Fetching,
    Present,
    Failed {
        retry_at: Duration,
    },
}

/// What to do next about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Use it.
    Use,
    /// Ask the engine whether it has it.
    Look,
    /// Fetch it.
    Fetch,
    /// Wait for the fetch.
    Busy,
    /// Try again then.
    Wait(Duration),
}

impl Image {
    /// What to do next under this policy.
    pub(crate) fn next(&self, policy: PullPolicy, at: Duration) -> Next {
        let begin = match policy {
            PullPolicy::Always => Next::Fetch,
            PullPolicy::Missing | PullPolicy::Never | PullPolicy::Refresh(_) => Next::Look,
        };
        match self.state {
            State::Unknown => begin,
            State::Missing | State::Stale => Next::Fetch,
            State::Fetching => Next::Busy,
            State::Present => Next::Use,
            State::Failed { retry_at } if at >= retry_at => begin,
            State::Failed { retry_at } => Next::Wait(retry_at),
        }
    }

    /// Whether it is there.
    pub(crate) fn is_present(&self) -> bool {
        self.state == State::Present
    }
    /// Whether it is being fetched.
    pub(crate) fn is_fetching(&self) -> bool {
        self.state == State::Fetching
    }
    /// Whether it has failed often enough to be called off.
    pub(crate) fn is_given_up(&self) -> bool {
        self.failures >= PULL_ATTEMPTS
    }

    /// It is there.
    pub(crate) fn found(&mut self) {
        *self = Self { state: State::Present, ..Self::default() };
    }
    /// A fetch has begun.
    pub(crate) fn fetching(&mut self) {
        self.state = State::Fetching;
    }
    /// A fetch was called off.
    pub(crate) fn called_off(&mut self) {
        if self.is_fetching() {
            self.state = State::Unknown;
        }
    }
    /// It is not there.
    pub(crate) fn missing(&mut self, name: &str, policy: PullPolicy, at: Duration) {
        if policy == PullPolicy::Never {
            let message = format!("image {name} is not on this node and pull_policy is never");
            self.fail(reason(ErrorCode::ImagePullFailed, &message), true, at);
        } else {
            self.state = State::Missing;
            self.copy = false;
        }
    }
    /// It is there, and too old.
    pub(crate) fn stale(&mut self) {
        *self = Self { state: State::Stale, copy: true, ..Self::default() };
    }
    /// An attempt to fetch it has failed. A copy that is merely old is used then.
    pub(crate) fn failed(&mut self, error: &RuntimeError, at: Duration) {
        if self.copy {
            return self.found();
        }
        let why = reason(ErrorCode::ImagePullFailed, &error.to_string());
        self.fail(why, error.is_definitive_for_image(), at);
    }

    fn fail(&mut self, why: Reason, definitive: bool, at: Duration) {
        let retry_at = at + doubled(PAUSES.0, self.attempts, PAUSES.1);
        self.state = State::Failed { retry_at };
        self.attempts = self.attempts.saturating_add(1);
        let failures = if definitive { PULL_ATTEMPTS } else { self.failures + 1 };
        self.failures = failures.min(PULL_ATTEMPTS);
        self.reason = Some(why);
    }
}

/// Whether a copy that was fetched then is to be fetched again before a container is made of it. What
/// a digest names never changes; a copy of unknown age may be of any.
pub(crate) fn is_stale(
    image: &ImageRef,
    policy: PullPolicy,
    fetched_at: Option<Timestamp>,
    now: Timestamp,
) -> bool {
    match policy {
        PullPolicy::Always => true,
        PullPolicy::Missing | PullPolicy::Never => false,
        PullPolicy::Refresh(_) if image.name.contains('@') => false,
        PullPolicy::Refresh(age) => fetched_at.is_none_or(|at| now.since(at) > age.to_std()),
    }
}

#[cfg(test)]
mod tests {
    use jaco_api::model::Span;

    use super::*;

    fn refused() -> RuntimeError {
        RuntimeError::PullFailed { image: "x".into(), message: "registry says 500".into() }
    }

    #[test]
    fn failures_count_to_three_and_pauses_double_to_an_hour() {
        let (mut image, mut at, mut pauses) = (Image::default(), Duration::ZERO, Vec::new());
        assert_eq!(image.next(PullPolicy::Missing, at), Next::Look);
        for _ in 0..14 {
            image.missing("x", PullPolicy::Missing, at);
            assert_eq!(image.next(PullPolicy::Missing, at), Next::Fetch);
            image.fetching();
            image.failed(&refused(), at);
            let Next::Wait(until) = image.next(PullPolicy::Missing, at) else { panic!() };
            pauses.push((until - at).as_secs());
            at = until;
        }
        assert_eq!(pauses[..4], [1, 2, 4, 8]);
        assert_eq!(pauses[13], 3600);
        assert_eq!(image.failures, 3);
    }

    #[test]
    fn what_does_not_exist_is_given_up_at_once() {
        let mut image = Image::default();
        image.failed(
            &RuntimeError::ImageNotFound { image: "x".into(), message: "manifest unknown".into() },
            Duration::ZERO,
        );
        assert!(image.is_given_up());
        let mut image = Image::default();
        image.missing("x", PullPolicy::Never, Duration::ZERO);
        assert!(image.is_given_up());
        assert!(image.reason.unwrap().message.contains("never"));
    }

    #[test]
    fn a_copy_is_old_when_its_age_is_over_and_not_before() {
        let image = |name: &str| ImageRef { name: name.to_owned(), platform: None };
        let daily = PullPolicy::Refresh(Span::secs(86_400));
        let (at, day) = (Timestamp(1_000), 86_400_000);
        for (name, policy, fetched_at, now, stale) in [
            ("app:1", daily, Some(at), Timestamp(1_000 + day), false),
            ("app:1", daily, Some(at), Timestamp(1_001 + day), true),
            // A clock that was set back makes nothing old.
            ("app:1", daily, Some(at), Timestamp(0), false),
            ("app:1", daily, None, at, true),
            ("app@sha256:00", daily, Some(at), Timestamp(9 * day), false),
            ("app:1", PullPolicy::Missing, Some(at), Timestamp(9 * day), false),
            ("app:1", PullPolicy::Never, None, at, false),
            ("app:1", PullPolicy::Always, Some(at), at, true),
        ] {
            assert_eq!(is_stale(&image(name), policy, fetched_at, now), stale, "{name} {policy:?}");
        }
    }

    #[test]
    fn an_old_copy_is_fetched_again_and_used_when_that_fails() {
        let daily = PullPolicy::Refresh(Span::secs(86_400));
        let mut image = Image::default();
        assert_eq!(image.next(daily, Duration::ZERO), Next::Look);
        image.stale();
        assert!(!image.is_present());
        assert_eq!(image.next(daily, Duration::ZERO), Next::Fetch);
        image.fetching();
        image.failed(&refused(), Duration::ZERO);
        assert!(image.is_present() && image.reason.is_none());
        // Without a copy it is as with any other policy.
        image.missing("x", daily, Duration::ZERO);
        image.fetching();
        image.failed(&refused(), Duration::ZERO);
        assert_eq!((image.is_present(), image.failures), (false, 1));
    }

    #[test]
    fn always_fetches_without_looking_and_once_only() {
        let mut image = Image::default();
        assert_eq!(image.next(PullPolicy::Always, Duration::ZERO), Next::Fetch);
        image.fetching();
        assert_eq!(image.next(PullPolicy::Always, Duration::ZERO), Next::Busy);
        image.found();
        assert_eq!(image.next(PullPolicy::Always, Duration::ZERO), Next::Use);
    }
}

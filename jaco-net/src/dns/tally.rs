//! How many questions came to which end.

use std::sync::atomic::{AtomicU64, Ordering};

/// What became of a question of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum QueryOutcome {
    /// This node knew, also that there is no such name.
    Answered,
    /// Others had said it before, and it was still valid.
    Cached,
    /// Others were asked and have said it.
    Forwarded,
    /// Nobody could be reached; it was told what had been said before.
    Stale,
    /// Nobody could be reached, or would say it.
    Failed,
    /// Too many were on their way to others already.
    Overloaded,
    /// It was malformed, or of a kind that is answered nobody.
    Refused,
}

impl QueryOutcome {
    /// Every outcome, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Answered,
        Self::Cached,
        Self::Forwarded,
        Self::Stale,
        Self::Failed,
        Self::Overloaded,
        Self::Refused,
    ];

    /// The stable snake_case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Cached => "cached",
            Self::Forwarded => "forwarded",
            Self::Stale => "stale",
            Self::Failed => "failed",
            Self::Overloaded => "overloaded",
            Self::Refused => "refused",
        }
    }
}

/// Counts questions by what became of them. It only grows.
#[derive(Debug, Default)]
pub struct Tally([AtomicU64; QueryOutcome::ALL.len()]);

impl Tally {
    pub(crate) fn count(&self, outcome: QueryOutcome) {
        // The variants are numbered from 0, in the order of `ALL`.
        self.0[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many questions came to this end.
    #[must_use]
    pub fn of(&self, outcome: QueryOutcome) -> u64 {
        self.0[outcome as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_is_counted_for_itself() {
        let tally = Tally::default();
        for (at, outcome) in QueryOutcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, at);
            (0..=at).for_each(|_| tally.count(outcome));
        }
        let counts = QueryOutcome::ALL.map(|outcome| tally.of(outcome));
        assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7]);
    }
}

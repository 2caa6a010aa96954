//! The one retry helper: pauses that grow up to a bound, with jitter.

use std::time::Duration;

/// Pauses between attempts: doubling from the first up to the longest, each shortened by up to a
/// half at random so that many who failed together do not come back together.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Pauses from `first` to `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }
    /// The pause before the next attempt.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause.mul_f64(rand::random_range(0.5..=1.0))
    }
    /// Starts over: an attempt has succeeded.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_bound_and_start_over() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(10), ms(35));
        for upper in [10, 20, 35, 35] {
            let pause = backoff.pause();
            assert!(pause >= ms(upper) / 2 && pause <= ms(upper), "{pause:?} of {upper}");
        }
        backoff.reset();
        assert!(backoff.pause() <= ms(10));
    }
}

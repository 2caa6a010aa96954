//! Waiting for something to come true: the only place of the harness that sleeps.

use std::time::{Duration, Instant};

use crate::{HarnessError, Result};

/// How long something may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Patience(pub Duration);

impl Patience {
    /// For what takes a moment.
    pub const SHORT: Self = Self(Duration::from_secs(10));
    /// For containers and elections.
    pub const NORMAL: Self = Self(Duration::from_secs(30));
    /// For engines and whole stacks on a busy machine.
    pub const LONG: Self = Self(Duration::from_secs(90));
}

impl From<Duration> for Patience {
    fn from(time: Duration) -> Self {
        Self(time)
    }
}

/// Who waits looks again after a twentieth of the time that he has waited, within these bounds: looking costs the
/// processor that the awaited needs.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(250));

/// Asks `look` until it returns a value, and returns that. `look` says in its error what it saw; the
/// last of these is in the report when patience runs out.
///
/// # Errors
/// [`HarnessError::Timeout`] with what was seen last.
pub fn until<T>(
    patience: Patience,
    what: &str,
    mut look: impl FnMut() -> Result<T, String>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        match look() {
            Ok(value) => return Ok(value),
            Err(seen) if started.elapsed() >= patience.0 => {
                return Err(HarnessError::Timeout {
                    what: what.to_owned(),
                    waited: patience.0,
                    report: seen,
                });
            }
            Err(_) => pause((started.elapsed() / 20).clamp(PAUSES.0, PAUSES.1)),
        }
    }
}

/// Lets time pass, for what is measured over time.
#[allow(clippy::disallowed_methods, reason = "harness threads are plain threads")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_thing_seen_is_reported() {
        let mut looks = 0;
        let error = until(Patience(Duration::from_millis(120)), "never", || {
            looks += 1;
            Err::<(), _>(format!("look {looks}"))
        });
        let Err(HarnessError::Timeout { report, .. }) = error else { panic!("{error:?}") };
        assert_eq!(report, format!("look {looks}"));
        assert!(looks > 1);
    }
}

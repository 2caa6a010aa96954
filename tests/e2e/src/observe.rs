//! Looking at something for a while.

use std::time::{Duration, Instant};

use jaco_harness::{Patience, until};

use crate::Outcome;

/// Looks at `probe` again and again until `time` is over.
///
/// # Errors
/// The first error of `probe`.
pub fn observe(time: Duration, mut probe: impl FnMut() -> Outcome) -> Outcome {
    let started = Instant::now();
    let mut problem = None;
    let _ = until(Patience(time), "the time to be over", || {
        if let Err(error) = probe() {
            problem = Some(error);
            return Ok(());
        }
        if started.elapsed() >= time { Ok(()) } else { Err(String::new()) }
    });
    problem.map_or(Ok(()), Err)
}

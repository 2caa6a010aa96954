//! What scenarios stand on: built once, cleared before each.

use crate::Outcome;

/// Hosts and what is prepared on them, shared by scenarios one after the other.
pub trait Stage: Sized {
    /// Builds it.
    ///
    /// # Errors
    /// The machine refuses.
    fn build() -> Outcome<Self>;

    /// Clears it for this scenario.
    ///
    /// # Errors
    /// Something of the last one cannot be removed.
    fn begin(&mut self, scenario: &str) -> Outcome;

    /// Status and last log lines of every node.
    fn report(&self) -> String;

    /// Takes it away.
    ///
    /// # Errors
    /// Something is left.
    fn end(self) -> Outcome;
}

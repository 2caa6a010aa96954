//! How far the output of a replica was read.

use super::Timestamp;

/// The last line that was read of a replica. Times are whole milliseconds, and several lines may be
/// of one: so it is also counted how many of the last one were read. Reading on from there repeats
/// nothing and leaves nothing out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    /// Generation of the replica whose container wrote it.
    pub generation: u64,
    /// When it was written.
    pub at: Timestamp,
    /// How many lines of that moment were read.
    pub lines: u32,
}

impl LogPosition {
    /// The position after one more line.
    #[must_use]
    pub fn after(before: Option<Self>, generation: u64, at: Timestamp) -> Self {
        match before.filter(|b| b.generation == generation) {
            Some(before) if at == before.at => Self { lines: before.lines + 1, ..before },
            // Engines write lines of two outputs slightly out of order.
            Some(before) if at < before.at => before,
            _ => Self { generation, at, lines: 1 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_moment_are_counted_and_another_generation_begins_anew() {
        let first = LogPosition::after(None, 1, Timestamp(9));
        let second = LogPosition::after(Some(first), 1, Timestamp(9));
        assert_eq!(second, LogPosition { generation: 1, at: Timestamp(9), lines: 2 });
        assert_eq!(LogPosition::after(Some(second), 1, Timestamp(8)), second);
        let later = LogPosition::after(Some(second), 1, Timestamp(10));
        assert_eq!(later, LogPosition { generation: 1, at: Timestamp(10), lines: 1 });
        let anew = LogPosition::after(Some(later), 2, Timestamp(3));
        assert_eq!(anew, LogPosition { generation: 2, at: Timestamp(3), lines: 1 });
    }
}

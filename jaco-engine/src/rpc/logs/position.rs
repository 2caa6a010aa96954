//! Reading on where the output of a replica was read to. Pure.

use jaco_api::model::{LogPosition, Timestamp};

/// Tells lines that were read before from those that were not, in a stream that begins with the
/// moment of the position.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unread {
    at: Timestamp,
    left: u32,
}

impl Unread {
    pub(super) fn from(position: Option<LogPosition>) -> Self {
        position.map_or(Self { at: Timestamp(0), left: 0 }, |p| Self { at: p.at, left: p.lines })
    }
    /// Whether the next line, written at this time, was not read before.
    pub(super) fn wants(&mut self, at: Timestamp) -> bool {
        if at == self.at && self.left > 0 {
            self.left -= 1;
            return false;
        }
        at >= self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `cut` lines, then reads on from there.
    fn in_two_parts(times: &[u64], cut: usize) -> Vec<usize> {
        let mut position = None;
        let mut read: Vec<usize> = Vec::new();
        for (i, at) in times.iter().enumerate().take(cut) {
            position = Some(LogPosition::after(position, 1, Timestamp(*at)));
            read.push(i);
        }
        let since = position.map_or(Timestamp(0), |p| p.at);
        let mut unread = Unread::from(position);
        let again = times.iter().enumerate().filter(|(_, at)| Timestamp(**at) >= since);
        read.extend(again.filter(|(_, at)| unread.wants(Timestamp(**at))).map(|(i, _)| i));
        read
    }

    #[test]
    fn reading_on_repeats_nothing_and_leaves_nothing_out() {
        let times = [5, 5, 5, 6, 9, 9, 12];
        for cut in 0..=times.len() {
            assert_eq!(in_two_parts(&times, cut), (0..times.len()).collect::<Vec<_>>(), "at {cut}");
        }
    }
}

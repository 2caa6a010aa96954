//! What happened, in order: lines for people, a hash for comparing two runs of one seed.

use std::{
    collections::VecDeque,
    fmt::{self, Write as _},
    time::Duration,
};

/// Lines that are kept for the report of a failure.
const KEPT: usize = 60;

/// What happened so far.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    lines: u64,
    last: VecDeque<String>,
    /// Whether lines are printed as they come.
    prints: bool,
    line: String,
}

impl Trace {
    /// Nothing yet.
    #[must_use]
    pub fn new(prints: bool) -> Self {
        // The offset basis of FNV-1a.
        let hash = 0xcbf2_9ce4_8422_2325;
        Self { hash, lines: 0, last: VecDeque::new(), prints, line: String::new() }
    }

    /// Something happened at this time of the simulation. It must follow from the seed alone: nothing of
    /// keys, real time or addresses in memory.
    pub fn note(&mut self, at: Duration, what: fmt::Arguments<'_>) {
        self.line.clear();
        // Writing to a text does not fail.
        let _ = write!(self.line, "{:>9.3} {what}", at.as_secs_f64());
        for byte in self.line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.lines += 1;
        if self.prints {
            #[allow(clippy::print_stdout, reason = "that is what it was asked for")]
            {
                println!("{}", self.line);
            }
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(self.line.clone());
    }

    /// Equal for two runs in which the same happened.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }
    /// How much happened.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }
    /// The last lines.
    pub fn last(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }
}

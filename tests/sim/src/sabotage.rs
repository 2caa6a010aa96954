//! What is broken on purpose, to see that it is noticed.

use clap::ValueEnum;

/// A promise that is broken behind everybody's back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sabotage {
    /// Engines say that they have killed what a node without a lease must not run, and do not.
    DeafEngine,
    /// A replica's container appears on a second host.
    SecondOwner,
    /// Disks acknowledge what they then lose.
    ForgetfulDisks,
    /// A write that was acknowledged is said to have been another one.
    InventedWrite,
}

impl Sabotage {
    /// As it is written on a command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::DeafEngine => "deaf-engine",
            Self::SecondOwner => "second-owner",
            Self::ForgetfulDisks => "forgetful-disks",
            Self::InventedWrite => "invented-write",
        }
    }
}

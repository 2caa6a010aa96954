//! What a seed stands for: a cluster, what is done with it, and what happens to it. Pure.
//!
//! In: a seed. Out: a [`Scenario`], the same for the same seed whatever the cluster then does: events
//! name hosts and deployments by number, and what they come to is decided when they are carried out.

mod fault;
mod operation;

use std::{fmt, time::Duration};

pub use fault::Fault;
pub use operation::{Deployment, Image, Operation, Recipe};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

/// A cluster, and what happens to it.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What it follows from.
    pub seed: u64,
    /// Hosts whose nodes are members at first.
    pub members: usize,
    /// All hosts.
    pub hosts: usize,
    /// Entries between two snapshots, and entries that stay in the log.
    pub snapshots: (u64, u64),
    /// Shortest and longest time a message is under way when all is well.
    pub delay: (Duration, Duration),
    /// How long things go on.
    pub length: Duration,
    /// In order of their time.
    pub events: Vec<(Duration, Event)>,
}

/// Something that is done or happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Somebody does it, through the node of a host.
    Operate(Operation, usize),
    /// It happens.
    Strike(Fault),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operate(operation, through) => write!(f, "{operation:?} through {through}"),
            Self::Strike(fault) => write!(f, "{fault:?}"),
        }
    }
}

impl Scenario {
    /// The scenario of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let members = dice.random_range(1..=7);
        let hosts = (members + dice.random_range(0..=2)).min(8);
        let slow = dice.random_range(1..=20);
        let length = Duration::from_secs(dice.random_range(40..=120));
        // Some seeds are about work, some about trouble.
        let (work, trouble) = (dice.random_range(500..=4_000), dice.random_range(1_500..=12_000));
        let every = dice.random_range(20..=400);
        let mut events = Vec::new();
        let mut at = Duration::ZERO;
        while at < length {
            let operation = Operation::draw(&mut dice, hosts);
            events.push((at, Event::Operate(operation, dice.random_range(0..hosts))));
            at += Duration::from_millis(dice.random_range(work / 4..=work * 2));
        }
        let mut at = Duration::from_secs(dice.random_range(2..=10));
        while at < length {
            events.push((at, Event::Strike(Fault::draw(&mut dice, hosts))));
            at += Duration::from_millis(dice.random_range(trouble / 4..=trouble * 2));
        }
        events.extend(timed(seed, hosts, length));
        events.sort_by_key(|(at, _)| *at);
        Self {
            seed,
            members,
            hosts,
            snapshots: (every, every / 4),
            delay: (Duration::from_micros(200), Duration::from_millis(slow)),
            length,
            events,
        }
    }
}

/// What is done with the deployment that runs at times, in every other seed. Its dice are its own, so
/// that it changes nothing of what else a seed stands for.
fn timed(seed: u64, hosts: usize, length: Duration) -> Vec<(Duration, Event)> {
    let mut dice = StdRng::seed_from_u64(!seed);
    let mut events = Vec::new();
    if !dice.random_bool(0.5) {
        return events;
    }
    let first = Operation::Apply(Deployment::Timed, Recipe::good(1, 1));
    let mut at = Duration::from_secs(dice.random_range(1..=10));
    events.push((at, Event::Operate(first, dice.random_range(0..hosts))));
    loop {
        at += span(&mut dice, 3_000, 40_000);
        if at >= length {
            return events;
        }
        let operation = Operation::draw_timed(&mut dice);
        events.push((at, Event::Operate(operation, dice.random_range(0..hosts))));
    }
}

/// One of several, by weight.
fn weighted<T: Copy>(dice: &mut StdRng, choices: &[(u32, T)]) -> T {
    let mut drawn = dice.random_range(0..choices.iter().map(|(weight, _)| weight).sum());
    for (weight, choice) in choices {
        match drawn.checked_sub(*weight) {
            Some(left) => drawn = left,
            None => return *choice,
        }
    }
    choices[0].1
}

/// A time within bounds, in milliseconds.
fn span(dice: &mut StdRng, least: u64, most: u64) -> Duration {
    Duration::from_millis(dice.random_range(least..=most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_follows_from_its_seed_alone() {
        let (one, other) = (Scenario::of(3), Scenario::of(4));
        assert_eq!(format!("{one:?}"), format!("{:?}", Scenario::of(3)));
        assert_ne!(format!("{:?}", one.events), format!("{:?}", other.events));
        assert!(one.events.is_sorted_by_key(|(at, _)| *at));
    }

    #[test]
    fn every_size_operation_and_fault_is_drawn_by_some_seed() {
        let (mut sizes, mut kinds) =
            (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        for seed in 0..200 {
            let scenario = Scenario::of(seed);
            sizes.insert(scenario.members);
            for (_, event) in &scenario.events {
                let text = event.to_string();
                let word = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
                kinds.insert(word.to_owned());
            }
        }
        assert_eq!(sizes.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(kinds.len(), Operation::KINDS + Fault::KINDS, "{kinds:?}");
    }
}

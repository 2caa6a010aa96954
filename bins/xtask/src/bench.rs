//! `bench`: kernels of the code under the stop-watch, and JACO beside its peers.

use std::time::Duration;

use clap::Subcommand;
use jaco_bench::{Contender, Jaco, Swarm, Times, median, race};
use jaco_harness::{Rig, RigOptions};

use crate::{
    build,
    error::{Result, TaskError},
    machine::{cargo, is_root, run},
    rig::load_images,
    say, setup,
};

const REPLICAS: usize = 30;
const HOSTS: u8 = 3;

#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Kernels of the code
    Code {
        /// Passed on to the benchmarks
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Thirty replicas on three hosts, then on two: JACO and Docker Swarm on one rig, in turn
    Swarm {
        /// How often; the median counts
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
        rounds: u8,
    },
}

impl Bench {
    pub(crate) fn run(&self) -> Result<()> {
        match self {
            Self::Code { arguments } => code(arguments),
            Self::Swarm { rounds } => swarm(*rounds),
        }
    }
}

fn code(arguments: &[String]) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run(&mut cargo(
        &[&["bench", "-p", "jaco-api", "-p", "jaco-engine", "--benches", "--"][..], &arguments]
            .concat(),
    ))
}

fn swarm(rounds: u8) -> Result<()> {
    if !is_root() {
        return Err(TaskError::NotRoot { what: "the comparison" });
    }
    setup::install()?;
    let (_, binaries) = build::binaries()?;
    let rig = Rig::up(&RigOptions { hosts: HOSTS, ..RigOptions::default() })?;
    load_images(&rig, &binaries)?;
    let (mut jaco, mut swarm) = (Jaco::of(binaries), Swarm::default());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        say::step(&format!("Round {round} of {rounds}"));
        // In turn, so that whatever else the machine does meets both.
        ours.push(timed(&mut jaco, &rig)?);
        theirs.push(timed(&mut swarm, &rig)?);
    }
    drop(jaco);
    rig.down()?;
    say::step("Medians");
    compare("30 replicas start", &ours, &theirs, |times| times.start);
    compare("30 run again on 2 of 3 hosts", &ours, &theirs, |times| times.recovery);
    Ok(())
}

/// Prints the medians of one part of the race, and what one is in parts of the other.
fn compare(what: &str, ours: &[Times], theirs: &[Times], part: fn(&Times) -> Duration) {
    let middle = |times: &[Times]| median(times.iter().map(part).collect()).as_secs_f64();
    let (jaco, swarm) = (middle(ours), middle(theirs));
    let ratio = jaco / swarm;
    say::data(&format!("{what}: JACO {jaco:.1} s, Docker Swarm {swarm:.1} s, ratio {ratio:.2}"));
}

fn timed(contender: &mut dyn Contender, rig: &Rig) -> Result<Times> {
    let times = race(contender, rig, REPLICAS)?;
    let (start, recovery) = (times.start.as_secs_f64(), times.recovery.as_secs_f64());
    say::note(&format!(
        "{}: start {start:.1} s, again after the loss of a host {recovery:.1} s",
        contender.name()
    ));
    Ok(times)
}

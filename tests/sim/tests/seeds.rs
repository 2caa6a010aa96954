//! Seeds that are run every time, and promises that are broken on purpose.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{ops::RangeInclusive, path::Path};

use jaco_sim::{
    runner::{Plan, run_all, run_one},
    sabotage::Sabotage,
};

/// Seeds that found something once: a member removed before the leader reached it; data keys of two
/// attempts under one number.
const FOUND_SOMETHING: [u64; 3] = [100, 362, 835];

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_jaco-sim"))
}

/// What a run said at its end: which promise broke how, and the hash of all that had happened.
fn verdict(output: &str) -> Vec<&str> {
    let ends = |line: &&str| line.starts_with("seed ") || line.starts_with("trace ");
    output.lines().filter(ends).collect()
}

/// Runs seeds until one breaks a promise, and says which one that was.
fn caught(sabotage: Sabotage, seeds: RangeInclusive<u64>) -> (u64, String) {
    for seed in seeds.clone() {
        let ran = run_one(program(), seed, Some(sabotage)).unwrap();
        if !ran.ok {
            return (seed, ran.output);
        }
    }
    panic!("no seed of {seeds:?} noticed {sabotage:?}");
}

/// The sabotage breaks this promise and no other, and the seed shows it again, the same to the letter.
fn breaks(sabotage: Sabotage, seeds: RangeInclusive<u64>, promise: &str) {
    let (seed, output) = caught(sabotage, seeds);
    assert!(output.contains(&format!("BROKEN {promise}")), "{output}");
    let again = run_one(program(), seed, Some(sabotage)).unwrap();
    assert_eq!(verdict(&again.output), verdict(&output), "seed {seed} replays");
    assert!(run_one(program(), seed, None).unwrap().ok, "seed {seed} holds without it");
}

#[test]
fn the_first_seeds_hold() {
    let plan = Plan {
        program: program().to_owned(),
        first: 1,
        count: Some(8),
        time: None,
        jobs: 2,
        keep_going: true,
        sabotage: None,
    };
    let summary = run_all(&plan, |_| ()).unwrap();
    assert_eq!(summary.ran, 8);
    assert!(summary.failed.is_empty(), "{:#?}", summary.failed);
}

#[test]
fn seeds_that_found_something_hold() {
    for seed in FOUND_SOMETHING {
        let ran = run_one(program(), seed, None).unwrap();
        assert!(ran.ok, "{}", ran.output);
    }
}

#[test]
fn a_second_owner_is_noticed() {
    breaks(Sabotage::SecondOwner, 1..=20, "one owner per replica slot and generation");
}

#[test]
fn disks_that_forget_are_noticed() {
    breaks(Sabotage::ForgetfulDisks, 1..=20, "state equal on all nodes at equal index");
}

#[test]
fn a_write_that_never_was_is_noticed() {
    breaks(Sabotage::InventedWrite, 1..=20, "acknowledged writes survive");
}

#[test]
fn an_engine_that_does_not_kill_is_noticed() {
    // Few seeds cut off the very node that runs the singleton for longer than its lease: these begin
    // shortly before one that does.
    breaks(Sabotage::DeafEngine, 84..=200, "a fenced singleton never runs twice");
}

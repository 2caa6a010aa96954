//! The promises of JACO on a real engine. Run by `cargo xtask test`; names on the command line select.
#![allow(clippy::unwrap_used, reason = "a panic is how a scenario fails")]

mod harness;

use std::process::ExitCode;

use jaco_e2e::Scenario;

macro_rules! scenarios {
    ($($module:ident::$name:ident),* $(,)?) => {
        &[$(Scenario { name: stringify!($name), run: $module::$name }),*]
    };
}

const SCENARIOS: &[Scenario] = scenarios![harness::the_rig_runs_containers,];

fn main() -> ExitCode {
    jaco_e2e::main(SCENARIOS)
}

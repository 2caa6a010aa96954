//! Running scenarios one after the other over one rig.

use std::{
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::Instant,
};

use crate::{Bench, Outcome};

/// One promise, or a few that belong together.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Its name, as the command line selects it.
    pub name: &'static str,
    /// What it does.
    pub run: fn(&mut Bench) -> Outcome,
}

/// Runs the scenarios whose name holds one of the arguments, or all of them.
///
/// Understands `--list` and ignores other flags, as test harnesses are called with.
pub fn main(scenarios: &[Scenario]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let wanted = |s: &&Scenario| filters.is_empty() || filters.iter().any(|f| s.name.contains(*f));
    let chosen: Vec<&Scenario> = scenarios.iter().filter(wanted).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        chosen.iter().for_each(|scenario| say(&format!("{}: test", scenario.name)));
        return ExitCode::SUCCESS;
    }
    if std::env::var_os("JACO_BIN_DIR").is_none() {
        say(
            "SKIPPED every rig scenario: JACO_BIN_DIR is not set; run them with `cargo xtask test`",
        );
        return ExitCode::SUCCESS;
    }
    let mut bench = match Bench::build() {
        Ok(bench) => bench,
        Err(error) => {
            say(&format!("the rig could not be built: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let failed: Vec<&str> =
        chosen.iter().filter(|s| !passes(&mut bench, s)).map(|s| s.name).collect();
    let ended = bench.end();
    if let Err(error) = &ended {
        say(&format!("the rig could not be taken down: {error}"));
    }
    say(&format!("\n{} scenarios, {} failed {}", chosen.len(), failed.len(), failed.join(", ")));
    if failed.is_empty() && ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn passes(bench: &mut Bench, scenario: &Scenario) -> bool {
    say(&format!("scenario {} …", scenario.name));
    let started = Instant::now();
    let outcome = bench.begin(scenario.name).and_then(|()| {
        catch_unwind(AssertUnwindSafe(|| (scenario.run)(bench)))
            .unwrap_or_else(|_| Err("it panicked; the message is above".into()))
    });
    let seconds = started.elapsed().as_secs_f32();
    match outcome {
        Ok(()) => {
            say(&format!("scenario {} ok ({seconds:.1} s)", scenario.name));
            true
        }
        Err(error) => {
            say(&format!("scenario {} FAILED ({seconds:.1} s): {error}", scenario.name));
            causes(error.as_ref());
            say(&bench.report());
            false
        }
    }
}

fn causes(error: &dyn std::error::Error) {
    let mut cause = error.source();
    while let Some(error) = cause {
        say(&format!("  because: {error}"));
        cause = error.source();
    }
}

pub(crate) fn say(line: &str) {
    // A closed terminal is no reason to fail.
    let _ = writeln!(std::io::stderr(), "{line}");
}

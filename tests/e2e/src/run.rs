//! Running scenarios over what they share: those of one stage one after the other, both stages at once.

use std::{
    error::Error,
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    thread,
    time::Instant,
};

use jaco_harness::HarnessError;

use crate::{Bench, Fleet, Outcome, Stage};

/// One promise, or a few that belong together.
#[derive(Debug)]
pub struct Scenario<S> {
    /// Its name, as the command line selects it.
    pub name: &'static str,
    /// What it does.
    pub run: fn(&mut S) -> Outcome,
}

/// Runs the scenarios that measure the machine alone, then those of one host and those of many at the same
/// time: each mostly waits. Of all of them those whose name holds one of the arguments, or all.
///
/// Understands `--list` and ignores other flags, as test harnesses are called with.
pub fn main(
    measured: &[Scenario<Bench>],
    one_host: &[Scenario<Bench>],
    many_hosts: &[Scenario<Fleet>],
) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|f| name.contains(*f));
    let measured: Vec<_> = measured.iter().filter(|s| wanted(s.name)).collect();
    let one_host: Vec<_> = one_host.iter().filter(|s| wanted(s.name)).collect();
    let many_hosts: Vec<_> = many_hosts.iter().filter(|s| wanted(s.name)).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        let names = measured.iter().chain(&one_host).map(|s| s.name);
        names
            .chain(many_hosts.iter().map(|s| s.name))
            .for_each(|name| say(&format!("{name}: test")));
        return ExitCode::SUCCESS;
    }
    if std::env::var_os("JACO_BIN_DIR").is_none() {
        say(
            "SKIPPED every rig scenario: JACO_BIN_DIR is not set; run them with `cargo xtask test`",
        );
        return ExitCode::SUCCESS;
    }
    let mut failed = group(&measured);
    let others = thread::scope(|scope| {
        let one = scope.spawn(|| group(&one_host));
        let many = group(&many_hosts);
        [one.join().unwrap_or_else(|_| vec!["the stage of one host"]), many].concat()
    });
    failed.extend(others);
    let count = measured.len() + one_host.len() + many_hosts.len();
    say(&format!("\n{count} scenarios, {} failed {}", failed.len(), failed.join(", ")));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the scenarios of one stage and names what failed.
fn group<S: Stage>(scenarios: &[&Scenario<S>]) -> Vec<&'static str> {
    if scenarios.is_empty() {
        return Vec::new();
    }
    let mut stage = match S::build() {
        Ok(stage) => stage,
        Err(error) => {
            failure("the rig could not be built", error.as_ref());
            return vec!["building the rig"];
        }
    };
    let mut failed: Vec<&str> =
        scenarios.iter().filter(|s| !passes(&mut stage, s)).map(|s| s.name).collect();
    if let Err(error) = stage.end() {
        failure("the rig could not be taken down", error.as_ref());
        failed.push("taking down the rig");
    }
    failed
}

fn passes<S: Stage>(stage: &mut S, scenario: &Scenario<S>) -> bool {
    say(&format!("scenario {} …", scenario.name));
    let started = Instant::now();
    let outcome = stage.begin(scenario.name).and_then(|()| {
        catch_unwind(AssertUnwindSafe(|| (scenario.run)(stage)))
            .unwrap_or_else(|_| Err("it panicked; the message is above".into()))
    });
    let seconds = started.elapsed().as_secs_f32();
    match outcome {
        Ok(()) => {
            say(&format!("scenario {} ok ({seconds:.1} s)", scenario.name));
            true
        }
        Err(error) => {
            let name = scenario.name;
            failure(&format!("scenario {name} FAILED ({seconds:.1} s)"), error.as_ref());
            // Waits on a cluster have reported at the moment they ran out.
            if !matches!(error.downcast_ref(), Some(HarnessError::Cluster { .. })) {
                say(&stage.report());
            }
            false
        }
    }
}

fn failure(what: &str, error: &dyn Error) {
    say(&format!("{what}: {error}"));
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

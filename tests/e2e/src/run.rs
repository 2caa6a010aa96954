//! Running scenarios over what they share: those of one stage one after the other, stages that mostly wait at once.

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

/// All that a rig has to show.
#[derive(Debug)]
pub struct Scenarios<'a> {
    /// Those of one host that measure, and have the machine for themselves.
    pub measured_on_one: &'a [Scenario<Bench>],
    /// Those of many hosts that measure.
    pub measured_on_many: &'a [Scenario<Fleet>],
    /// Those of one host that mostly wait.
    pub one_host: &'a [Scenario<Bench>],
    /// Those of many hosts that mostly wait.
    pub many_hosts: &'a [Scenario<Fleet>],
}

/// Runs the scenarios that measure, then those of one host and those of many at the same time. Of all of
/// them those whose name holds one of the arguments, or all.
///
/// Understands `--list` and ignores other flags, as test harnesses are called with.
pub fn main(all: &Scenarios<'_>) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let measured_on_one = wanted(all.measured_on_one, &filters);
    let measured_on_many = wanted(all.measured_on_many, &filters);
    let one_host = wanted(all.one_host, &filters);
    let many_hosts = wanted(all.many_hosts, &filters);
    let names: Vec<&str> = [names(&measured_on_one), names(&measured_on_many)]
        .into_iter()
        .chain([names(&one_host), names(&many_hosts)])
        .flatten()
        .collect();
    if arguments.iter().any(|argument| argument == "--list") {
        names.iter().for_each(|name| say(&format!("{name}: test")));
        return ExitCode::SUCCESS;
    }
    if std::env::var_os("JACO_BIN_DIR").is_none() {
        say(
            "SKIPPED every rig scenario: JACO_BIN_DIR is not set; run them with `cargo xtask test`",
        );
        return ExitCode::SUCCESS;
    }
    let mut failed = group(&measured_on_one);
    failed.extend(group(&measured_on_many));
    failed.extend(thread::scope(|scope| {
        let one = scope.spawn(|| group(&one_host));
        let many = group(&many_hosts);
        [one.join().unwrap_or_else(|_| vec!["the stage of one host"]), many].concat()
    }));
    say(&format!("\n{} scenarios, {} failed {}", names.len(), failed.len(), failed.join(", ")));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn wanted<'a, S>(scenarios: &'a [Scenario<S>], filters: &[&String]) -> Vec<&'a Scenario<S>> {
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|f| name.contains(*f));
    scenarios.iter().filter(|s| wanted(s.name)).collect()
}

fn names<S>(scenarios: &[&Scenario<S>]) -> Vec<&'static str> {
    scenarios.iter().map(|s| s.name).collect()
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

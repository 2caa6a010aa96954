//! `fuzz`: every reader against bytes that a fuzzer makes up.
//!
//! The rules are in `tests/fuzz`, the programs and seeds in `fuzz`. Inputs that a run finds of interest
//! stay in the build directory, for the next one. An input that breaks a rule belongs into the corpus,
//! where every build replays it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Instant,
};

use clap::Args;

use crate::{
    error::{Result, TaskError},
    machine::{cargo_home_has, has, run, target, workspace},
    say,
};

/// The toolchain whose compiler can count where a program has been.
const TOOLCHAIN: &str = "nightly";

#[derive(Args)]
pub(crate) struct Fuzz {
    /// The targets; all of them when none is named
    targets: Vec<String>,
    /// How long each of them runs
    #[arg(long, default_value_t = 3.0, value_name = "MINUTES")]
    minutes: f64,
}

/// What came of one target.
struct Run {
    target: String,
    units: u64,
    seconds: u64,
    /// The end of what the fuzzer said, when it found something.
    crash: Option<String>,
}

impl Fuzz {
    pub(crate) fn run(&self) -> Result<()> {
        if !has("cargo-fuzz") && !cargo_home_has("cargo-fuzz") {
            return Err(TaskError::NoFuzzer);
        }
        say::step("Building the targets");
        // The versions that are tested are those of the workspace.
        copy(&workspace().join("Cargo.lock"), &workspace().join("fuzz/Cargo.lock"))?;
        run(&mut fuzz("build", &[]))?;
        let targets = if self.targets.is_empty() { all()? } else { self.targets.clone() };
        let runs = targets.iter().map(|target| self.one(target)).collect::<Result<Vec<_>>>()?;
        summary(&runs)
    }

    fn one(&self, target: &str) -> Result<Run> {
        say::step(&format!("{target}: {} minutes", self.minutes));
        let (found, crashes) = (grown("corpus", target)?, grown("crashes", target)?);
        let seeds = workspace().join("fuzz/corpus").join(target);
        let seconds = self.minutes * 60.0;
        let mut command = fuzz("run", &[target]);
        command.args([&found, &seeds]).args([
            "--".to_owned(),
            "-rss_limit_mb=512".to_owned(),
            "-timeout=10".to_owned(),
            "-max_len=16384".to_owned(),
            "-print_final_stats=1".to_owned(),
            format!("-max_total_time={seconds:.0}"),
            format!("-dict={}", workspace().join("fuzz/manifest.dict").display()),
            format!("-artifact_prefix={}/", crashes.display()),
        ]);
        let started = Instant::now();
        let output = command
            .stdin(Stdio::null())
            .output()
            .map_err(|source| TaskError::Start { program: "cargo fuzz".to_owned(), source })?;
        let seconds = started.elapsed().as_secs();
        let run = Run::of(target, &output, seconds);
        if let Some(crash) = &run.crash {
            say::loud(crash);
        }
        Ok(run)
    }
}

impl Run {
    fn of(target: &str, output: &Output, seconds: u64) -> Self {
        let said = String::from_utf8_lossy(&output.stderr);
        let units = said.lines().find_map(|l| l.strip_prefix("stat::number_of_executed_units:"));
        // From the broken rule on, without the progress before it.
        let rule = said.find("\nthread ").or_else(|| said.find("\n==")).unwrap_or(0);
        let end: Vec<&str> = said[rule..].lines().take(30).collect();
        Self {
            target: target.to_owned(),
            units: units.and_then(|n| n.trim().parse().ok()).unwrap_or(0),
            seconds,
            crash: (!output.status.success()).then(|| end.join("\n")),
        }
    }
}

/// `cargo fuzz <verb>` without a sanitizer: there is no unsafe code of our own to look after, and it is
/// several times as fast.
fn fuzz(verb: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", TOOLCHAIN, "cargo", "fuzz", verb, "--sanitizer", "none", "--target-dir"]);
    command.arg(target().join("fuzz")).args(arguments).current_dir(workspace());
    for name in ["CARGO", "CARGO_TARGET_DIR", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(name);
    }
    command
}

/// The names of all targets: each has a directory of seeds.
fn all() -> Result<Vec<String>> {
    let corpus = workspace().join("fuzz/corpus");
    let file =
        |source| TaskError::File { operation: "list", path: corpus.display().to_string(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(&corpus).map_err(file)? {
        names.push(entry.map_err(file)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// A directory of a target that grows from run to run.
fn grown(what: &str, name: &str) -> Result<PathBuf> {
    let directory = target().join("fuzz").join(what).join(name);
    let path = directory.display().to_string();
    fs::create_dir_all(&directory).map_err(|source| TaskError::File {
        operation: "create",
        path,
        source,
    })?;
    Ok(directory)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let path = from.display().to_string();
    let copied = fs::copy(from, to);
    copied.map(drop).map_err(|source| TaskError::File { operation: "copy", path, source })
}

fn summary(runs: &[Run]) -> Result<()> {
    say::step("Summary");
    for run in runs {
        let (crashes, name) = (u8::from(run.crash.is_some()), &run.target);
        let (units, seconds) = (run.units, run.seconds);
        say::data(&format!("{name:<14} {units:>10} runs  {seconds:>5} s  {crashes} crashes"));
    }
    let broken: Vec<&str> =
        runs.iter().filter(|r| r.crash.is_some()).map(|r| r.target.as_str()).collect();
    if broken.is_empty() {
        return Ok(());
    }
    let directory = target().join("fuzz/crashes");
    Err(TaskError::Check {
        what: format!(
            "{} broke a rule; the inputs are in {}",
            broken.join(", "),
            directory.display()
        ),
    })
}

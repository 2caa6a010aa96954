//! `cargo run -p jaco-sim -- --seed N | --seeds A..B | --minutes M`.

use std::{io::Write as _, process::ExitCode, time::Duration};

use clap::Parser;
use jaco_sim::{
    Options, entropy,
    runner::{Plan, Ran, run_all},
    sabotage::Sabotage,
};

/// Runs simulated clusters from seeds, and says which promise broke.
#[derive(Parser)]
#[command(name = "jaco-sim")]
struct Arguments {
    /// Runs this seed, in this process
    #[arg(long, conflicts_with_all = ["seeds", "minutes"])]
    seed: Option<u64>,
    /// Runs these seeds: `A..B`, without B
    #[arg(long, value_parser = range, conflicts_with = "minutes")]
    seeds: Option<std::ops::Range<u64>>,
    /// Runs fresh seeds for so many minutes
    #[arg(long)]
    minutes: Option<f64>,
    /// First of the fresh seeds; drawn, and said, when it is not given
    #[arg(long, requires = "minutes")]
    base: Option<u64>,
    /// So many seeds at a time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Goes on after a failure
    #[arg(long)]
    keep_going: bool,
    /// Prints everything that happens; with --seed
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Shows the log of the nodes, filtered as by RUST_LOG; with --seed
    #[arg(long, requires = "seed")]
    log: Option<String>,
    /// Breaks something on purpose
    #[arg(long, value_enum)]
    sabotage: Option<Sabotage>,
}

fn range(text: &str) -> Result<std::ops::Range<u64>, String> {
    let parse = |part: &str| part.parse::<u64>().map_err(|e| format!("{part:?}: {e}"));
    let (from, to) = text.split_once("..").ok_or("a range is written A..B")?;
    Ok(parse(from)?..parse(to)?)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => one(seed, &arguments),
        None => many(&arguments),
    }
}

/// A replay: on a thread that has drawn nothing yet.
fn one(seed: u64, arguments: &Arguments) -> ExitCode {
    if let Some(filter) = &arguments.log {
        let filter = tracing_subscriber::EnvFilter::new(filter);
        tracing_subscriber::fmt().with_env_filter(filter).without_time().init();
    }
    entropy::take_over(seed);
    let options = Options { seed, trace: arguments.trace, sabotage: arguments.sabotage };
    let run = std::thread::Builder::new().name("simulation".to_owned()).stack_size(8 << 20);
    let run = run.spawn(move || jaco_sim::run(options)).map(std::thread::JoinHandle::join);
    let report = match run {
        Ok(Ok(Ok(report))) => report,
        Ok(Ok(Err(error))) => {
            say(&format!("seed {seed}: the run broke: {error:?}"));
            return ExitCode::FAILURE;
        }
        Ok(Err(_)) | Err(_) => {
            say(&format!("seed {seed}: a part of the cluster panicked"));
            return ExitCode::FAILURE;
        }
    };
    let (hash, lines) = (report.trace.hash(), report.trace.lines());
    let (ended, took) = (report.ended.as_secs_f64(), report.converged.as_secs_f64());
    match report.violation {
        None => {
            say(&format!(
                "seed {seed}: ok, {} entries, {ended:.1} s, converged in {took:.1} s, \
                 trace {hash:016x} of {lines}",
                report.entries
            ));
            ExitCode::SUCCESS
        }
        Some(violation) => {
            if !arguments.trace {
                report.trace.last().for_each(say);
            }
            say(&format!(
                "seed {seed}: BROKEN {}: {}\ntrace {hash:016x} of {lines}\n\
                 again: cargo run -p jaco-sim -- --seed {seed} --trace",
                violation.invariant, violation.what
            ));
            ExitCode::FAILURE
        }
    }
}

fn many(arguments: &Arguments) -> ExitCode {
    let drawn = || rand::random::<u32>().into();
    let base = arguments.base.unwrap_or_else(drawn);
    let (first, count) = match &arguments.seeds {
        Some(seeds) => (seeds.start, Some(seeds.end.saturating_sub(seeds.start))),
        None => (base, None),
    };
    let minutes = arguments.minutes.or(arguments.seeds.is_none().then_some(1.0));
    if minutes.is_some() {
        say(&format!("fresh seeds from {base}; again: --minutes … --base {base}"));
    }
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            say(&format!("no run could be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let plan = Plan {
        program,
        first,
        count,
        time: minutes.map(|m| Duration::from_secs_f64(m * 60.0)),
        jobs: arguments.jobs,
        keep_going: arguments.keep_going,
        sabotage: arguments.sabotage,
    };
    let began = std::time::Instant::now();
    let told = |ran: &Ran| say(ran.output.trim_end());
    match run_all(&plan, told) {
        Ok(summary) => {
            let (ran, failed) = (summary.ran, summary.failed.len());
            let took = began.elapsed().as_secs_f64();
            say(&format!("{ran} seeds in {took:.1} s, {failed} failed"));
            for ran in &summary.failed {
                say(&format!("failed: cargo run -p jaco-sim -- --seed {} --trace", ran.seed));
            }
            if failed == 0 && ran > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            say(&format!("no run could be started: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    // Whoever listened may be gone.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

//! The JACO daemon: a configuration becomes a [`jaco_engine::Node`], signals end it.

mod config;
mod daemon;
mod detect;
mod ingress;
mod logging;
mod systemd;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

/// Requests allocate where they are answered, and many of them at once: glibc takes more than twice the instructions for
/// that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs a node of a JACO cluster.
#[derive(Debug, Parser)]
#[command(name = "jacod", version, about)]
struct Arguments {
    /// Configuration file [default: /etc/jaco/jacod.yaml, which may be missing]
    #[arg(long, value_name = "FILE", env = "JACO_CONFIG")]
    config: Option<PathBuf>,
    /// Check the configuration file and exit
    #[arg(long)]
    check_config: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (path, named) = match arguments.config {
        Some(path) => (path, true),
        None => (PathBuf::from(config::DEFAULT_PATH), false),
    };
    let config = match config::load(&path, named) {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    if arguments.check_config {
        return ExitCode::SUCCESS;
    }
    match daemon::run(config, path, named) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// The error with its causes, on one line of standard error: the journal keeps it too.
fn fail(error: &dyn std::error::Error) -> ExitCode {
    let mut text = format!("Error: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    eprintln!("{text}");
    ExitCode::FAILURE
}

//! The command line of JACO: parse flags, make one call of the SDK, render the answer.
//!
//! Data goes to standard output, everything said about it to standard error. Every command is one
//! file with a `run` that takes the client and an [`Output`], so tests inject both.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod cli;
pub mod commands;
pub mod dial;
pub mod error;
pub mod files;
pub mod output;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::{
    cli::{Cli, Command},
    dial::Environment,
    error::Error,
    output::Output,
};

/// The whole program: reads the process's arguments and environment, ends with its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let env = Environment::of_process();
    let completer = clap_complete::CompleteEnv::with_factory(Cli::command);
    match completer.try_complete(std::env::args_os(), std::env::current_dir().ok().as_deref()) {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(e) => return usage(&e),
    }
    let cli = match Cli::command()
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches))
    {
        Ok(cli) => cli,
        Err(e) => return usage(&e),
    };
    let mut out = Output::of_process(&cli.global, &env);
    output::log::start(&cli.global, &env);
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => runtime,
            Err(e) => return out.fail(&Error::Runtime(e)),
        };
    let result = runtime.block_on(run(cli, &env, &mut out));
    // A lookup or a read of standard input may still block a thread: it must not hold up the end.
    runtime.shutdown_background();
    match result.and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => out.fail(&e),
    }
}

fn usage(error: &clap::Error) -> ExitCode {
    // Nothing can be said when the terminal is gone.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// One command.
///
/// # Errors
/// Whatever made it fail; [`Output::fail`] renders it and knows its exit code.
pub async fn run(cli: Cli, env: &Environment, out: &mut Output) -> Result<(), Error> {
    let Cli { global, command } = cli;
    match command {
        Command::Validate(args) => commands::local::validate::run(&args, out),
        Command::Context(command) => commands::local::context::run(command, &global, env, out),
        Command::Completion(args) => commands::local::completion::run(&args, out),
        Command::Man(args) => commands::local::man::run(&args, out),
        Command::HelpMarkdown => commands::local::markdown::run(out),
        Command::Version => commands::local::version::run(out),
        Command::Backup(_) => Err(Error::NotInRelease { what: "jaco backup" }),
        Command::Restore(_) => Err(Error::NotInRelease { what: "jaco restore" }),
        Command::SelfUpgrade(_) => Err(Error::NotInRelease { what: "jaco self-upgrade" }),
        other => {
            let manner = dial::resolve(&global, env)?;
            let client = dial::connect(manner, &global, &other, out).await?;
            commands::run(other, &global, &client, out).await
        }
    }
}

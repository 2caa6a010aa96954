//! The services of the shop example stack: one static binary, one subcommand per service.
//!
//! Each service stops at once on SIGTERM, says what it does on standard output and takes everything
//! it needs from its environment.

mod api;
mod db;
mod healthy;
mod http;
mod store;
mod web;
mod worker;

use std::{env, io, process::ExitCode};

use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str =
    "usage: shop-app web | api | worker | db | healthy <http://host:port/path | host:port>";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    match runtime.block_on(run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

async fn run(arguments: &[String]) -> io::Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        ["web"] => until_stopped(web::serve()).await,
        ["api"] => until_stopped(api::serve()).await,
        ["worker"] => until_stopped(worker::work()).await,
        ["db"] => until_stopped(db::serve()).await,
        ["healthy", target] => healthy::check(target).await,
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, USAGE)),
    }
}

/// Runs `service` until it fails or the engine asks the container to stop.
async fn until_stopped(service: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = service => result,
        _ = terminate.recv() => {
            say("stopping");
            Ok(())
        }
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// One line of a service's log.
fn say(line: impl std::fmt::Display) {
    use std::io::Write;
    // A closed standard output is no reason to stop serving.
    let _ = writeln!(io::stdout(), "{line}");
}

fn failed(error: &io::Error) -> ExitCode {
    use std::io::Write;
    let _ = writeln!(io::stderr(), "shop-app: {error}");
    ExitCode::FAILURE
}

/// A setting from the environment.
fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

//! `jaco version`.

use serde::Serialize;

use crate::{error::Error, output::Output};

#[derive(Serialize)]
struct Version {
    version: &'static str,
}

/// Prints the version of this program.
///
/// # Errors
/// When standard output is gone.
pub fn run(out: &mut Output) -> Result<(), Error> {
    let version = env!("CARGO_PKG_VERSION");
    out.result(&Version { version }, |out| out.line(&format!("jaco {version}")))
}

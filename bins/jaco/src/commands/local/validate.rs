//! `jaco validate`: the daemon's own check, without a cluster.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use jaco_api::manifest::Diagnostic;
use serde::Serialize;

use crate::{cli::Format, error::Error, files, output::Output};

/// Arguments of `jaco validate`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// The manifest.
    #[arg(long, value_name = "PATH", default_value = "jaco.yaml", value_hint = ValueHint::FilePath)]
    pub jaco: PathBuf,
    /// The compose file; the one beside the manifest when not given.
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub compose: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report {
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment: Option<String>,
    diagnostics: Vec<Diagnostic>,
}

/// Checks both files and shows every problem of both.
///
/// # Errors
/// When there is at least one.
pub fn run(args: &ValidateArgs, out: &mut Output) -> Result<(), Error> {
    let pair = files::Pair::read(Path::new(&args.jaco), args.compose.as_deref())?;
    match pair.resolve() {
        Ok(resolved) => {
            let name = resolved.document.deployment.to_string();
            if out.format == Format::Table {
                out.warnings(&resolved.warnings);
            }
            let report = Report {
                valid: true,
                deployment: Some(name.clone()),
                diagnostics: resolved.warnings,
            };
            out.result(&report, |out| out.line(&format!("{name} is valid")))
        }
        Err(Error::Manifest(diagnostics)) => {
            let report = Report { valid: false, deployment: None, diagnostics };
            if out.format != Format::Table {
                out.result(&report, |_| Ok(()))?;
                out.flush()?;
            }
            Err(Error::Manifest(report.diagnostics))
        }
        Err(other) => Err(other),
    }
}

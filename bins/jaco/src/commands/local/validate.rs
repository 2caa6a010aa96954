//! `jaco validate`: the daemon's own check, without a cluster.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use jaco_api::manifest::{Diagnostic, Explanation, ManifestFile, explain};
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
    /// Says what an attribute is and what happens to it, instead of checking files.
    #[arg(long, value_name = "FIELD", conflicts_with_all = ["jaco", "compose"])]
    pub explain: Option<String>,
}

#[derive(Serialize)]
struct Report {
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment: Option<String>,
    diagnostics: Vec<Diagnostic>,
}

/// Checks both files and shows every problem of both, or explains an attribute.
///
/// # Errors
/// When there is at least one problem, or no such attribute.
pub fn run(args: &ValidateArgs, out: &mut Output) -> Result<(), Error> {
    if let Some(field) = &args.explain {
        let found = explain(field)?;
        return out.result(&found, |out| out.text(&told(&found)));
    }
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

/// Explanations for people, a blank line between them.
fn told(all: &[Explanation]) -> String {
    let one = |e: &Explanation| {
        let file = match e.file {
            ManifestFile::Jaco => "jaco.yaml",
            ManifestFile::Compose => "compose file",
        };
        let mut text = format!("{} ({file})\n  {}\n  {}\n", e.path, e.about, e.treatment);
        if !e.keys.is_empty() {
            text.push_str(&format!("  keys: {}\n", e.keys.join(", ")));
        }
        text
    };
    all.iter().map(one).collect::<Vec<_>>().join("\n")
}

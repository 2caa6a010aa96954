//! `jaco validate`: the daemon's own check, without a cluster.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use jaco_api::{
    error::ErrorCode,
    manifest::{self, Diagnostic, Explanation, ManifestFile, explain},
    model::BindAllowlist,
};

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
    /// What the cluster lets anybody mount, as its setting bind_allowlist says; nothing when not given.
    #[arg(long, value_name = "PATHS")]
    pub bind_allowlist: Option<BindAllowlist>,
    /// Print the JSON Schema of jaco.yaml, for editors, and check nothing.
    #[arg(long)]
    pub schema: bool,
    /// Says what an attribute is and what happens to it, instead of checking files.
    #[arg(long, value_name = "FIELD", conflicts_with_all = ["jaco", "compose", "schema"])]
    pub explain: Option<String>,
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
    if args.schema {
        return out.text(&manifest::schema());
    }
    let pair = files::Pair::read(Path::new(&args.jaco), args.compose.as_deref())?;
    let allowed = args.bind_allowlist.clone();
    match pair.resolve(&allowed.clone().unwrap_or_default()) {
        Ok(resolved) => {
            if out.format == Format::Table {
                out.warnings(&resolved.warnings);
            }
            let name = resolved.document.deployment;
            out.result(&resolved.warnings, |out| out.line(&format!("{name} is valid")))
        }
        Err(error) => {
            let denied = |d: &Diagnostic| d.code == ErrorCode::PrivilegeDenied;
            if allowed.is_none() && error.diagnostics().iter().any(denied) {
                out.say(
                    "Without a cluster no bind mount counts as allowed; --bind-allowlist says what is.",
                );
            }
            Err(error)
        }
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

//! `jaco apply`: files → manifest → cluster; with `--wait`, until it runs.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueHint};
use jaco_client::{Apply, Client, Goal};

use super::{
    change::{self, WaitFlag},
    diff,
};
use crate::{error::Error, files, output::Output};

/// Arguments of `jaco apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The manifest; its compose file lies beside it unless --compose names another.
    #[arg(value_name = "JACO.YAML", value_hint = ValueHint::FilePath)]
    pub manifest: PathBuf,
    /// The compose file.
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub compose: Option<PathBuf>,
    /// Show what would change, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Show secret values in the differences of a dry run.
    #[arg(long, requires = "dry_run")]
    pub show_secrets: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub wait: WaitFlag,
}

/// Applies; `Applied revision: N` is printed when it is committed.
///
/// # Errors
/// Every problem of the manifest at once; with `--wait`, why it does not run.
pub async fn run(args: &ApplyArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let request = Apply {
        dry_run: args.dry_run,
        show_secrets: args.show_secrets,
        ..request(&args.manifest, args.compose.as_deref(), out)?
    };
    let applied = client.apply(request).await?;
    out.warnings(&applied.warnings);
    if args.dry_run {
        return out.result(&applied, |out| diff::print(&applied, out));
    }
    out.result(&applied, |out| out.line(&format!("Applied revision: {}", applied.revision)))?;
    out.flush()?;
    if !applied.changed {
        out.say("Nothing changed: this revision was in force already.");
    }
    match args.wait.limit() {
        None => Ok(()),
        Some(limit) => {
            let goal =
                change::reach(&applied.deployment, Goal::Running, Some(applied.revision), limit);
            change::wait(&goal, client, out).await
        }
    }
}

/// The two files, read, checked and resolved; their warnings are shown.
///
/// # Errors
/// When a file cannot be read, or with every problem of both.
pub fn request(
    manifest: &std::path::Path,
    compose: Option<&std::path::Path>,
    out: &Output,
) -> Result<Apply, Error> {
    let pair = files::Pair::read(manifest, compose)?;
    let resolved = pair.resolve()?;
    out.warnings(&resolved.warnings);
    Ok(Apply {
        jaco: resolved.jaco,
        compose: resolved.compose,
        jaco_name: pair.jaco.name,
        compose_name: pair.compose.name,
        ..Apply::default()
    })
}

/// The limit of `--wait` when none is given.
pub const DEFAULT_WAIT: Duration = Duration::from_mins(5);

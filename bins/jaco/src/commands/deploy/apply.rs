//! `jaco apply`: files → manifest → cluster; with `--wait`, until it runs.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueHint};
use jaco_api::{error::ErrorCode, manifest::Diagnostic, model::BindAllowlist};
use jaco_client::{Applied, Apply, Client, Goal};

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
    let ready = Ready::read(&args.manifest, args.compose.as_deref(), client, out).await?;
    let applied = ready.send(args.dry_run, args.show_secrets, client, out).await?;
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

/// A manifest that was found valid here, ready to be sent.
pub struct Ready {
    request: Apply,
    /// Shown already.
    warnings: Vec<Diagnostic>,
}

impl Ready {
    /// Reads, checks and resolves the two files, and shows their warnings. Only when it matters the
    /// cluster is asked what it lets anybody mount.
    ///
    /// # Errors
    /// When a file cannot be read, or with every problem of both.
    pub async fn read(
        manifest: &Path,
        compose: Option<&Path>,
        client: &Client,
        out: &Output,
    ) -> Result<Self, Error> {
        let pair = files::Pair::read(manifest, compose)?;
        let denied = |d: &Diagnostic| d.code == ErrorCode::PrivilegeDenied;
        let resolved = match pair.resolve(&BindAllowlist::default()) {
            Err(Error::Manifest(found)) if found.iter().any(denied) => {
                pair.resolve(&allowlist(client).await)?
            }
            other => other?,
        };
        out.warnings(&resolved.warnings);
        let request = Apply {
            jaco: resolved.jaco,
            compose: resolved.compose,
            jaco_name: pair.jaco.name,
            compose_name: pair.compose.name,
            ..Apply::default()
        };
        Ok(Self { request, warnings: resolved.warnings })
    }

    /// Sends it. The daemon checks the same text again, without its positions: only what it has to
    /// add is shown.
    ///
    /// # Errors
    /// Whatever the cluster refuses.
    pub async fn send(
        self,
        dry_run: bool,
        show_secrets: bool,
        client: &Client,
        out: &Output,
    ) -> Result<Applied, Error> {
        let Self { request, mut warnings } = self;
        let is_new = |d: &Diagnostic| {
            !warnings.iter().any(|w| (&w.path, &w.message) == (&d.path, &d.message))
        };
        match client.apply(Apply { dry_run, show_secrets, ..request }).await {
            Ok(mut applied) => {
                applied.warnings.retain(is_new);
                out.warnings(&applied.warnings);
                warnings.append(&mut applied.warnings);
                applied.warnings = warnings;
                Ok(applied)
            }
            Err(jaco_client::Error::Api(mut refusal)) => {
                refusal.diagnostics.retain(is_new);
                Err(jaco_client::Error::Api(refusal).into())
            }
            Err(e) => Err(e.into()),
        }
    }
}

/// What the cluster lets anybody mount; nothing when it does not say: then what was found here counts.
async fn allowlist(client: &Client) -> BindAllowlist {
    let settings = client.settings().await.unwrap_or_default();
    settings.get("bind_allowlist").and_then(|list| list.parse().ok()).unwrap_or_default()
}

/// The limit of `--wait` when none is given.
pub const DEFAULT_WAIT: Duration = Duration::from_mins(5);

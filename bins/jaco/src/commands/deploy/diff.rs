//! `jaco diff`: what apply would change. Exits 3 on changes with `--detailed-exitcode`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use jaco_api::model::{Change, Difference};
use jaco_client::{Applied, Client};

use super::apply::Ready;
use crate::{
    error::Error,
    output::{Output, style},
};

/// Arguments of `jaco diff`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 no change, 1 error; with --detailed-exitcode, 3 changes.")]
pub struct DiffArgs {
    /// The manifest; its compose file lies beside it unless --compose names another.
    #[arg(value_name = "JACO.YAML", value_hint = ValueHint::FilePath)]
    pub manifest: PathBuf,
    /// The compose file.
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub compose: Option<PathBuf>,
    /// Show secret values.
    #[arg(long)]
    pub show_secrets: bool,
    /// Exit with 3 when there are changes.
    #[arg(long)]
    pub detailed_exitcode: bool,
}

/// Asks and prints.
///
/// # Errors
/// Every problem of the manifest at once; [`Error::Differences`] as asked for.
pub async fn run(args: &DiffArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let ready = Ready::read(&args.manifest, args.compose.as_deref(), client, out).await?;
    let applied = ready.send(true, args.show_secrets, client, out).await?;
    out.result(&applied, |out| print(&applied, out))?;
    if args.detailed_exitcode && !applied.differences.is_empty() {
        out.flush()?;
        return Err(Error::Differences);
    }
    Ok(())
}

/// Differences for people: `+` new, `~` changed, `-` removed.
///
/// # Errors
/// When standard output is gone.
pub fn print(applied: &Applied, out: &mut Output) -> Result<(), Error> {
    if applied.differences.is_empty() {
        return out.line(&format!("{}: no changes", applied.deployment));
    }
    let against = match applied.revision {
        0 => "is new".to_owned(),
        n => format!("against revision {n}"),
    };
    out.line(&format!("{} {against}", applied.deployment))?;
    applied.differences.iter().try_for_each(|d| print_one(d, out))
}

fn print_one(d: &Difference, out: &mut Output) -> Result<(), Error> {
    let (sign, color) = match d.change {
        Change::Added => ("+", style::ADDED),
        Change::Changed => ("~", style::CHANGED),
        Change::Removed => ("-", style::REMOVED),
    };
    let effect = d.effect.as_ref().map(|e| format!(" ({e})")).unwrap_or_default();
    let head = style::paint(color, &format!("{sign} {}", d.subject), out.color);
    out.line(&format!("{head}{effect}"))?;
    for (path, (old, new)) in &d.fields {
        let text = match (old, new) {
            (Some(old), Some(new)) => format!("    {path}: {old} → {new}"),
            (None, Some(new)) => format!("    {path}: {new}"),
            (Some(old), None) => format!("    {path}: {old} → (none)"),
            (None, None) => format!("    {path}"),
        };
        out.line(&text)?;
    }
    Ok(())
}

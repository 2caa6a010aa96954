//! `jaco rollback`: an earlier revision's content as a new revision.

use clap::Args;
use jaco_api::model::DeploymentName;
use jaco_client::{Client, Goal};

use super::change::{self, WaitFlag};
use crate::{commands::complete, error::Error, output::Output};

/// Arguments of `jaco rollback`.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The deployment.
    #[arg(add = complete::deployments())]
    pub deployment: DeploymentName,
    /// The revision to restore; the one before when not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub to: Option<u64>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub wait: WaitFlag,
}

/// Asks, prints, and waits when told to.
///
/// # Errors
/// `no_previous_revision`.
pub async fn run(args: &RollbackArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let done = client.rollback(&args.deployment, args.to).await?;
    out.result(&done, |out| {
        out.line(&format!(
            "Rolled back to revision {} (now revision {})",
            done.restored, done.revision
        ))
    })?;
    out.flush()?;
    match args.wait.limit() {
        None => Ok(()),
        Some(limit) => {
            let goal = change::reach(&args.deployment, Goal::Running, Some(done.revision), limit);
            change::wait(&goal, client, out).await
        }
    }
}

//! `jaco stop`: stops every replica and keeps everything else.

use clap::Args;
use jaco_api::model::DeploymentName;
use jaco_client::{Client, Goal};

use super::change::{self, WaitFlag};
use crate::{commands::complete, error::Error, output::Output};

/// Arguments of `jaco stop`.
#[derive(Debug, Args)]
pub struct StopArgs {
    /// The deployment.
    #[arg(add = complete::deployments())]
    pub deployment: DeploymentName,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub wait: WaitFlag,
}

/// Asks, prints, and waits when told to.
///
/// # Errors
/// `deployment_not_found`.
pub async fn run(args: &StopArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let changed = client.stop(&args.deployment).await?;
    change::report(&args.deployment, changed, &format!("Stopping {}", args.deployment), out)?;
    match args.wait.limit() {
        None => Ok(()),
        Some(limit) => {
            let goal = change::reach(&args.deployment, Goal::Stopped, None, limit);
            change::wait(&goal, client, out).await
        }
    }
}

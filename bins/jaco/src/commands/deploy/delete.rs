//! `jaco delete`: removes a deployment; its volumes only when that is asked for.

use clap::Args;
use jaco_api::model::DeploymentName;
use jaco_client::{Client, Goal};
use serde::Serialize;

use super::change::{self, WaitFlag};
use crate::{commands::complete, error::Error, output::Output};

/// Arguments of `jaco delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// The deployment.
    #[arg(add = complete::deployments())]
    pub deployment: DeploymentName,
    /// Remove its volumes with everything in them.
    #[arg(long)]
    pub volumes: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub wait: WaitFlag,
}

#[derive(Serialize)]
struct Report<'a> {
    deployment: &'a DeploymentName,
    volumes: &'a [String],
    volumes_removed: bool,
}

/// Asks, prints, and waits when told to.
///
/// # Errors
/// `deployment_not_found`.
pub async fn run(args: &DeleteArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let deleted = client.delete(&args.deployment, args.volumes).await?;
    let report = Report {
        deployment: &args.deployment,
        volumes: &deleted.volumes,
        volumes_removed: args.volumes,
    };
    out.result(&report, |out| out.line(&format!("Deleting {}", args.deployment)))?;
    out.flush()?;
    if !deleted.volumes.is_empty() {
        let names = deleted.volumes.join(", ");
        out.say(&match args.volumes {
            true => format!("Volumes are removed: {names}"),
            false => format!("Volumes are kept: {names}"),
        });
    }
    match args.wait.limit() {
        None => Ok(()),
        Some(limit) => {
            let goal = change::reach(&args.deployment, Goal::Removed, None, limit);
            change::wait(&goal, client, out).await
        }
    }
}

//! `jaco restart`: new containers, one step at a time.

use clap::Args;
use jaco_client::{Client, Goal, Wait};

use super::change::{self, WaitFlag};
use crate::{
    commands::{complete, target::Target},
    error::Error,
    output::Output,
};

/// Arguments of `jaco restart`.
#[derive(Debug, Args)]
pub struct RestartArgs {
    /// A deployment, or one service of it.
    #[arg(value_name = "DEPLOYMENT[/SERVICE]", add = complete::targets())]
    pub target: Target,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub wait: WaitFlag,
}

/// Asks, prints, and waits when told to.
///
/// # Errors
/// `deployment_not_found`, `service_not_found`.
pub async fn run(args: &RestartArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let Target { deployment, service } = &args.target;
    let services: Vec<_> = service.iter().cloned().collect();
    let changed = client.restart(deployment, &services).await?;
    change::report(deployment, changed, &format!("Restarting {}", args.target), out)?;
    match args.wait.limit() {
        None => Ok(()),
        Some(timeout) => {
            let goal = Wait {
                deployment: deployment.clone(),
                service: service.clone(),
                goal: Goal::Running,
                revision: Some(changed.revision),
                timeout,
            };
            change::wait(&goal, client, out).await
        }
    }
}

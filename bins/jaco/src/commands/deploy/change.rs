//! What the commands that change a deployment have in common: `--wait`, and saying what happened.

use std::time::Duration;

use clap::Args;
use jaco_api::model::DeploymentName;
use jaco_client::{Changed, Client, Goal, Wait, WaitResult};
use serde::Serialize;

use crate::{
    cli::duration,
    error::Error,
    output::{Output, progress::Progress},
};

/// `--wait[=<duration>]`.
#[derive(Debug, Clone, Default, Args)]
pub struct WaitFlag {
    /// Wait until it is done, for 5m or as long as given; exit 1 with the reasons if it is not.
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "5m", value_parser = duration)]
    pub wait: Option<Duration>,
}

impl WaitFlag {
    /// How long to wait; not at all when absent.
    #[must_use]
    pub const fn limit(&self) -> Option<Duration> {
        self.wait
    }
}

/// A wait for a whole deployment.
#[must_use]
pub fn reach(
    deployment: &DeploymentName,
    goal: Goal,
    revision: Option<u64>,
    timeout: Duration,
) -> Wait {
    Wait { deployment: deployment.clone(), service: None, goal, revision, timeout }
}

/// Waits, with progress on standard error.
///
/// # Errors
/// When the goal is not reached, with the reasons.
pub async fn wait(goal: &Wait, client: &Client, out: &Output) -> Result<(), Error> {
    let mut progress = Progress::of(&goal.deployment, out);
    let result = client.wait(goal, |view| progress.show(view)).await;
    progress.end();
    let what = match &goal.service {
        Some(service) => format!("{}/{service}", goal.deployment),
        None => goal.deployment.to_string(),
    };
    match result? {
        WaitResult::Reached => Ok(()),
        WaitResult::Failed(reasons) => Err(Error::NotReached { what, goal: goal.goal, reasons }),
        WaitResult::TimedOut(reasons) => {
            Err(Error::NotInTime { what, goal: goal.goal, after: goal.timeout, reasons })
        }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    deployment: &'a DeploymentName,
    #[serde(flatten)]
    changed: Changed,
}

/// Prints what a smaller change did: `done` when there was something to do.
///
/// # Errors
/// When standard output is gone.
pub fn report(
    deployment: &DeploymentName,
    changed: Changed,
    done: &str,
    out: &mut Output,
) -> Result<(), Error> {
    out.result(&Report { deployment, changed }, |out| {
        if changed.changed {
            out.line(&format!("{done} (revision {})", changed.revision))
        } else {
            out.line(&format!("Nothing to change (revision {})", changed.revision))
        }
    })?;
    out.flush()
}

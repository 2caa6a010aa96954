//! `jaco wait`: for scripts that go on when something is done.

use std::time::Duration;

use clap::{Args, ValueEnum};
use jaco_client::{Client, Goal, Wait};
use serde::Serialize;

use super::{apply::DEFAULT_WAIT, change};
use crate::{
    commands::{complete, target::Target},
    error::Error,
    output::Output,
};

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GoalArg {
    /// Every replica is current and runs.
    Running,
    /// Nothing of it is left.
    Removed,
    /// No rollout is under way, and the last one succeeded.
    Rollout,
}

/// Arguments of `jaco wait`.
#[derive(Debug, Args)]
#[command(after_help = "Waits for 5m, or as long as --timeout says.")]
pub struct WaitArgs {
    /// A deployment, or one service of it.
    #[arg(value_name = "DEPLOYMENT[/SERVICE]", add = complete::targets())]
    pub target: Target,
    /// What to wait for.
    #[arg(long = "for", value_enum, value_name = "GOAL")]
    pub goal: GoalArg,
}

#[derive(Serialize)]
struct Report {
    target: String,
    reached: String,
}

/// Waits for at most `timeout`.
///
/// # Errors
/// When the goal is not reached, with the reasons.
pub async fn run(
    args: &WaitArgs,
    timeout: Option<Duration>,
    client: &Client,
    out: &mut Output,
) -> Result<(), Error> {
    let goal = match args.goal {
        GoalArg::Running => Goal::Running,
        GoalArg::Removed => Goal::Removed,
        GoalArg::Rollout => Goal::Rollout,
    };
    let wait = Wait {
        deployment: args.target.deployment.clone(),
        service: args.target.service.clone(),
        goal,
        revision: None,
        timeout: timeout.unwrap_or(DEFAULT_WAIT),
    };
    change::wait(&wait, client, out).await?;
    let report = Report { target: args.target.to_string(), reached: goal.to_string() };
    out.result(&report, |out| out.line(&format!("{}: {goal}", args.target)))
}

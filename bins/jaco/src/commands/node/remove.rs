//! `jaco node remove`: empties a node and ends its membership.

use clap::Args;
use jaco_api::model::NodeName;
use jaco_client::{Client, NodeGoal};
use serde::Serialize;

use super::wait::wait;
use crate::{
    commands::{complete, deploy::change::WaitFlag},
    error::Error,
    output::Output,
};

/// Arguments of `jaco node remove`.
#[derive(Debug, Args)]
#[command(after_help = "A node that is down is removed with --force: it is not waited for.")]
pub struct RemoveArgs {
    /// The node.
    #[arg(value_name = "NODE", add = complete::nodes())]
    pub node: NodeName,
    /// Give up replicas that cannot move; their volumes stay on the node.
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub wait: WaitFlag,
}

#[derive(Serialize)]
struct Report<'a> {
    node: &'a NodeName,
    removing: bool,
}

/// Asks, prints, and waits until it is no member any more when told to.
///
/// # Errors
/// `unknown_node`, `drain_blocked`, or when it was not gone in time.
pub async fn run(args: &RemoveArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    client.remove_node(&args.node, args.force).await?;
    out.result(&Report { node: &args.node, removing: true }, |out| {
        out.line(&format!("{} is being removed", args.node))
    })?;
    out.flush()?;
    if let Some(limit) = args.wait.limit() {
        wait(&args.node, NodeGoal::Gone, limit, client, out).await?;
        out.say(&format!("{} is no member any more", args.node));
    }
    Ok(())
}

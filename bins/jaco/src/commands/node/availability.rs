//! `jaco node cordon`, `uncordon` and `drain`: what work a node takes.

use clap::Args;
use jaco_api::model::{Availability, NodeName};
use jaco_client::{Client, NodeGoal, NodeSummary};

use super::wait::wait;
use crate::{
    commands::{complete, deploy::change::WaitFlag},
    error::Error,
    output::Output,
};

/// Arguments of `jaco node cordon` and `jaco node uncordon`.
#[derive(Debug, Args)]
pub struct NodeArgs {
    /// The node.
    #[arg(value_name = "NODE", add = complete::nodes())]
    pub node: NodeName,
}

/// Arguments of `jaco node drain`.
#[derive(Debug, Args)]
pub struct DrainArgs {
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

/// Says what is wanted of a node, and prints what it is now.
///
/// # Errors
/// `unknown_node`.
pub async fn run(
    node: &NodeName,
    wanted: Availability,
    client: &Client,
    out: &mut Output,
) -> Result<(), Error> {
    let now = client.set_availability(node, wanted, false).await?;
    report(&now, out)
}

/// Empties a node, and waits for that when told to.
///
/// # Errors
/// `unknown_node`, `drain_blocked`, or when it was not empty in time.
pub async fn drain(args: &DrainArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let now = client.set_availability(&args.node, Availability::Draining, args.force).await?;
    report(&now, out)?;
    match args.wait.limit() {
        None => Ok(()),
        Some(limit) => wait(&args.node, NodeGoal::Empty, limit, client, out).await,
    }
}

fn report(now: &NodeSummary, out: &mut Output) -> Result<(), Error> {
    let node = &now.node;
    out.result(now, |out| out.line(&format!("{} is {}", node.name, node.status)))?;
    out.flush()
}

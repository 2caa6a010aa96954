//! `jaco node join`: makes the local node a member of an existing cluster.

use std::time::Duration;

use clap::Args;
use jaco_client::{Client, NodeGoal};

use super::wait::wait;
use crate::{
    commands::{deploy::apply::DEFAULT_WAIT, systemd},
    error::Error,
    output::Output,
};

/// Arguments of `jaco node join`.
#[derive(Debug, Args)]
#[command(after_help = "Waits until the node is ready, for 5m or as long as --timeout says.")]
pub struct JoinArgs {
    /// Operator API of any member, host:port.
    #[arg(long, value_name = "HOST:PORT")]
    pub peer: String,
    /// The join token, as `jaco node issue-join-token` prints it.
    #[arg(long, value_name = "TOKEN", env = "JACO_JOIN_TOKEN", hide_env_values = true)]
    pub token: String,
    /// Leave the systemd unit as it is.
    #[arg(long)]
    pub no_systemd_enable: bool,
}

/// Joins, and waits until the node runs work.
///
/// # Errors
/// `join_token_invalid`, `join_token_consumed`, `join_token_expired`, `ca_mismatch`,
/// `peer_unreachable`, `node_already_member`, `cluster_already_initialized`; or when the node was
/// not ready in time: it is a member nevertheless.
pub async fn run(
    args: &JoinArgs,
    timeout: Option<Duration>,
    client: &Client,
    out: &mut Output,
) -> Result<(), Error> {
    let joined = client.join(&args.peer, &args.token).await?;
    out.say(&format!("{} was admitted", joined.node));
    if !args.no_systemd_enable {
        systemd::enable(out).await;
    }
    let limit = timeout.unwrap_or(DEFAULT_WAIT);
    wait(&joined.node, NodeGoal::Ready, limit, client, out).await?;
    out.result(&joined, |out| {
        out.line(&format!("Cluster:  {}", joined.cluster_id))?;
        out.line(&format!("Node:     {} (number {})", joined.node, joined.node_id))
    })
}

//! `jaco cluster transfer-leader`: another voter leads.

use clap::Args;
use jaco_api::model::NodeName;
use jaco_client::Client;
use serde::Serialize;

use crate::{commands::complete, error::Error, output::Output};

/// Arguments of `jaco cluster transfer-leader`.
#[derive(Debug, Args)]
pub struct TransferArgs {
    /// Who is to lead; the voter that is furthest when not given.
    #[arg(value_name = "NODE", add = complete::nodes())]
    pub node: Option<NodeName>,
}

#[derive(Serialize)]
struct Report {
    leader: NodeName,
}

/// Asks, and prints who leads then.
///
/// # Errors
/// `unknown_node`, `conflict` when it does not vote, `no_leader` when it did not take over.
pub async fn run(args: &TransferArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let leader = client.transfer_leader(args.node.as_ref()).await?;
    let report = Report { leader };
    out.result(&report, |out| out.line(&format!("{} leads", report.leader)))
}

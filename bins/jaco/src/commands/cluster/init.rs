//! `jaco cluster init`: creates a cluster on the local node.

use clap::Args;
use jaco_client::Client;

use crate::{commands::systemd, error::Error, output::Output};

/// Arguments of `jaco cluster init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Name of the first operator token.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    pub name: String,
    /// Leave the systemd unit as it is.
    #[arg(long)]
    pub no_systemd_enable: bool,
}

/// Creates the cluster, prints what is shown only once, and makes the daemon start at boot.
///
/// # Errors
/// `cluster_already_initialized`.
pub async fn run(args: &InitArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let made = client.cluster_init(&args.name).await?;
    out.result(&made, |out| {
        out.line(&format!("Cluster:        {}", made.cluster_id))?;
        out.line(&format!("Node:           {}", made.node))?;
        out.line(&format!("API:            {}", made.api_addr))?;
        out.line(&format!("Operator token: {}", made.token))?;
        out.line(&format!("CA fingerprint: {}", made.ca_fingerprint))?;
        out.line("")?;
        out.line("To use it from another machine:")?;
        out.line(&format!(
            "  jaco context add {} --server {} --token {} --ca-fingerprint {}",
            made.node, made.api_addr, made.token, made.ca_fingerprint
        ))
    })?;
    out.flush()?;
    out.say("The operator token is stored nowhere and will not be shown again.");
    if !args.no_systemd_enable {
        systemd::enable(out).await;
    }
    Ok(())
}

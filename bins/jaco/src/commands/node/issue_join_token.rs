//! `jaco node issue-join-token`: a token that admits one node.

use std::time::Duration;

use clap::Args;
use jaco_client::{Client, JoinToken};
use serde::Serialize;

use crate::{cli::duration, error::Error, output::Output};

/// Arguments of `jaco node issue-join-token`.
#[derive(Debug, Args)]
pub struct IssueArgs {
    /// How long it works [default: 24h].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub ttl: Option<Duration>,
    /// Print the CA certificate too: the token already carries its fingerprint.
    #[arg(long)]
    pub show_ca: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    issued: &'a JoinToken,
    command: &'a str,
}

/// Issues it and prints what is to be run on the new node.
///
/// # Errors
/// `permission_denied` for anybody but administrators.
pub async fn run(args: &IssueArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let issued = client.issue_join_token(args.ttl).await?;
    let command = format!("sudo jaco node join --peer {} --token {}", issued.peer, issued.token);
    out.result(&Report { issued: &issued, command: &command }, |out| {
        out.line(&command)?;
        if args.show_ca { out.text(&issued.ca_pem) } else { Ok(()) }
    })?;
    out.flush()?;
    out.say(&format!(
        "It admits one node, until {}. It is stored nowhere and will not be shown again.",
        issued.expires_at
    ));
    Ok(())
}

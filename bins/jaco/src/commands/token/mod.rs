//! `jaco token …`

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use jaco_api::model::{Identity, OperatorToken, Role, Timestamp};
use jaco_client::{Client, IssueToken};
use serde::Serialize;

use crate::{
    cli::duration,
    error::Error,
    output::{
        Output,
        style::upper,
        table::{Field, Table},
    },
};

/// What can be done with operator tokens.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Issue a token; it is shown once.
    Issue(IssueArgs),
    /// Make an identity's token worthless, on every node.
    Revoke {
        /// Whose.
        identity: Identity,
    },
    /// Show every token, without its secret.
    List,
}

/// What a token's holder may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleArg {
    /// Everything.
    Admin,
    /// Look, and change deployments.
    Deployer,
    /// Look.
    Viewer,
}

/// Arguments of `jaco token issue`.
#[derive(Debug, Args)]
pub struct IssueArgs {
    /// Name of the holder.
    #[arg(long, value_name = "IDENTITY")]
    pub name: Identity,
    /// What the holder may do.
    #[arg(long, value_enum, default_value = "admin")]
    pub role: RoleArg,
    /// Globs of the deployments it may change, separated by commas; every one when not given.
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    pub deployments: Vec<String>,
    /// Lets it admit workloads that equal host access.
    #[arg(long)]
    pub allow_privileged: bool,
    /// How long it works, such as 24h; for ever when not given.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub ttl: Option<Duration>,
    /// Replace an existing token of this identity.
    #[arg(long)]
    pub rotate: bool,
}

#[derive(Serialize)]
struct Revoked<'a> {
    identity: &'a Identity,
    revoked: bool,
}

/// Runs one of them.
///
/// # Errors
/// Whatever made it fail.
pub async fn run(command: Command, client: &Client, out: &mut Output) -> Result<(), Error> {
    match command {
        Command::Issue(args) => issue(args, client, out).await,
        Command::Revoke { identity } => {
            client.revoke_token(&identity).await?;
            let done = Revoked { identity: &identity, revoked: true };
            out.result(&done, |out| out.line(&format!("Revoked token of {identity}")))
        }
        Command::List => list(client, out).await,
    }
}

async fn issue(args: IssueArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let issued = client
        .issue_token(&IssueToken {
            identity: args.name,
            role: match args.role {
                RoleArg::Admin => Role::Admin,
                RoleArg::Deployer => Role::Deployer,
                RoleArg::Viewer => Role::Viewer,
            },
            deployments: args.deployments,
            allow_privileged: args.allow_privileged,
            ttl: args.ttl,
            rotate: args.rotate,
        })
        .await?;
    out.result(&issued, |out| out.line(&issued.token))?;
    out.flush()?;
    out.say("The token is stored nowhere and will not be shown again.");
    Ok(())
}

async fn list(client: &Client, out: &mut Output) -> Result<(), Error> {
    let tokens = client.tokens().await?;
    out.result(&tokens, |out| {
        let table = table(&tokens, out.now()).render(out);
        out.text(&table)
    })
}

fn table(tokens: &[OperatorToken], now: Timestamp) -> Table {
    let mut table = Table::new(&[
        "IDENTITY",
        "ROLE",
        "DEPLOYMENTS",
        "PRIVILEGED",
        "STATUS",
        "ISSUED",
        "EXPIRES",
    ]);
    for token in tokens {
        let status = match (token.revoked_at, token.expires_at) {
            (Some(_), _) => "REVOKED",
            (None, Some(end)) if end <= now => "EXPIRED",
            _ => "ACTIVE",
        };
        table.row([
            token.identity.as_str().into(),
            upper(&token.role).into(),
            if token.deployments.is_empty() {
                "*".into()
            } else {
                token.deployments.join(",").into()
            },
            if token.allow_privileged { "yes".into() } else { "no".into() },
            Field::state(status.to_owned()),
            token.issued_at.to_string().into(),
            token.expires_at.map(|t| t.to_string()).unwrap_or_default().into(),
        ]);
    }
    table
}

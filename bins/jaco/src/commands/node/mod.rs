//! `jaco node …`

pub mod list;

use clap::Subcommand;
use jaco_client::Client;

use crate::{cli::Unbuilt, error::Error, output::Output};

/// What can be done with members.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the members.
    List,
    /// Attach this node to a cluster (not part of this release).
    #[command(hide = true)]
    Join(Unbuilt),
    /// Issue a join token (not part of this release).
    #[command(hide = true)]
    IssueJoinToken(Unbuilt),
    /// Remove a member (not part of this release).
    #[command(hide = true)]
    Remove(Unbuilt),
}

/// Runs one of them.
///
/// # Errors
/// Whatever made it fail.
pub async fn run(command: Command, client: &Client, out: &mut Output) -> Result<(), Error> {
    match command {
        Command::List => list::run(client, out).await,
        Command::Join(_) => Err(Error::NotInRelease { what: "jaco node join" }),
        Command::IssueJoinToken(_) => {
            Err(Error::NotInRelease { what: "jaco node issue-join-token" })
        }
        Command::Remove(_) => Err(Error::NotInRelease { what: "jaco node remove" }),
    }
}

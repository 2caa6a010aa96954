//! `jaco node …`

pub mod availability;
pub mod inspect;
pub mod issue_join_token;
pub mod join;
pub mod label;
pub mod list;
pub mod remove;
pub mod rotate_key;
mod wait;

use clap::Subcommand;
use jaco_api::model::Availability;
use jaco_client::Client;

use crate::{cli::GlobalArgs, error::Error, output::Output};

/// What can be done with members.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the members.
    List,
    /// Show one member in full.
    Inspect(inspect::InspectArgs),
    /// Issue a token that admits one node, and print the command that uses it.
    IssueJoinToken(issue_join_token::IssueArgs),
    /// Make this node a member of an existing cluster.
    Join(join::JoinArgs),
    /// Place nothing new on a node; what runs there stays.
    Cordon(availability::NodeArgs),
    /// Let a cordoned or drained node take work again.
    Uncordon(availability::NodeArgs),
    /// Move the replicas of a node elsewhere and place nothing new on it.
    Drain(availability::DrainArgs),
    /// Drain a node and end its membership.
    Remove(remove::RemoveArgs),
    /// Set and remove labels of a node.
    Label(label::LabelArgs),
    /// Give a node a new key in the mesh; its tunnels are made anew with it.
    RotateKey(rotate_key::RotateKeyArgs),
}

/// Runs one of them.
///
/// # Errors
/// Whatever made it fail.
pub async fn run(
    command: Command,
    global: &GlobalArgs,
    client: &Client,
    out: &mut Output,
) -> Result<(), Error> {
    match command {
        Command::List => list::run(client, out).await,
        Command::Inspect(args) => inspect::run(&args, client, out).await,
        Command::IssueJoinToken(args) => issue_join_token::run(&args, client, out).await,
        Command::Join(args) => join::run(&args, global.timeout, client, out).await,
        Command::Cordon(args) => {
            availability::run(&args.node, Availability::Cordoned, client, out).await
        }
        Command::Uncordon(args) => {
            availability::run(&args.node, Availability::Active, client, out).await
        }
        Command::Drain(args) => availability::drain(&args, client, out).await,
        Command::Remove(args) => remove::run(&args, client, out).await,
        Command::Label(args) => label::run(&args, client, out).await,
        Command::RotateKey(args) => rotate_key::run(&args, client, out).await,
    }
}

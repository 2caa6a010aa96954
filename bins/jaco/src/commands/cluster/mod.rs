//! `jaco cluster …`

pub mod init;
pub mod settings;
pub mod status;
pub mod transfer_leader;

use clap::Subcommand;
use jaco_client::Client;

use crate::{error::Error, output::Output};

/// What can be done with a cluster.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a cluster on this node.
    Init(init::InitArgs),
    /// Show what this node knows of the cluster; works before init.
    Status,
    /// Hand leadership over, for example before maintenance.
    TransferLeader(transfer_leader::TransferArgs),
    /// Change one cluster-wide setting, or make a new data key with `rotate-key`.
    Set(settings::SetArgs),
    /// Show the cluster-wide settings.
    Get(settings::GetArgs),
}

/// Runs one of them.
///
/// # Errors
/// Whatever made it fail.
pub async fn run(command: Command, client: &Client, out: &mut Output) -> Result<(), Error> {
    match command {
        Command::Init(args) => init::run(&args, client, out).await,
        Command::Status => status::run(client, out).await,
        Command::TransferLeader(args) => transfer_leader::run(&args, client, out).await,
        Command::Set(args) => settings::set(&args, client, out).await,
        Command::Get(args) => settings::get(&args, client, out).await,
    }
}

//! The commands, one file each: arguments, one call, rendering.

pub mod cert;
pub mod cluster;
pub mod complete;
pub mod deploy;
pub mod file;
pub mod inside;
pub mod local;
pub mod look;
pub mod node;
mod systemd;
pub mod target;
pub mod token;

use jaco_api::model::FileKind;
use jaco_client::Client;

use crate::{
    cli::{Command, GlobalArgs},
    error::Error,
    output::Output,
};

/// A command that talks to a cluster.
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
        Command::Cluster(command) => cluster::run(command, client, out).await,
        Command::Node(command) => node::run(command, global, client, out).await,
        Command::Apply(args) => deploy::apply::run(&args, client, out).await,
        Command::Diff(args) => deploy::diff::run(&args, client, out).await,
        Command::Status(args) => look::status::run(&args, client, out).await,
        Command::Get(command) => look::get::run(command, client, out).await,
        Command::Logs(args) => look::logs::run(&args, client, out).await,
        Command::Top(args) => look::top::run(&args, client, out).await,
        Command::Doctor(args) => look::doctor::run(&args, client, out).await,
        Command::Exec(args) => inside::exec::run(&args, client, out).await,
        Command::Cp(args) => inside::cp::run(&args, client, out).await,
        Command::PortForward(args) => inside::port_forward::run(&args, client, out).await,
        Command::Events(args) => look::events::run(&args, client, out).await,
        Command::Wait(args) => deploy::wait::run(&args, global.timeout, client, out).await,
        Command::History(args) => deploy::history::run(&args, client, out).await,
        Command::Rollback(args) => deploy::rollback::run(&args, client, out).await,
        Command::Delete(args) => deploy::delete::run(&args, client, out).await,
        Command::Scale(args) => deploy::scale::run(&args, client, out).await,
        Command::Restart(args) => deploy::restart::run(&args, client, out).await,
        Command::Stop(args) => deploy::stop::run(&args, client, out).await,
        Command::Start(args) => deploy::start::run(&args, client, out).await,
        Command::Token(command) => token::run(command, client, out).await,
        Command::Secret(command) => file::run(FileKind::Secret, command, client, out).await,
        Command::Config(command) => file::run(FileKind::Config, command, client, out).await,
        Command::Cert(command) => cert::run(command, client, out).await,
        Command::Audit(args) => look::audit::run(&args, client, out).await,
        Command::Validate(_)
        | Command::Context(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::SelfUpgrade(_)
        | Command::Completion(_)
        | Command::Man(_)
        | Command::Version
        | Command::HelpMarkdown => Ok(()), // Answered without a cluster, before this is called.
    }
}

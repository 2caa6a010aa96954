//! The command line as clap sees it: flags every command takes, and the tree of commands.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands;

/// Runs Docker Compose applications on a few Linux hosts as if they were one.
#[derive(Debug, Parser)]
#[command(
    name = "jaco",
    version,
    propagate_version = false,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Data goes to standard output, everything else to standard error. Exit codes: 0 \
                  success, 1 error, 2 usage."
)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How results are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// JSON; streams are one document per line.
    Json,
    /// YAML; streams are one document after the other.
    Yaml,
}

/// When colours are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On terminals, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How much the program logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

impl LogLevel {
    /// As tracing spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// A duration such as `30s`, `5m` or `1h30m`.
///
/// # Errors
/// When it is none.
pub fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

/// Flags of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// How the result is written.
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "table",
        hide_default_value = true
    )]
    pub output: Format,
    /// Say only what is essential.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more: progress without a terminal, debug log on standard error.
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Level of the program's own log [env: JACO_LOG].
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,
    /// When to use colours [env: NO_COLOR].
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true
    )]
    pub color: ColorChoice,
    /// Longest time a call may take, such as 30s or 1h30m.
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Node to dial over TLS, host:port; several are tried in turn [env: JACO_SERVER].
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        value_delimiter = ',',
        help_heading = "Dialling",
        conflicts_with = "socket"
    )]
    pub server: Vec<String>,
    /// Operator token; needed with --server [env: JACO_TOKEN].
    #[arg(long, global = true, value_name = "HEX", help_heading = "Dialling")]
    pub token: Option<String>,
    /// CA certificate to pin [env: JACO_CA_CERT] [default: /var/lib/jaco/node/ca.crt].
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        help_heading = "Dialling",
        conflicts_with = "ca_fingerprint"
    )]
    pub ca_cert: Option<PathBuf>,
    /// Fingerprint of the CA to pin, sha256:HEX [env: JACO_CA_FINGERPRINT].
    #[arg(long, global = true, value_name = "SHA256", help_heading = "Dialling")]
    pub ca_fingerprint: Option<String>,
    /// Local daemon's socket [env: JACO_SOCKET] [default: /var/run/jaco/jaco.sock].
    #[arg(long, global = true, value_name = "PATH", help_heading = "Dialling")]
    pub socket: Option<PathBuf>,
    /// Named cluster of contexts.yaml [env: JACO_CONTEXT].
    #[arg(long, global = true, value_name = "NAME", help_heading = "Dialling", conflicts_with_all = ["server", "socket"])]
    pub context: Option<String>,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Form the cluster, look at it, change its settings.
    #[command(subcommand)]
    Cluster(commands::cluster::Command),
    /// Members of the cluster.
    #[command(subcommand)]
    Node(commands::node::Command),
    /// Make a deployment what jaco.yaml and its compose file say.
    Apply(commands::deploy::apply::ApplyArgs),
    /// Show what apply would change.
    Diff(commands::deploy::diff::DiffArgs),
    /// Check jaco.yaml and its compose file, without a cluster.
    Validate(commands::local::validate::ValidateArgs),
    /// Show deployments, replicas, routes and certificates.
    Status(commands::look::status::StatusArgs),
    /// Show one kind of thing, or one thing in full.
    #[command(subcommand)]
    Get(commands::look::get::Command),
    /// Show the output of containers, merged over replicas and nodes.
    Logs(commands::look::logs::LogsArgs),
    /// Show what nodes and replicas use at the moment.
    Top(commands::look::top::TopArgs),
    /// Have nodes prove their networks, and say what is broken and how to put it right.
    Doctor(commands::look::doctor::DoctorArgs),
    /// Run a command in a container.
    Exec(commands::inside::exec::ExecArgs),
    /// Copy files between a container and this machine.
    Cp(commands::inside::cp::CpArgs),
    /// Reach a port of a container through a port of this machine.
    PortForward(commands::inside::port_forward::PortForwardArgs),
    /// Show state transitions of replicas, with reasons.
    Events(commands::look::events::EventsArgs),
    /// Wait until a deployment or service is as wanted.
    Wait(commands::deploy::wait::WaitArgs),
    /// Show the revisions of a deployment that are kept.
    History(commands::deploy::history::HistoryArgs),
    /// Restore the content of an earlier revision as a new one.
    Rollback(commands::deploy::rollback::RollbackArgs),
    /// Remove a deployment.
    Delete(commands::deploy::delete::DeleteArgs),
    /// Change how many replicas services have.
    Scale(commands::deploy::scale::ScaleArgs),
    /// Replace the containers of a deployment or service, one step at a time.
    Restart(commands::deploy::restart::RestartArgs),
    /// Stop every replica of a deployment and keep everything else.
    Stop(commands::deploy::stop::StopArgs),
    /// Start a stopped deployment.
    Start(commands::deploy::start::StartArgs),
    /// Secrets of the cluster, which compose files use with `external: true`.
    #[command(subcommand)]
    Secret(commands::file::Command),
    /// Configs of the cluster, which compose files use with `external: true`.
    #[command(subcommand)]
    Config(commands::file::Command),
    /// Certificates of domains: those that are obtained, and one's own.
    #[command(subcommand)]
    Cert(commands::cert::Command),
    /// Operator tokens.
    #[command(subcommand)]
    Token(commands::token::Command),
    /// Show who changed what.
    Audit(commands::look::audit::AuditArgs),
    /// Named clusters of this user.
    #[command(subcommand)]
    Context(commands::local::context::Command),
    /// Write a cluster backup (not part of this release).
    #[command(hide = true)]
    Backup(Unbuilt),
    /// Restore a backup (not part of this release).
    #[command(hide = true)]
    Restore(Unbuilt),
    /// Replace both programs by a newer version (not part of this release).
    #[command(hide = true)]
    SelfUpgrade(Unbuilt),
    /// Print the completion script of a shell.
    Completion(commands::local::completion::CompletionArgs),
    /// Print the manual page.
    Man(commands::local::man::ManArgs),
    /// Print the version.
    Version,
    /// Print the reference of every command as Markdown.
    #[command(hide = true)]
    HelpMarkdown,
}

/// Arguments of a command that is not part of this release: whatever they are.
#[derive(Debug, Args)]
pub struct Unbuilt {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _rest: Vec<String>,
}

//! Why a command failed, and how that is said.

use std::{fmt::Write as _, io, path::PathBuf, time::Duration};

use jaco_api::{
    error::ErrorCode,
    manifest::Diagnostic,
    model::{InvalidName, NodeName, Span},
};
use jaco_client::{Goal, NodeGoal};

use crate::output::style;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot be read: {source}")]
    Read {
        /// Why not.
        #[from]
        source: io::Error,
    },
    /// It is a directory.
    #[error("is a directory")]
    Directory,
    /// It is larger than a manifest may be.
    #[error("is larger than 4 MiB")]
    TooLarge,
    /// It is no text.
    #[error("is not valid UTF-8 (byte {at})")]
    NotUtf8 {
        /// The first byte that does not fit.
        at: usize,
    },
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The cluster, or the way to it.
    #[error(transparent)]
    Client(#[from] jaco_client::Error),
    /// A manifest with problems, found before anything was sent.
    #[error("{}", problems(.0))]
    Manifest(Vec<Diagnostic>),
    /// A file that cannot be used.
    #[error("{path} {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: FileError,
    },
    /// There is no compose file beside jaco.yaml.
    #[error("no compose file in {}: there is none of {}", dir.display(), crate::files::COMPOSE_NAMES.join(", "))]
    NoCompose {
        /// The directory that was searched.
        dir: PathBuf,
    },
    /// An attribute that neither file has.
    #[error(transparent)]
    UnknownField(#[from] jaco_api::manifest::UnknownField),
    /// A name that cannot be one.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// An argument of `scale` that cannot be read.
    #[error("{0:?} is not of the form <deployment>/<service>=<replicas>")]
    ScaleTarget(String),
    /// `scale` of more than one deployment.
    #[error("one call changes one deployment, not {0} and {1}")]
    TwoDeployments(String, String),
    /// A time that cannot be read.
    #[error("{0:?} is neither a duration such as 1h30m nor an RFC 3339 time")]
    Time(String),
    /// A pattern that cannot be compiled.
    #[error("--grep: {0}")]
    Pattern(#[from] regex::Error),
    /// An audit type that does not exist.
    #[error("unknown audit type {name:?}; the types are {}", audit_types())]
    AuditType {
        /// The type as given.
        name: String,
    },
    /// A setting that does not exist.
    #[error("unknown setting {key:?}; the settings are {known}")]
    UnknownSetting {
        /// The setting as given.
        key: String,
        /// All of them.
        known: String,
    },
    /// `--server` without a token.
    #[error("--server needs an operator token")]
    TokenMissing,
    /// The CA certificate that was named does not exist.
    #[error("the CA certificate {path} cannot be read: {source}", path = path.display())]
    CaMissing {
        /// Where it should be.
        path: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// A context that does not exist.
    #[error("there is no context {name:?}")]
    UnknownContext {
        /// Its name.
        name: String,
    },
    /// `context add` without what a context is made of.
    #[error("a context needs --server and --token (or JACO_TOKEN)")]
    IncompleteContext,
    /// A context's name that cannot be one.
    #[error("context name {0:?} may hold letters, digits, '-', '_' and '.'")]
    ContextName(String),
    /// The contexts file cannot be used.
    #[error("{path}: {source}", path = path.display())]
    Contexts {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no place for the contexts file.
    #[error("neither XDG_CONFIG_HOME nor HOME is set")]
    NoHome,
    /// The goal of a wait cannot be reached.
    #[error("{what} did not become {goal}")]
    NotReached {
        /// What was waited for.
        what: String,
        /// Its goal.
        goal: Goal,
        /// Why not.
        reasons: Vec<String>,
    },
    /// The goal of a wait was not reached in time.
    #[error("{what} was not {goal} within {}", Span::from(*after))]
    NotInTime {
        /// What was waited for.
        what: String,
        /// Its goal.
        goal: Goal,
        /// How long.
        after: Duration,
        /// What is in the way.
        reasons: Vec<String>,
    },
    /// The command that ran in a container ended with this code. It said why itself.
    #[error("the command ended with exit code {0}")]
    Exited(i32),
    /// The output of a command ended without its exit code.
    #[error("the connection to the command was lost")]
    Lost,
    /// `exec -it` without a terminal.
    #[error("standard input is no terminal")]
    NoTerminal,
    /// The terminal does not do what it is told.
    #[error("the terminal cannot be used: {0}")]
    Terminal(io::Error),
    /// A copy that is not between a replica and this machine.
    #[error("one side of a copy is a replica, <replica>:<path>, and the other a path here or -")]
    CopySides,
    /// A copy that cannot be made as asked.
    #[error("{path}: {problem}", path = path.display())]
    Copy {
        /// What it is about.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A file or directory of this machine that cannot be read or written.
    #[error("cannot {operation} {path}: {source}", path = path.display())]
    Local {
        /// What was tried.
        operation: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An address that cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A node cannot become what it was waited for.
    #[error("{node} did not become {goal}")]
    NodeNotReached {
        /// The node.
        node: NodeName,
        /// Its goal.
        goal: NodeGoal,
        /// Why not.
        reasons: Vec<String>,
    },
    /// A node was not in time what it was waited for.
    #[error("{node} was not {goal} within {}", Span::from(*after))]
    NodeNotInTime {
        /// The node.
        node: NodeName,
        /// Its goal.
        goal: NodeGoal,
        /// How long.
        after: Duration,
        /// What is in the way.
        reasons: Vec<String>,
    },
    /// A label that is neither set nor removed.
    #[error("{0:?} is neither KEY=VALUE nor KEY-")]
    Label(String),
    /// A setting without its value.
    #[error("{key} needs a value")]
    ValueMissing {
        /// The setting.
        key: String,
    },
    /// A value where there is none.
    #[error("rotate-key takes no value")]
    ValueNotTaken,
    /// Two files are to come from one standard input.
    #[error("--cert and --key cannot both be read from standard input")]
    OneInput,
    /// `doctor` found something broken. What it is was printed.
    #[error("{failures} {} failed on {}", if *failures == 1 { "check" } else { "checks" }, names(nodes))]
    Unsound {
        /// How many checks failed.
        failures: usize,
        /// On which nodes.
        nodes: Vec<NodeName>,
    },
    /// `diff --detailed-exitcode` found differences. Already printed.
    #[error("there are differences")]
    Differences,
    /// Part of the goal, but not of this release.
    #[error("`{what}` is not part of this release")]
    NotInRelease {
        /// The command.
        what: &'static str,
    },
    /// A view that is not built yet.
    #[error("`jaco get {what}` is not built yet")]
    NotBuilt {
        /// The noun.
        what: &'static str,
    },
    /// No such shell.
    #[error("no completion for {0:?}; there is one for bash, zsh, fish, elvish and powershell")]
    Shell(String),
    /// No such command.
    #[error("there is no command {0:?}")]
    NoCommand(String),
    /// The program cannot start.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
    /// Standard output is gone.
    #[error("cannot write the result: {0}")]
    Output(io::Error),
}

fn problems(diagnostics: &[Diagnostic]) -> String {
    let errors =
        diagnostics.iter().filter(|d| d.severity == jaco_api::manifest::Severity::Error).count();
    if errors == 1 { "1 problem".to_owned() } else { format!("{errors} problems") }
}

fn names(nodes: &[NodeName]) -> String {
    nodes.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ")
}

fn audit_types() -> String {
    let all: Vec<_> = jaco_api::model::AuditKind::ALL.iter().map(|k| k.as_str()).collect();
    all.join(", ")
}

impl Error {
    /// The stable code, where there is one.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        Some(
            match self {
                Self::Client(e) => return e.code().map(ErrorCode::as_str),
                Self::Manifest(diagnostics) => {
                    diagnostics.first().map_or(ErrorCode::ValidationFailed, |d| {
                        if diagnostics.len() == 1 { d.code } else { ErrorCode::ValidationFailed }
                    })
                }
                Self::File { .. } | Self::NoCompose { .. } => ErrorCode::ParseFailed,
                Self::Name(_)
                | Self::UnknownField(_)
                | Self::ScaleTarget(_)
                | Self::TwoDeployments(..)
                | Self::Time(_)
                | Self::Pattern(_)
                | Self::UnknownSetting { .. }
                | Self::Label(_)
                | Self::ValueMissing { .. }
                | Self::ValueNotTaken
                | Self::OneInput
                | Self::AuditType { .. } => ErrorCode::ValidationFailed,
                Self::NodeNotInTime { goal: NodeGoal::Empty | NodeGoal::Gone, .. } => {
                    ErrorCode::DrainTimeout
                }
                Self::TokenMissing => ErrorCode::TokenInvalid,
                Self::CaMissing { .. } => ErrorCode::CaMismatch,
                Self::NotReached { .. } => ErrorCode::RolloutFailed,
                Self::NotInRelease { .. } | Self::NotBuilt { .. } => return Some("not_built"),
                _ => return None,
            }
            .as_str(),
        )
    }

    /// What the process ends with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Differences => 3,
            Self::CopySides => 2,
            Self::Exited(code) => u8::try_from(code & 0xff).unwrap_or(1).max(1),
            Self::Client(jaco_client::Error::Api(e)) if e.code == ErrorCode::ExecFailed => {
                e.details.get("exit_code").and_then(|code| code.parse().ok()).unwrap_or(126)
            }
            Self::Output(e) if e.kind() == io::ErrorKind::BrokenPipe => 0,
            _ => 1,
        }
    }

    fn hint(&self) -> Option<&str> {
        match self {
            Self::Client(e) => e.hint(),
            Self::UnknownField(e) => {
                e.hint.as_deref().or(Some("docs/manifests/keys.md names every key"))
            }
            Self::TokenMissing => Some("pass --token or set JACO_TOKEN"),
            Self::CaMissing { .. } => {
                Some("copy it from a node (/var/lib/jaco/node/ca.crt), or pass --ca-fingerprint")
            }
            Self::NoCompose { .. } => Some("name it with --compose"),
            Self::NoTerminal => Some("leave out -t when the input is a pipe"),
            Self::UnknownContext { .. } => Some("`jaco context list` shows the contexts"),
            Self::NodeNotReached { .. } | Self::NodeNotInTime { goal: NodeGoal::Ready, .. } => {
                Some("`jaco node inspect` shows more")
            }
            Self::NodeNotInTime { .. } => {
                Some("it goes on; `jaco node uncordon` ends it and keeps the node")
            }
            Self::Unsound { .. } => Some("docs/operations/doctor.md explains each check"),
            Self::NotReached { .. } => Some("`jaco status` and `jaco events` show more"),
            Self::NotInTime { .. } => {
                Some("the change stays in force and goes on; `jaco status` shows how far it is")
            }
            _ => None,
        }
    }

    fn reasons(&self) -> Vec<String> {
        match self {
            Self::Client(jaco_client::Error::Api(e)) => e
                .details
                .iter()
                .filter(|(key, _)| !["hint", "exit_code"].contains(&key.as_str()))
                .map(|(key, value)| format!("{}: {value}", key.replace('_', " ")))
                .collect(),
            Self::NotReached { reasons, .. }
            | Self::NotInTime { reasons, .. }
            | Self::NodeNotReached { reasons, .. }
            | Self::NodeNotInTime { reasons, .. } => reasons.clone(),
            _ => Vec::new(),
        }
    }

    /// The problems of a manifest, when that is what it failed for.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Self::Manifest(diagnostics) => diagnostics,
            Self::Client(jaco_client::Error::Api(e)) => &e.diagnostics,
            _ => &[],
        }
    }

    /// The whole text for standard error; `None` when nothing is to be said. Without `diagnostics` when
    /// those are data on standard output.
    #[must_use]
    pub fn report(&self, color: bool, diagnostics: bool) -> Option<String> {
        if matches!(self, Self::Differences | Self::Exited(_)) || self.exit_code() == 0 {
            return None;
        }
        // The message of an API error, without the code that is printed before it.
        let message = match self {
            Self::Client(jaco_client::Error::Api(e)) => e.message.clone(),
            other => other.to_string(),
        };
        let mut text = style::paint(style::ERROR, "Error:", color);
        if let Some(code) = self.code() {
            let _ = write!(text, " {code}:");
        }
        let _ = writeln!(text, " {message}");
        for reason in self.reasons() {
            let _ = writeln!(text, "  {}", reason.trim_end().replace('\n', "\n    "));
        }
        if diagnostics && !self.diagnostics().is_empty() {
            text.push_str(&jaco_api::manifest::render(self.diagnostics(), color));
            if !text.ends_with('\n') {
                text.push('\n');
            }
        }
        if let Some(hint) = self.hint() {
            let _ = writeln!(text, "{} {hint}", style::paint(style::HINT, "hint:", color));
        }
        Some(text)
    }
}

//! Commands in containers, and what is at a path of one.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// A command to be run in a container that runs.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ExecCommand {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Variables besides the container's own.
    pub environment: BTreeMap<String, String>,
    /// User to run it as; the container's own when absent.
    pub user: Option<String>,
    /// Directory to run it in; the container's own when absent.
    pub working_dir: Option<String>,
    /// Whether it has all the rights of the host, whatever the container has. For hooks of a manifest
    /// that was admitted with them: a call of the API never carries it.
    pub privileged: bool,
    /// A terminal of this size instead of three pipes.
    pub terminal: Option<TerminalSize>,
    /// Whether it reads; without, its input is at its end from the start.
    pub stdin: bool,
}

/// Shows the program alone: arguments and variables may be secret.
impl fmt::Debug for ExecCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecCommand")
            .field("program", &self.command.first())
            .field("terminal", &self.terminal)
            .finish_non_exhaustive()
    }
}

/// Size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// What a process can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Its terminal is gone.
    Hangup,
    /// Somebody typed Ctrl-C.
    Interrupt,
    /// Somebody typed Ctrl-\.
    Quit,
    /// End now, without a choice.
    Kill,
    /// Whatever the program makes of it.
    User1,
    /// Whatever the program makes of it.
    User2,
    /// Please end.
    Terminate,
}

impl Signal {
    /// Its number on Linux; a process that it ends has the exit code 128 + this.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Hangup => 1,
            Self::Interrupt => 2,
            Self::Quit => 3,
            Self::Kill => 9,
            Self::User1 => 10,
            Self::User2 => 12,
            Self::Terminate => 15,
        }
    }
}

/// What is at a path in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathInfo {
    /// Last part of its path.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: PathKind,
    /// Its size in bytes, for a file.
    pub size: u64,
    /// Its permissions, as `chmod` takes them.
    pub mode: u32,
    /// When it was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
}

/// What kind of thing is at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "target", rename_all = "snake_case")]
pub enum PathKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, with the path in the container it leads to.
    Link(String),
    /// A device, a pipe or a socket.
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_variables_are_never_shown() {
        let command = ExecCommand {
            command: vec!["login".to_owned(), "hunter2".to_owned()],
            environment: [("TOKEN".to_owned(), "hunter2".to_owned())].into(),
            ..ExecCommand::default()
        };
        let shown = format!("{command:?}");
        assert!(shown.contains("login") && !shown.contains("hunter2"), "{shown}");
    }
}

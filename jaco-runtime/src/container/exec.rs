//! Commands that are run in a container that runs already.

use std::{collections::BTreeMap, fmt, pin::Pin, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use tokio::io::AsyncWrite;

use super::RuntimeError;

/// A command to be run.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ExecRequest {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Variables besides the container's own.
    pub environment: BTreeMap<String, String>,
    /// User to run it as; the container's own when absent.
    pub user: Option<String>,
    /// Directory to run it in; the container's own when absent.
    pub working_dir: Option<String>,
    /// A terminal of this size instead of three pipes.
    pub terminal: Option<TerminalSize>,
    /// Whether it reads; without, its input is at its end from the start.
    pub stdin: bool,
}

/// Shows the program alone: arguments and variables may be secret.
impl fmt::Debug for ExecRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecRequest")
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

/// Bytes a command wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// To standard error rather than standard output. Never with a terminal, which has one output.
    pub stderr: bool,
    /// The bytes, as they are.
    pub bytes: Bytes,
}

/// A command that runs. It runs on when this is dropped, with its input at its end.
pub struct Exec {
    /// Its input; shut down to tell it the end.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// Its output, until it has ended or closed it. What is not read is not written.
    pub output: ExecStream,
    /// Its other handles.
    pub control: Arc<dyn ExecControl>,
}

impl fmt::Debug for Exec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exec").finish_non_exhaustive()
    }
}

/// Output of a command, in order.
pub type ExecStream = Pin<Box<dyn Stream<Item = Result<ExecOutput, RuntimeError>> + Send>>;

/// A command that runs, apart from its input and output.
#[async_trait]
pub trait ExecControl: Send + Sync {
    /// Its terminal has another size now. Without a terminal nothing happens.
    async fn resize(&self, size: TerminalSize) -> Result<(), RuntimeError>;
    /// Tells the process something; one that has ended hears nothing.
    async fn signal(&self, signal: Signal) -> Result<(), RuntimeError>;
    /// Waits until it has ended; its exit code, 128 and more when a signal ended it. A command that
    /// could not be started is [`RuntimeError::CannotExecute`]. To be asked when the output has
    /// ended.
    async fn wait(&self) -> Result<i64, RuntimeError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_variables_are_never_shown() {
        let request = ExecRequest {
            command: vec!["login".to_owned(), "hunter2".to_owned()],
            environment: [("TOKEN".to_owned(), "hunter2".to_owned())].into(),
            ..ExecRequest::default()
        };
        let shown = format!("{request:?}");
        assert!(shown.contains("login") && !shown.contains("hunter2"), "{shown}");
    }
}

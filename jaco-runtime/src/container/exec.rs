//! Commands that are run in a container that runs already.

use std::{fmt, pin::Pin, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use jaco_api::model::{Signal, TerminalSize};
use tokio::io::AsyncWrite;

use super::RuntimeError;

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

//! From the client's errors to ours: by kind and status, never by message.

use bollard::errors::Error;

use super::DockerRuntime;
use crate::container::RuntimeError;

/// Gives a client's result our error.
pub(super) trait Engine<T> {
    /// The result of asking the engine for `operation`.
    fn engine(self, runtime: &DockerRuntime, operation: &'static str) -> Result<T, RuntimeError>;
}

impl<T> Engine<T> for Result<T, Error> {
    fn engine(self, runtime: &DockerRuntime, operation: &'static str) -> Result<T, RuntimeError> {
        self.map_err(|error| from(error, runtime, operation))
    }
}

pub(super) fn from(error: Error, runtime: &DockerRuntime, operation: &'static str) -> RuntimeError {
    match error {
        Error::DockerResponseServerError { status_code, message } => answer(status_code, message),
        Error::DockerStreamError { error } => RuntimeError::Refused { status: 500, message: error },
        Error::RequestTimeoutError => RuntimeError::TimedOut { operation },
        Error::IOError { .. }
        | Error::HyperResponseError { .. }
        | Error::HyperLegacyError { .. }
        | Error::SocketNotFoundError(_) => RuntimeError::Unreachable {
            endpoint: runtime.socket().display().to_string(),
            source: innermost(error).into(),
        },
        other => RuntimeError::NotUnderstood { operation, source: other.into() },
    }
}

/// The engine's own refusals.
pub(super) fn answer(status: u16, message: String) -> RuntimeError {
    match status {
        404 => RuntimeError::NotFound { message },
        409 => RuntimeError::Conflict { message },
        _ => RuntimeError::Refused { status, message },
    }
}

/// The connector wraps what really happened several times; people want to read only that.
#[derive(Debug)]
struct Innermost(Error);

fn innermost(error: Error) -> Innermost {
    Innermost(error)
}

impl std::fmt::Display for Innermost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut deepest: &dyn std::error::Error = &self.0;
        while let Some(next) = deepest.source() {
            deepest = next;
        }
        std::fmt::Display::fmt(deepest, f)
    }
}

impl std::error::Error for Innermost {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0)
    }
}

//! Running programs to their end.

use std::{
    ffi::OsStr,
    io,
    process::{Command, Output, Stdio},
};

use crate::{HarnessError, Result};

/// Commands that run to their end and must succeed.
pub trait Run {
    /// Runs the command and returns its standard output.
    ///
    /// # Errors
    /// It cannot be started, or ends with a failure.
    fn text(&mut self) -> Result<String>;

    /// Runs the command and returns everything, whatever its exit code.
    ///
    /// # Errors
    /// It cannot be started.
    fn everything(&mut self) -> Result<Output>;
}

impl Run for Command {
    fn text(&mut self) -> Result<String> {
        let output = self.everything()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(HarnessError::Command {
            line: line(self),
            status: output.status.to_string(),
            output: [output.stdout, output.stderr]
                .iter()
                .map(|bytes| String::from_utf8_lossy(bytes).trim_end().to_owned())
                .collect::<Vec<_>>()
                .join("\n"),
        })
    }

    fn everything(&mut self) -> Result<Output> {
        self.stdin(Stdio::null()).output().map_err(|source| start_error(self, source))
    }
}

/// Runs a program to its end and returns its standard output.
///
/// # Errors
/// It cannot be started, or ends with a failure.
pub fn run<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Result<String> {
    Command::new(program).args(arguments).text()
}

pub(crate) fn start_error(command: &Command, source: io::Error) -> HarnessError {
    let program = command.get_program().to_string_lossy().into_owned();
    if source.kind() == io::ErrorKind::NotFound {
        return HarnessError::Missing { program };
    }
    HarnessError::Start { program, source }
}

pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

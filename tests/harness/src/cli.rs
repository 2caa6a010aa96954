//! `jaco` as people run it.

use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{HarnessError, Result, Run, shell::line};

/// A way of running `jaco`: the program and the flags that say whom it talks to.
#[derive(Debug, Clone)]
pub struct Cli {
    program: PathBuf,
    dial: Vec<String>,
    home: PathBuf,
}

/// What `jaco` did.
#[derive(Debug, Clone)]
pub struct CliOutput {
    /// The command line.
    pub line: String,
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Data.
    pub stdout: String,
    /// Talk.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Cli {
    /// `jaco` over the local socket. `home` keeps contexts and history away from the user's.
    #[must_use]
    pub fn over_socket(program: PathBuf, socket: &std::path::Path, home: PathBuf) -> Self {
        let dial = vec!["--socket".to_owned(), socket.display().to_string()];
        Self { program, dial, home }
    }

    /// `jaco` over TLS to `server`, with these further flags.
    #[must_use]
    pub fn over_tls(&self, server: &str, flags: &[&str]) -> Self {
        let mut dial = vec!["--server".to_owned(), server.to_owned()];
        dial.extend(flags.iter().map(|flag| (*flag).to_owned()));
        Self { program: self.program.clone(), dial, home: self.home.clone() }
    }

    /// The command, ready to run.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        // What follows `--` is not for `jaco`.
        let own = arguments.iter().position(|word| *word == "--").unwrap_or(arguments.len());
        command.args(&arguments[..own]).args(&self.dial).args(&arguments[own..]);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JACO_")) {
            command.env_remove(name);
        }
        command.env("HOME", &self.home).env("XDG_CONFIG_HOME", self.home.join(".config"));
        command.env("NO_COLOR", "1").current_dir(&self.home);
        command
    }

    /// Runs it to its end, whatever the exit code.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn try_run(&self, arguments: &[&str]) -> Result<CliOutput> {
        let mut command = self.command(arguments);
        let started = Instant::now();
        let output = command.everything()?;
        Ok(CliOutput {
            line: line(&command),
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: started.elapsed(),
        })
    }

    /// Runs it and returns what it printed.
    ///
    /// # Errors
    /// It fails.
    pub fn run(&self, arguments: &[&str]) -> Result<CliOutput> {
        let output = self.try_run(arguments)?;
        if output.code == 0 {
            return Ok(output);
        }
        Err(HarnessError::Command {
            status: format!("exit code {}", output.code),
            output: format!("{}{}", output.stdout, output.stderr),
            line: output.line,
        })
    }

    /// Runs it with `-o json` and returns the document.
    ///
    /// # Errors
    /// It fails or prints something else.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.run(&[arguments, &["-o", "json"]].concat())?;
        serde_json::from_str(&output.stdout).map_err(|source| HarnessError::NotJson {
            line: output.line,
            output: output.stdout,
            source,
        })
    }
}

impl CliOutput {
    /// The error code of a typed error, as printed after `Error: `.
    #[must_use]
    pub fn error_code(&self) -> Option<&str> {
        let rest = self.stderr.lines().find_map(|line| line.strip_prefix("Error: "))?;
        rest.split_once(':').map(|(code, _)| code)
    }
}

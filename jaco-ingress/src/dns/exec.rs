//! Records that a program of the operator's publishes.
//!
//! It is called as `program present|cleanup DOMAIN RECORD VALUE` and is to return when every authoritative
//! server answers so. Its exit status tells how it went, what it writes to stderr becomes part of the error.

use std::{path::PathBuf, process::Stdio, time::Duration};

use async_trait::async_trait;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::Command,
};

use super::{DnsError, DnsProvider, TxtRecord};

/// How much of what a program says is told.
const TOLD: usize = 600;
/// How long a program's output is waited for after it ended: its children may hold it open.
const REST: Duration = Duration::from_millis(500);

/// A program that publishes records.
#[derive(Debug, Clone)]
pub struct ExecDns {
    program: PathBuf,
    timeout: Duration,
}

/// How a program failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HookError {
    /// It could not be run.
    #[error("{} cannot be run", program.display())]
    NotRun {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It did not end in time, and was killed.
    #[error("{} did not end within {} s{}", program.display(), timeout.as_secs_f32(), said(.stderr))]
    TimedOut {
        /// The program.
        program: PathBuf,
        /// How long it had.
        timeout: Duration,
        /// The last it said.
        stderr: String,
    },
    /// It said that it failed.
    #[error("{} ended with {status}{}", program.display(), said(.stderr))]
    Failed {
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The last it said.
        stderr: String,
    },
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!(": {stderr}") }
}

impl ExecDns {
    /// Calls `program`, which has `timeout` to do its work.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, timeout: Duration) -> Self {
        Self { program: program.into(), timeout }
    }

    async fn call(&self, verb: &str, record: &TxtRecord) -> Result<(), DnsError> {
        let done = self.run(verb, record).await;
        done.map_err(|source| DnsError::Refused { name: record.name(), source: source.into() })
    }

    async fn run(&self, verb: &str, record: &TxtRecord) -> Result<(), HookError> {
        let program = || self.program.clone();
        let not_run = |source| HookError::NotRun { program: program(), source };
        let mut child = Command::new(&self.program)
            .args([verb, record.domain.as_str(), &record.name(), &record.value])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(not_run)?;
        let mut stderr = child.stderr.take();
        let mut tail = Vec::new();
        let ended = tokio::select! {
            ended = tokio::time::timeout(self.timeout, child.wait()) => ended,
            () = follow(&mut stderr, &mut tail, true) => unreachable!("it does not end"),
        };
        let _ = tokio::time::timeout(REST, follow(&mut stderr, &mut tail, false)).await;
        let stderr = String::from_utf8_lossy(&tail).trim().replace(char::is_control, " ");
        match ended {
            Err(_) => {
                Err(HookError::TimedOut { program: program(), timeout: self.timeout, stderr })
            }
            Ok(Err(source)) => Err(not_run(source)),
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(HookError::Failed { program: program(), status, stderr }),
        }
    }
}

/// Reads to the end and keeps the last of it, so that the program is never held up.
async fn follow(source: &mut Option<impl AsyncRead + Unpin>, tail: &mut Vec<u8>, for_ever: bool) {
    let mut buffer = [0; 4096];
    if let Some(source) = source {
        while let Ok(length @ 1..) = source.read(&mut buffer).await {
            tail.extend_from_slice(&buffer[..length]);
            tail.drain(..tail.len().saturating_sub(TOLD));
        }
    }
    if for_ever {
        std::future::pending::<()>().await;
    }
}

#[async_trait]
impl DnsProvider for ExecDns {
    async fn publish(&self, record: &TxtRecord) -> Result<(), DnsError> {
        self.call("present", record).await
    }

    async fn withdraw(&self, record: &TxtRecord) -> Result<(), DnsError> {
        self.call("cleanup", record).await
    }
}

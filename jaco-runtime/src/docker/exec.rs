//! Commands in containers of the engine.

use std::{
    fs,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use bollard::{
    models::{ExecConfig, ExecInspectResponse},
    query_parameters::ResizeExecOptionsBuilder,
};
use futures::{Stream, StreamExt, stream};
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use tokio_util::{codec::FramedRead, io::ReaderStream};

use super::{
    DockerRuntime,
    error::Engine as _,
    hijack::{Frames, hijack},
};
use crate::container::{
    Exec, ExecCommand, ExecControl, ExecOutput, ExecStream, RuntimeError, Signal, TerminalSize,
};

const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// A command may close its output long before it ends.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl DockerRuntime {
    pub(super) async fn run_command(
        &self,
        id: &str,
        request: &ExecCommand,
    ) -> Result<Exec, RuntimeError> {
        let client = self.client().await?;
        let created = client.create_exec(id, config(request)).await;
        let exec = match created.engine(self, "exec") {
            Ok(created) => created.id,
            // Stopped, paused or between two runs.
            Err(RuntimeError::Conflict { message }) => {
                return Err(RuntimeError::NotRunning { message });
            }
            Err(error) => return Err(error),
        };
        let path = format!("/v{}/exec/{exec}/start", client.client_version());
        let terminal = request.terminal.is_some();
        let body = serde_json::json!({ "Detach": false, "Tty": terminal }).to_string();
        let started = hijack(self.socket(), &path, body, "exec").await;
        let stream = started.map_err(|error| match error {
            RuntimeError::Conflict { message } => RuntimeError::NotRunning { message },
            error => error,
        })?;
        let (reader, writer) = tokio::io::split(stream);
        let running =
            Arc::new(Running { runtime: self.clone(), exec, terminal, refusal: OnceLock::new() });
        if let Some(size) = request.terminal {
            running.first_size(size).await;
        }
        let lost = self.clone();
        let broken = move |e: std::io::Error| RuntimeError::Unreachable {
            endpoint: lost.socket().display().to_string(),
            source: e.into(),
        };
        let pieces = if terminal {
            let plain = |bytes| ExecOutput { stderr: false, bytes };
            ReaderStream::new(reader).map(move |b| b.map(plain).map_err(&broken)).boxed()
        } else {
            FramedRead::new(reader, Frames::default()).map(move |f| f.map_err(&broken)).boxed()
        };
        let output = Arc::clone(&running).without_refusal(pieces);
        Ok(Exec { input: Box::pin(writer), output, control: running })
    }
}

fn config(request: &ExecCommand) -> ExecConfig {
    let environment = request.environment.iter().map(|(key, value)| format!("{key}={value}"));
    ExecConfig {
        attach_stdin: Some(request.stdin),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        // Engines before API 1.42 do not know it: see `first_size`.
        console_size: request.terminal.map(|t| vec![t.rows.into(), t.columns.into()]),
        tty: Some(request.terminal.is_some()),
        env: Some(environment.collect::<Vec<_>>()).filter(|e| !e.is_empty()),
        cmd: Some(request.command.clone()),
        user: request.user.clone(),
        working_dir: request.working_dir.clone(),
        privileged: Some(request.privileged),
        ..ExecConfig::default()
    }
}

/// A command that the engine was told to start.
struct Running {
    runtime: DockerRuntime,
    exec: String,
    terminal: bool,
    /// What the engine wrote in place of output because it could not start the command.
    refusal: OnceLock<String>,
}

fn runs(seen: &ExecInspectResponse) -> bool {
    seen.running.unwrap_or_default()
}

fn process(seen: &ExecInspectResponse) -> Option<Pid> {
    seen.pid.and_then(|p| p.try_into().ok()).and_then(Pid::from_raw)
}

/// The exit code of a command that has ended without ever having had a process.
fn refused(seen: &ExecInspectResponse) -> Option<i64> {
    let code = seen.exit_code.filter(|code| matches!(code, 126 | 127))?;
    (!runs(seen) && process(seen).is_none()).then_some(code)
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

impl Running {
    async fn look(&self) -> Result<ExecInspectResponse, RuntimeError> {
        let client = self.runtime.client().await?;
        match client.inspect_exec(&self.exec).await.engine(&self.runtime, "exec") {
            Err(RuntimeError::NotFound { .. }) => Err(RuntimeError::NotRunning {
                message: "the container has ended and was removed".to_owned(),
            }),
            other => other,
        }
    }

    /// What it is once it has a process, or has ended without.
    async fn started(&self) -> Result<ExecInspectResponse, RuntimeError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let seen = self.look().await?;
            if !runs(&seen) || process(&seen).is_some() {
                return Ok(seen);
            }
            tokio::time::sleep(pause).await;
            pause = longer(pause);
        }
    }

    /// The terminal's size at the start, for engines that do not take it with the command. A
    /// command that ends at once needs none.
    async fn first_size(&self, size: TerminalSize) {
        let resized = match self.started().await {
            Ok(seen) if runs(&seen) => self.resize(size).await,
            other => other.map(drop),
        };
        if let Err(error) = resized {
            tracing::debug!(%error, "the terminal keeps its first size");
        }
    }

    /// The output, unless it is the engine's own words about why the command was not started:
    /// those are kept for [`ExecControl::wait`]. They look like output, and only the state of the
    /// command tells.
    fn without_refusal(
        self: Arc<Self>,
        pieces: impl Stream<Item = Result<ExecOutput, RuntimeError>> + Send + Unpin + 'static,
    ) -> ExecStream {
        let state = (self, pieces, true);
        stream::unfold(state, |(running, mut pieces, first)| async move {
            let piece = pieces.next().await?;
            if first && let Ok(output) = &piece {
                let seen = running.look().await;
                if seen.is_ok_and(|seen| refused(&seen).is_some()) {
                    let mut words = output.bytes.to_vec();
                    while let Some(Ok(more)) = pieces.next().await {
                        words.extend_from_slice(&more.bytes);
                    }
                    let words = String::from_utf8_lossy(&words).trim().to_owned();
                    // Set once: the first piece comes once.
                    let _ = running.refusal.set(words);
                    return None;
                }
            }
            Some((piece, (running, pieces, false)))
        })
        .boxed()
    }
}

#[async_trait]
impl ExecControl for Running {
    async fn resize(&self, size: TerminalSize) -> Result<(), RuntimeError> {
        if !self.terminal {
            return Ok(());
        }
        let options =
            ResizeExecOptionsBuilder::default().h(size.rows.into()).w(size.columns.into()).build();
        let client = self.runtime.client().await?;
        client.resize_exec(&self.exec, options).await.engine(&self.runtime, "resize")
    }

    /// The engine has no request for this. The process is looked up by its id on this host, and
    /// must be in a control group of its container: an engine on another host fails here.
    async fn signal(&self, signal: Signal) -> Result<(), RuntimeError> {
        let seen = self.started().await?;
        let (true, Some(pid)) = (runs(&seen), process(&seen)) else { return Ok(()) };
        let failed = |message: String| RuntimeError::Refused { status: 500, message };
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            Err(e) => return Err(failed(format!("cannot signal process {pid:?}: {e}"))),
        };
        let container = seen.container_id.unwrap_or_default();
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", pid.as_raw_nonzero()));
        if container.is_empty() || !groups.is_ok_and(|text| text.contains(&container)) {
            let message = "processes of this container are not visible to this node".to_owned();
            return Err(failed(message));
        }
        match pidfd_send_signal(&handle, number(signal)) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(e) => Err(failed(format!("cannot signal process {pid:?}: {e}"))),
        }
    }

    async fn wait(&self) -> Result<i64, RuntimeError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let seen = self.look().await?;
            if let Some(exit_code) = refused(&seen) {
                let unsaid = || "the command could not be started".to_owned();
                let message = self.refusal.get().cloned().unwrap_or_else(unsaid);
                return Err(RuntimeError::CannotExecute { exit_code, message });
            }
            if let (false, Some(code)) = (runs(&seen), seen.exit_code) {
                return Ok(code);
            }
            tokio::time::sleep(pause).await;
            pause = longer(pause);
        }
    }
}

fn number(signal: Signal) -> rustix::process::Signal {
    use rustix::process::Signal as S;
    match signal {
        Signal::Hangup => S::HUP,
        Signal::Interrupt => S::INT,
        Signal::Quit => S::QUIT,
        Signal::Kill => S::KILL,
        Signal::User1 => S::USR1,
        Signal::User2 => S::USR2,
        Signal::Terminate => S::TERM,
    }
}

//! One process: how it is started, watched and stopped.

use std::{process::Stdio, time::Duration};

use jaco_api::model::ContainerSpec;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::oneshot,
};

/// Starts the command of a service.
pub(crate) fn spawn(spec: &ContainerSpec) -> std::io::Result<Child> {
    let mut words = spec.entrypoint.iter().flatten().chain(spec.command.iter().flatten());
    let program = words.next().map_or("true", String::as_str);
    let mut command = Command::new(program);
    command.args(words).env_clear().env("PATH", "/usr/bin:/bin");
    let set = spec.environment.iter().filter_map(|(k, v)| v.as_ref().map(|v| (k, v)));
    command.envs(set).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Waits until the process ends, by itself or because `stop` asks for it; returns its exit code.
pub(crate) async fn until_ended(mut child: Child, stop: oneshot::Receiver<Duration>) -> i64 {
    let ended = tokio::select! {
        ended = child.wait() => ended,
        // A real one would send the service's own signal first and give it the grace period.
        _ = stop => {
            let _ = child.start_kill();
            child.wait().await
        }
    };
    ended.ok().and_then(|status| status.code()).map_or(137, i64::from)
}

/// Calls `line` with every line of an output of the process.
pub(crate) async fn read_lines(
    output: Option<impl AsyncRead + Unpin>,
    mut line: impl FnMut(String),
) {
    let Some(output) = output else { return };
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(text)) = lines.next_line().await {
        line(text);
    }
}

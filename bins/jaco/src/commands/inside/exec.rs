//! `jaco exec`: a command in a container, on whichever node it is.
//!
//! Bytes go through as they are: input, output, and the exit code. With a terminal, keys and its
//! size go through, too; without one, signals that this program gets.

use std::{collections::BTreeMap, time::Duration};

use bytes::BytesMut;
use clap::Args;
use futures::StreamExt as _;
use jaco_api::model::{ExecCommand, Signal, TerminalSize};
use jaco_client::{Client, Deaf, ExecEvent, ExecInput, ExecOutput};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    signal::unix::{SignalKind, signal},
};

use super::terminal::{Raw, size};
use crate::{
    commands::{complete, target::Container},
    error::Error,
    output::Output,
};

/// Bytes of input in one message.
const PIECE: usize = 32 << 10;
/// Longest wait for a signal to be on its way.
const PATIENCE: Duration = Duration::from_secs(1);
/// A terminal that does not tell its size.
const USUAL: TerminalSize = TerminalSize { rows: 24, columns: 80 };

/// Arguments of `jaco exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// A replica, or a service: then whichever of its replicas runs best.
    #[arg(value_name = "REPLICA|DEPLOYMENT/SERVICE", add = complete::containers())]
    pub container: Container,
    /// Pass standard input on.
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the command a terminal.
    #[arg(short, long)]
    pub tty: bool,
    /// Set a variable for the command; without a value, to what it is here.
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// User to run it as, instead of the container's own.
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Directory to run it in, instead of the container's own.
    #[arg(short, long, value_name = "PATH")]
    pub workdir: Option<String>,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Runs the command to its end; its exit code becomes this program's.
///
/// # Errors
/// `replica_not_found`, `replica_not_running`, `exec_failed`; [`Error::Exited`] when it ended with
/// another code than 0.
pub async fn run(args: &ExecArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let terminal = args.tty.then(|| size().unwrap_or(USUAL));
    let command = ExecCommand {
        command: args.command.clone(),
        environment: environment(&args.env, |name| std::env::var(name).ok()),
        user: args.user.clone(),
        working_dir: args.workdir.clone(),
        privileged: false,
        terminal,
        stdin: args.interactive,
    };
    let exec = client.exec(&args.container.target(), &command).await?;
    let raw = match (args.tty, args.interactive) {
        (true, true) => Some(Raw::take().map_err(Error::Terminal)?.ok_or(Error::NoTerminal)?),
        _ => None,
    };
    let typing = async {
        // A command that hears nothing any more has ended: its output says how.
        let _ = type_in(args.interactive, tokio::io::stdin(), &exec.input).await;
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = show(exec.output, out) => ended,
        end = pass_signals(args.tty, &exec.input) => end,
        () = typing => Err(Error::Lost),
    };
    drop(raw);
    match ended? {
        0 => Ok(()),
        code => Err(Error::Exited(code)),
    }
}

/// Variables as `docker exec` takes them.
fn environment(set: &[String], here: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    set.iter()
        .filter_map(|entry| match entry.split_once('=') {
            Some((name, value)) => Some((name.to_owned(), value.to_owned())),
            None => here(entry).map(|value| (entry.clone(), value)),
        })
        .collect()
}

/// Passes input on until it ends.
async fn type_in(
    interactive: bool,
    mut input: impl AsyncRead + Unpin,
    to: &ExecInput,
) -> Result<(), Deaf> {
    if !interactive {
        return Ok(());
    }
    let mut piece = BytesMut::new();
    loop {
        piece.reserve(PIECE);
        // An input that breaks is at its end.
        match input.read_buf(&mut piece).await {
            Ok(0) | Err(_) => return to.end().await,
            Ok(_) => to.write(piece.split().freeze()).await?,
        }
    }
}

/// Passes on what this program is told. Ends, with the exit code, when somebody insists: by a second
/// signal, or by any with a terminal, where Ctrl-C is a key like others.
async fn pass_signals(tty: bool, to: &ExecInput) -> Result<i32, Error> {
    let listen = |kind| signal(kind).map_err(Error::Terminal);
    let mut resized = listen(SignalKind::window_change())?;
    let mut interrupted = listen(SignalKind::interrupt())?;
    let mut quit = listen(SignalKind::quit())?;
    let mut terminated = listen(SignalKind::terminate())?;
    let mut hung_up = listen(SignalKind::hangup())?;
    let mut told = false;
    loop {
        let signal = tokio::select! {
            _ = resized.recv(), if tty => {
                if let Some(size) = size() {
                    // One that hears nothing has ended.
                    let _ = to.resize(size).await;
                }
                continue;
            }
            _ = interrupted.recv() => Signal::Interrupt,
            _ = quit.recv() => Signal::Quit,
            _ = terminated.recv() => Signal::Terminate,
            _ = hung_up.recv() => Signal::Hangup,
        };
        if tty || std::mem::replace(&mut told, true) {
            return Ok(128 + i32::from(signal.number()));
        }
        // Behind input that the command does not read, a signal would wait for ever.
        let _ = tokio::time::timeout(PATIENCE, to.signal(signal)).await;
    }
}

/// Writes what the command writes; its exit code.
async fn show(mut output: ExecOutput, out: &mut Output) -> Result<i32, Error> {
    while let Some(event) = output.next().await {
        match event? {
            ExecEvent::Stdout(bytes) => out.bytes(&bytes)?,
            ExecEvent::Stderr(bytes) => out.error_bytes(&bytes),
            ExecEvent::Exited(code) => return Ok(code),
        }
    }
    Err(Error::Lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_given_or_taken_from_here() {
        let here = |name: &str| (name == "HOME").then(|| "/root".to_owned());
        let set = ["A=1", "B=", "C=x=y", "HOME", "NOPE"].map(str::to_owned);
        let expected = [("A", "1"), ("B", ""), ("C", "x=y"), ("HOME", "/root")];
        let expected = expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(environment(&set, here), expected);
    }
}

//! Carries input and output of a command that runs in a container of this node.

use futures::{StreamExt as _, stream::BoxStream};
use jaco_api::error::ApiError;
use jaco_runtime::container::{Exec, ExecOutput, Signal};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
};

use super::containers::refusal;
use crate::rpc::{CommandInput, CommandOutput, RunningCommand};

/// Pieces of output that wait for the reader.
const PIECES: usize = 8;
/// Pieces of input that wait for the command: while it does not read, signals and sizes still get
/// past so many.
const TYPED: usize = 64;

/// Somebody who is not there any more.
struct Gone;

/// The command with its input and output as streams.
pub(super) fn attend(exec: Exec, input: BoxStream<'static, CommandInput>) -> RunningCommand {
    let (sender, output) = mpsc::channel(PIECES);
    RunningCommand { output, work: Box::pin(carry(exec, input, sender)) }
}

type Outputs = mpsc::Sender<Result<CommandOutput, ApiError>>;

/// Until the command has ended, or nobody reads its output any more: then it is told so, as a
/// terminal that goes away tells it.
async fn carry(exec: Exec, mut input: BoxStream<'static, CommandInput>, sender: Outputs) {
    let Exec { input: stdin, mut output, control } = exec;
    let (typed, typing) = mpsc::channel(TYPED);
    let steering = async {
        let mut typed = Some(typed);
        while let Some(input) = input.next().await {
            let told = match input {
                CommandInput::Stdin(bytes) => {
                    if let Some(typed) = &typed {
                        // A command that has closed its input misses the rest.
                        let _ = typed.send(bytes).await;
                    }
                    Ok(())
                }
                CommandInput::End => {
                    typed = None;
                    Ok(())
                }
                CommandInput::Resize(size) => control.resize(size).await,
                CommandInput::Signal(signal) => control.signal(signal).await,
            };
            if let Err(error) = told {
                tracing::warn!(%error, "a command could not be told something");
            }
        }
        drop(typed);
        std::future::pending::<()>().await;
    };
    let showing = async {
        while let Some(piece) = output.next().await {
            let piece = piece.map(of_command).map_err(refusal);
            let broken = piece.is_err();
            sender.send(piece).await.map_err(|_| Gone)?;
            if broken {
                return Ok(());
            }
        }
        let end = control.wait().await.map(CommandOutput::Exited).map_err(refusal);
        sender.send(end).await.map_err(|_| Gone)
    };
    let ended = tokio::select! {
        ended = showing => ended,
        ((), ()) = async { tokio::join!(steering, write(stdin, typing)) } => Ok(()),
        () = sender.closed() => Err(Gone),
    };
    if ended.is_err()
        && let Err(error) = control.signal(Signal::Hangup).await
    {
        tracing::warn!(%error, "a command was left running: it cannot be told that its caller went");
    }
}

fn of_command(piece: ExecOutput) -> CommandOutput {
    if piece.stderr {
        CommandOutput::Stderr(piece.bytes)
    } else {
        CommandOutput::Stdout(piece.bytes)
    }
}

/// Writes what is typed; the end of that is the end of the input.
async fn write(
    mut stdin: std::pin::Pin<Box<dyn AsyncWrite + Send>>,
    mut typing: mpsc::Receiver<bytes::Bytes>,
) {
    while let Some(bytes) = typing.recv().await {
        if stdin.write_all(&bytes).await.is_err() {
            // It has closed its input or has ended; its output tells.
            return;
        }
        if typing.is_empty() {
            let _ = stdin.flush().await;
        }
    }
    let _ = stdin.shutdown().await;
}

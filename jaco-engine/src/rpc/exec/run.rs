//! Commands in containers of this node.

use std::sync::Arc;

use futures::{StreamExt as _, stream::BoxStream};
use jaco_api::{
    model::{ExecCommand, ReplicaId},
    pb::{self, exec_input, exec_output},
};
use tonic::{Response, Status};

use super::super::{
    Api, CommandInput, CommandOutput,
    stream::{Answers, Gone, answers},
};

/// Characters of a program's name that are noted.
const NOTED: usize = 64;

/// What the audit log keeps of a command: the program, and how many arguments it had.
pub(super) fn facts(command: &ExecCommand) -> [(&'static str, String); 4] {
    let program = command.command.first().map(String::as_str).unwrap_or_default();
    // A whole command line in one word is not a name.
    let program = program.split_whitespace().next().unwrap_or_default();
    let program: String = program.chars().take(NOTED).collect();
    let arguments = command.command.len().saturating_sub(1);
    [
        ("action", "run".to_owned()),
        ("program", program),
        ("arguments", arguments.to_string()),
        ("terminal", command.terminal.is_some().to_string()),
    ]
}

/// What a caller sends, up to the first message that cannot be read.
pub(in super::super) fn inputs(
    messages: BoxStream<'static, Option<pb::ExecInput>>,
) -> BoxStream<'static, CommandInput> {
    messages
        .map(|message| match message?.input? {
            exec_input::Input::Stdin(bytes) => Some(CommandInput::Stdin(bytes)),
            exec_input::Input::End(_) => Some(CommandInput::End),
            exec_input::Input::Resize(size) => Some(CommandInput::Resize(size.try_into().ok()?)),
            exec_input::Input::Signal(signal) => {
                let signal = pb::ExecSignal::try_from(signal).ok()?.try_into().ok()?;
                Some(CommandInput::Signal(signal))
            }
            exec_input::Input::Start(_) => None,
        })
        .take_while(|input| std::future::ready(input.is_some()))
        .filter_map(std::future::ready)
        .boxed()
}

/// Runs a command in a container of this node.
pub(in super::super) async fn run(
    api: &Arc<Api>,
    replica: &ReplicaId,
    container: &str,
    command: ExecCommand,
    inputs: BoxStream<'static, CommandInput>,
) -> Result<Response<Answers<pb::ExecOutput>>, Status> {
    let running = api.containers.run(container, command, inputs).await?;
    // Not ended with the listener: it still sends the hangup when the answers are dropped.
    api.streams.spawn(running.work);
    let mut output = running.output;
    let place = pb::ReplicaPlace { replica: replica.to_string(), node: api.node.to_string() };
    Ok(answers(api, |reader| {
        Box::pin(async move {
            let started = exec_output::Output::Started(place);
            reader.send(pb::ExecOutput { output: Some(started) }).await?;
            loop {
                tokio::select! {
                    next = output.recv() => match next {
                        Some(Ok(output)) => reader.send(message(output)).await?,
                        Some(Err(error)) => {
                            reader.fail(error).await;
                            return Ok(());
                        }
                        None => return Ok(()),
                    },
                    () = reader.gone() => return Err(Gone),
                }
            }
        })
    }))
}

fn message(output: CommandOutput) -> pb::ExecOutput {
    let output = match output {
        CommandOutput::Stdout(bytes) => exec_output::Output::Stdout(bytes),
        CommandOutput::Stderr(bytes) => exec_output::Output::Stderr(bytes),
        CommandOutput::Exited(code) => {
            exec_output::Output::ExitCode(i32::try_from(code).unwrap_or(i32::MAX))
        }
    };
    pb::ExecOutput { output: Some(output) }
}

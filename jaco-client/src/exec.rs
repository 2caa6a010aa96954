//! Commands in containers.

use std::pin::Pin;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream, stream::BoxStream};
use jaco_api::{
    model::{DeploymentName, ExecCommand, NodeName, ReplicaId, ServiceName, Signal, TerminalSize},
    pb::{self, exec_client::ExecClient, exec_input, exec_output},
};
use tokio::sync::mpsc;
use tonic::{Request, Streaming};

use crate::{Client, Error, call::MAX_MESSAGE, retry::Repeat};

/// Messages on their way to the cluster.
const WAITING: usize = 4;

/// Which container: one replica's, or that of whichever replica of a service runs best.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaTarget {
    /// This replica.
    Replica(ReplicaId),
    /// Any replica of this service.
    Service(DeploymentName, ServiceName),
}

impl From<&ReplicaTarget> for pb::ReplicaTarget {
    fn from(target: &ReplicaTarget) -> Self {
        match target {
            ReplicaTarget::Replica(id) => Self { replica: id.to_string(), ..Self::default() },
            ReplicaTarget::Service(deployment, service) => Self {
                replica: String::new(),
                deployment: deployment.to_string(),
                service: service.to_string(),
            },
        }
    }
}

/// The replica that was chosen, and its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaPlace {
    /// The replica.
    pub replica: ReplicaId,
    /// Its node.
    pub node: NodeName,
}

impl TryFrom<pb::ReplicaPlace> for ReplicaPlace {
    type Error = Error;
    fn try_from(p: pb::ReplicaPlace) -> Result<Self, Error> {
        Ok(Self {
            replica: p.replica.parse().map_err(Error::answer)?,
            node: p.node.parse().map_err(Error::answer)?,
        })
    }
}

/// A command that runs. When both halves are dropped it is sent a hangup, as by a terminal that
/// goes away.
pub struct Exec {
    /// Where it runs.
    pub place: ReplicaPlace,
    /// What goes to it.
    pub input: ExecInput,
    /// What comes of it.
    pub output: ExecOutput,
}

/// What comes of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecEvent {
    /// From its standard output, or its terminal.
    Stdout(Bytes),
    /// From its standard error.
    Stderr(Bytes),
    /// It has ended with this exit code; 128 and more when a signal ended it. Nothing follows.
    Exited(i32),
}

/// The command has ended, or the connection to it is lost: its output says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the command hears nothing any more")]
pub struct Deaf;

/// What goes to a command. Clones go to the same one.
#[derive(Debug, Clone)]
pub struct ExecInput {
    sender: mpsc::Sender<pb::ExecInput>,
}

impl ExecInput {
    async fn send(&self, input: exec_input::Input) -> Result<(), Deaf> {
        self.sender.send(pb::ExecInput { input: Some(input) }).await.map_err(|_| Deaf)
    }
    /// Bytes for its standard input. Waits while it does not read.
    ///
    /// # Errors
    /// [`Deaf`].
    pub async fn write(&self, bytes: Bytes) -> Result<(), Deaf> {
        self.send(exec_input::Input::Stdin(bytes)).await
    }
    /// Its standard input is at its end.
    ///
    /// # Errors
    /// [`Deaf`].
    pub async fn end(&self) -> Result<(), Deaf> {
        self.send(exec_input::Input::End(true)).await
    }
    /// Its terminal has another size.
    ///
    /// # Errors
    /// [`Deaf`].
    pub async fn resize(&self, size: TerminalSize) -> Result<(), Deaf> {
        self.send(exec_input::Input::Resize(size.into())).await
    }
    /// Tells its process something.
    ///
    /// # Errors
    /// [`Deaf`].
    pub async fn signal(&self, signal: Signal) -> Result<(), Deaf> {
        self.send(exec_input::Input::Signal(pb::ExecSignal::from(signal).into())).await
    }
}

/// What comes of a command, in order. A stream that ends without [`ExecEvent::Exited`] ends with the
/// error that says why: `exec_failed` when the command could not be started.
pub struct ExecOutput {
    events: BoxStream<'static, Result<ExecEvent, Error>>,
}

impl Stream for ExecOutput {
    type Item = Result<ExecEvent, Error>;
    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.events.poll_next_unpin(cx)
    }
}

impl std::fmt::Debug for ExecOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExecOutput")
    }
}

impl std::fmt::Debug for Exec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exec").field("place", &self.place).finish_non_exhaustive()
    }
}

/// A stream of messages that begins with `first`; the others are put into the sender.
pub(crate) fn upward<T: Send + 'static>(
    first: T,
) -> (mpsc::Sender<T>, impl Stream<Item = T> + Send + 'static) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let rest =
        stream::unfold(
            receiver,
            |mut receiver| async move { Some((receiver.recv().await?, receiver)) },
        );
    (sender, stream::once(async { first }).chain(rest))
}

/// The same of a call: its metadata stay.
pub(crate) fn upward_call<T: Send + 'static>(
    call: Request<T>,
) -> (mpsc::Sender<T>, Request<impl Stream<Item = T> + Send + 'static>) {
    let (metadata, extensions, first) = call.into_parts();
    let (sender, stream) = upward(first);
    (sender, Request::from_parts(metadata, extensions, stream))
}

impl Client {
    /// Runs a command in a container, wherever it is.
    ///
    /// # Errors
    /// `replica_not_found`, `replica_not_running`, `permission_denied`, `node_unreachable`. That the
    /// command could not be started is told by its output.
    pub async fn exec(&self, target: &ReplicaTarget, command: &ExecCommand) -> Result<Exec, Error> {
        let start =
            pb::ExecStart { target: Some(target.into()), command: Some(command.clone().into()) };
        let first = pb::ExecInput { input: Some(exec_input::Input::Start(start)) };
        let (sender, mut outputs) = self
            .call(Repeat::Harmful, &first, |c, r| async move {
                let (sender, r) = upward_call(r);
                let mut client = ExecClient::new(c).max_decoding_message_size(MAX_MESSAGE);
                Ok(client.run(r).await?.map(|outputs| (sender, outputs)))
            })
            .await?;
        let place = started(&mut outputs).await?;
        let events = outputs.filter_map(|output| async {
            match output {
                Ok(output) => event(output).map(Ok),
                Err(status) => Some(Err(Error::from(status))),
            }
        });
        let output = ExecOutput { events: events.boxed() };
        Ok(Exec { place, input: ExecInput { sender }, output })
    }
}

async fn started(outputs: &mut Streaming<pb::ExecOutput>) -> Result<ReplicaPlace, Error> {
    match outputs.message().await?.and_then(|m| m.output) {
        Some(exec_output::Output::Started(place)) => place.try_into(),
        _ => Err(Error::answer("the first answer does not say where the command runs")),
    }
}

fn event(output: pb::ExecOutput) -> Option<ExecEvent> {
    match output.output? {
        exec_output::Output::Started(_) => None,
        exec_output::Output::Stdout(bytes) => Some(ExecEvent::Stdout(bytes)),
        exec_output::Output::Stderr(bytes) => Some(ExecEvent::Stderr(bytes)),
        exec_output::Output::ExitCode(code) => Some(ExecEvent::Exited(code)),
    }
}

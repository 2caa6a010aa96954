//! Commands, files and ports of the fake: what the tables say.

use futures::{StreamExt as _, stream};
use jaco_api::{
    error::{ApiError, ErrorCode},
    pb::*,
};
use tonic::{Request, Status, Streaming};

use super::{
    FakeCluster, Tables,
    services::{Answer, Rows, missing, rows},
};

/// The replica that does what is asked of a service: its first one.
fn place(t: &Tables, target: &ReplicaTarget) -> Result<ReplicaPlace, ApiError> {
    let found = t.replicas.values().find(|r| {
        let id = &r.id;
        id.to_string() == target.replica
            || (id.deployment == *target.deployment && id.service == *target.service)
    });
    found
        .map(|r| ReplicaPlace { replica: r.id.to_string(), node: r.node.to_string() })
        .ok_or_else(|| missing(ErrorCode::ReplicaNotFound, "such replica"))
}

fn name(target: &ReplicaTarget) -> String {
    match target.replica.as_str() {
        "" => format!("{}/{}", target.deployment, target.service),
        replica => replica.to_owned(),
    }
}

/// What the word for an input is.
fn word(input: exec_input::Input) -> String {
    match input {
        exec_input::Input::Start(_) => "start".to_owned(),
        exec_input::Input::Stdin(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        exec_input::Input::End(_) => "(end)".to_owned(),
        exec_input::Input::Resize(size) => format!("(size {}x{})", size.rows, size.columns),
        exec_input::Input::Signal(signal) => format!("(signal {signal})"),
    }
}

async fn first<M>(request: &mut Request<Streaming<M>>) -> Result<M, Status> {
    let message = request.get_mut().message().await?;
    message.ok_or_else(|| Status::invalid_argument("no first message"))
}

#[tonic::async_trait]
impl exec_server::Exec for FakeCluster {
    type RunStream = Rows<ExecOutput>;
    type CopyOutStream = Rows<CopyPiece>;
    type ForwardStream = Rows<ForwardOutput>;

    async fn run(&self, mut r: Request<Streaming<ExecInput>>) -> Answer<Self::RunStream> {
        let Some(exec_input::Input::Start(start)) = first(&mut r).await?.input else {
            return Err(Status::invalid_argument("no start"));
        };
        let target = start.target.unwrap_or_default();
        let command = start.command.unwrap_or_default();
        let terminal = command.terminal.map(|t| format!(" {}x{}", t.rows, t.columns));
        let call =
            format!("exec {} {:?}{}", name(&target), command.command, terminal.unwrap_or_default());
        let answer = self.answer(&r, call, |t| {
            let started = exec_output::Output::Started(place(t, &target)?);
            let started = ExecOutput { output: Some(started) };
            Ok((started, t.command.clone()))
        })?;
        let (started, outputs) = answer.into_inner();
        let ends = outputs
            .last()
            .is_some_and(|o| matches!(o.output, Some(exec_output::Output::ExitCode(_))));
        let (fake, mut inputs) = (self.clone(), r.into_inner());
        // What is typed is noted before the command ends.
        let (noted, all) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let mut noted = Some(noted);
            while let Ok(Some(message)) = inputs.message().await {
                let Some(input) = message.input else { continue };
                let last = matches!(input, exec_input::Input::End(_));
                fake.edit(|t| t.typed.push(word(input)));
                if last {
                    // Nobody waits when the command reads nothing.
                    let _ = noted.take().map(|noted| noted.send(()));
                }
            }
        });
        let begun = stream::iter(std::iter::once(started));
        let rest = if ends && command.stdin {
            let outputs = async move {
                let _ = all.await;
                stream::iter(outputs)
            };
            stream::once(outputs).flatten().boxed()
        } else if ends {
            stream::iter(outputs).boxed()
        } else {
            stream::iter(outputs).chain(stream::pending()).boxed()
        };
        Ok(tonic::Response::new(begun.chain(rest).map(Ok).boxed()))
    }

    async fn path(&self, r: Request<PathRequest>) -> Answer<PathInfo> {
        let PathRequest { replica, path } = r.get_ref().clone();
        self.answer(&r, format!("path {replica}:{path}"), |t| {
            let message = format!("no such file or directory: {path}");
            let nothing = || ApiError::new(ErrorCode::PathNotFound, message);
            t.paths.get(&path).cloned().ok_or_else(nothing)
        })
    }

    async fn copy_out(&self, r: Request<PathRequest>) -> Answer<Self::CopyOutStream> {
        let PathRequest { replica, path } = r.get_ref().clone();
        self.answer(&r, format!("copy out {replica}:{path}"), |t| {
            let message = format!("no such file or directory: {path}");
            let nothing = || ApiError::new(ErrorCode::PathNotFound, message);
            let tar = t.archives.get(&path).ok_or_else(nothing)?;
            let piece = |bytes: &[u8]| CopyPiece { data: bytes.to_vec().into() };
            Ok(rows(tar.chunks(1000).map(piece).collect()))
        })
    }

    async fn copy_in(&self, mut r: Request<Streaming<CopyInput>>) -> Answer<CopyInResponse> {
        let Some(copy_input::Input::Start(PathRequest { replica, path })) =
            first(&mut r).await?.input
        else {
            return Err(Status::invalid_argument("no start"));
        };
        let mut tar = Vec::new();
        let mut whole = false;
        while let Some(message) = r.get_mut().message().await? {
            match message.input {
                Some(copy_input::Input::Data(data)) => tar.extend_from_slice(&data),
                Some(copy_input::Input::End(_)) => whole = true,
                Some(copy_input::Input::Start(_)) | None => {}
            }
        }
        self.answer(&r, format!("copy in {replica}:{path}"), |t| {
            if !whole {
                return Err(ApiError::new(ErrorCode::ValidationFailed, "the archive broke off"));
            }
            t.archives.insert(path, tar);
            Ok(CopyInResponse {})
        })
    }

    async fn forward(
        &self,
        mut r: Request<Streaming<ForwardInput>>,
    ) -> Answer<Self::ForwardStream> {
        let Some(forward_input::Input::Start(start)) = first(&mut r).await?.input else {
            return Err(Status::invalid_argument("no start"));
        };
        let target = start.target.unwrap_or_default();
        let answer = self.answer(&r, format!("forward {}:{}", name(&target), start.port), |t| {
            Ok(forward_output::Output::Opened(place(t, &target)?))
        })?;
        let message = |output| Ok(ForwardOutput { output: Some(output) });
        // It answers with what it is sent.
        let echo = r.into_inner().filter_map(|input| async {
            match input.ok()?.input? {
                forward_input::Input::Data(data) => Some(forward_output::Output::Data(data)),
                forward_input::Input::Start(_) => None,
            }
        });
        let end = stream::once(async { forward_output::Output::End(true) });
        let opened = stream::once(async { answer.into_inner() });
        Ok(tonic::Response::new(opened.chain(echo).chain(end).map(message).boxed()))
    }
}

//! `jaco.v1.Exec`.
//!
//! A call is admitted here, where the operator was authenticated: may they, which replica is it,
//! note it in the audit log. Then it is done here or passed on; either way the messages are the
//! same.

mod copy;
mod forward;
mod run;
mod site;
mod target;

use std::sync::Arc;

use futures::StreamExt as _;
use jaco_api::{
    convert::parse,
    error::{ApiError, ErrorCode},
    model::{ExecCommand, ReplicaId},
    pb::{self, copy_input, exec_input, exec_server, forward_input},
};
use tonic::{Request, Response, Status, Streaming};

pub(super) use self::{
    copy::{Piece, archive, pieces},
    forward::{connect, forward, port},
    run::{inputs, run},
};
use self::{
    site::{Errand, Far, Way},
    target::Target,
};
use super::{
    Api,
    gate::caller,
    relay::{Upstream, pass_back, pass_on, relayed},
    stream::Answers,
};

/// Replicas of a service that are tried for one connection.
const TRIES: usize = 3;

/// Commands in containers, their files and connections to their ports.
pub(crate) struct Service(pub(crate) Arc<Api>);

#[tonic::async_trait]
impl exec_server::Exec for Service {
    type RunStream = Answers<pb::ExecOutput>;
    type CopyOutStream = Answers<pb::CopyPiece>;
    type ForwardStream = Answers<pb::ForwardOutput>;

    async fn run(
        &self,
        request: Request<Streaming<pb::ExecInput>>,
    ) -> Result<Response<Self::RunStream>, Status> {
        let who = caller(&request)?;
        let mut inputs = request.into_inner();
        let Some(exec_input::Input::Start(start)) = inputs.message().await?.and_then(|m| m.input)
        else {
            return Err(no_start().into());
        };
        let target = Target::parse(start.target)?;
        let command = start.command.unwrap_or_default();
        let command = ExecCommand::try_from(command).map_err(ApiError::from)?;
        let errand = Errand::admit(&self.0, who, &target)?;
        let site = errand.best(&self.0)?;
        errand.note(&site, run::facts(&command)).await?;
        match site.way {
            Way::Here => {
                let inputs = self::inputs(inputs.map(|input| input.ok()).boxed());
                run(&self.0, &site.found.replica.id, &site.found.container, command, inputs).await
            }
            Way::There(far) => {
                let Far { mut client, header } = *far;
                let start = pb::RelayRunStart { header, command: Some(command.into()) };
                let message = pb::relay_run::Message::Start(start);
                let (way, upward) = Upstream::begin(pb::RelayRun { message: Some(message) });
                let answer = client.run(upward).await;
                let outputs = answer.map_err(|s| relayed(&site.node, s))?.into_inner();
                let inputs = inputs.map(|input| {
                    let message = pb::relay_run::Message::Input(input?);
                    Ok(pb::RelayRun { message: Some(message) })
                });
                Ok(pass_on(&self.0, site.node, inputs.boxed(), way, outputs))
            }
        }
    }

    async fn path(
        &self,
        request: Request<pb::PathRequest>,
    ) -> Result<Response<pb::PathInfo>, Status> {
        let who = caller(&request)?;
        let pb::PathRequest { replica, path } = request.into_inner();
        let site = Errand::admit(&self.0, who, &one(&replica)?)?.best(&self.0)?;
        let path = copy::absolute(path)?;
        match site.way {
            Way::Here => {
                let info = self.0.containers.path(&site.found.container, &path).await?;
                Ok(Response::new(info.into()))
            }
            Way::There(far) => {
                let Far { mut client, header } = *far;
                let answer = client.path(pb::RelayPath { header, path }).await;
                Ok(answer.map_err(|s| relayed(&site.node, s))?)
            }
        }
    }

    async fn copy_out(
        &self,
        request: Request<pb::PathRequest>,
    ) -> Result<Response<Self::CopyOutStream>, Status> {
        let who = caller(&request)?;
        let pb::PathRequest { replica, path } = request.into_inner();
        let errand = Errand::admit(&self.0, who, &one(&replica)?)?;
        let path = copy::absolute(path)?;
        let site = errand.best(&self.0)?;
        errand.note(&site, copy::facts("copy_out", &path)).await?;
        match site.way {
            Way::Here => {
                let tar = self.0.containers.copy_out(&site.found.container, &path).await?;
                Ok(pieces(&self.0, tar))
            }
            Way::There(far) => {
                let Far { mut client, header } = *far;
                let answer = client.copy_out(pb::RelayPath { header, path }).await;
                let outputs = answer.map_err(|s| relayed(&site.node, s))?.into_inner();
                Ok(pass_back(&self.0, site.node, outputs))
            }
        }
    }

    async fn copy_in(
        &self,
        request: Request<Streaming<pb::CopyInput>>,
    ) -> Result<Response<pb::CopyInResponse>, Status> {
        let who = caller(&request)?;
        let mut inputs = request.into_inner();
        let Some(copy_input::Input::Start(start)) = inputs.message().await?.and_then(|m| m.input)
        else {
            return Err(no_start().into());
        };
        let pb::PathRequest { replica, path } = start;
        let errand = Errand::admit(&self.0, who, &one(&replica)?)?;
        let path = copy::absolute(path)?;
        let site = errand.best(&self.0)?;
        errand.note(&site, copy::facts("copy_in", &path)).await?;
        let data = copy::data(inputs);
        match site.way {
            Way::Here => {
                let tar = archive(data);
                self.0.containers.copy_in(&site.found.container, &path, tar).await?;
                Ok(Response::new(pb::CopyInResponse {}))
            }
            Way::There(far) => {
                let Far { client, header } = *far;
                let start = pb::RelayPath { header, path };
                copy::pass_in(client, &site.node, start, data).await
            }
        }
    }

    async fn forward(
        &self,
        request: Request<Streaming<pb::ForwardInput>>,
    ) -> Result<Response<Self::ForwardStream>, Status> {
        let who = caller(&request)?;
        let mut inputs = request.into_inner();
        let Some(forward_input::Input::Start(start)) =
            inputs.message().await?.and_then(|m| m.input)
        else {
            return Err(no_start().into());
        };
        let port = port(start.port)?;
        let errand = Errand::admit(&self.0, who, &Target::parse(start.target)?)?;
        let inputs = forward::data(inputs);
        let mut refusal = None;
        for site in errand.sites(&self.0).take(TRIES) {
            // A replica that has just gone is in the way of no connection to another one.
            match forward::open(&self.0, site?, port).await {
                Ok(opened) => return Ok(opened.carry(&self.0, inputs)),
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        Err(refusal.unwrap_or_else(no_start).into())
    }
}

fn no_start() -> ApiError {
    ApiError::new(ErrorCode::ValidationFailed, "the first message says what is to be done")
}

fn one(replica: &str) -> Result<Target, ApiError> {
    let id: ReplicaId = parse("replica", replica)?;
    Ok(Target::Replica(id))
}

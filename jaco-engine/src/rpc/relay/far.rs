//! `jaco.v1.Relay`: what this node does because another node was asked for it.
//!
//! The caller must be a present member, as its certificate says; the container must be one of the
//! named replica's in this cluster. Whether the operator may was decided where they are known.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use jaco_api::{
    convert::parse,
    error::{ApiError, ErrorCode},
    model::{Actor, ExecCommand, Identity, NodeName, ReplicaId},
    pb::{self, relay_copy, relay_forward, relay_run, relay_server},
};
use tonic::{Request, Response, Status, Streaming};

use super::super::{
    Api, Membership, diagnose,
    exec::{Piece, archive, connect, forward, inputs, pieces, port, run},
    logs, serving,
    stream::Answers,
    usage,
};
use crate::admission::Peer;

/// The services of one node for its fellow members.
#[derive(Clone)]
pub(crate) struct Relay(pub(crate) Arc<Api>);

/// A container of this node that a member may act on.
struct Admitted {
    replica: ReplicaId,
    container: String,
}

impl Relay {
    /// Refuses everybody but present members.
    fn member<T>(&self, request: &Request<T>) -> Result<Arc<Membership>, ApiError> {
        let denied = |why: &str| ApiError::new(ErrorCode::PermissionDenied, why);
        let membership = self.0.membership()?;
        let Some(Peer::Remote { certificate: Some(shown), .. }) = request.extensions().get() else {
            return Err(denied("only members may call this, with their certificate"));
        };
        if shown.cluster != membership.cluster {
            return Err(denied("the certificate belongs to another cluster"));
        }
        // A name may belong to another node by now; a number never does.
        let state = membership.state.newest();
        if state.node(shown.member).is_none_or(|node| node.name != shown.node) {
            return Err(denied("the certificate's node is no member"));
        }
        Ok(membership)
    }

    async fn admit(
        &self,
        membership: &Membership,
        what: &'static str,
        header: Option<pb::RelayHeader>,
    ) -> Result<Admitted, ApiError> {
        let header = header.unwrap_or_default();
        let identity: Identity = parse("identity", &header.identity)?;
        let asked: NodeName = parse("node", &header.node)?;
        let replica: ReplicaId = parse("replica", &header.replica)?;
        self.0.containers.check(membership.cluster, &replica, &header.container).await?;
        tracing::info!(%identity, uid = header.uid, %asked, %replica, what, "done for another node");
        Ok(Admitted { replica, container: header.container })
    }
}

fn no_start() -> ApiError {
    ApiError::new(ErrorCode::VersionMismatch, "the first message does not say what is to be done")
}

#[tonic::async_trait]
impl relay_server::Relay for Relay {
    type RunStream = Answers<pb::ExecOutput>;
    type CopyOutStream = Answers<pb::CopyPiece>;
    type ForwardStream = Answers<pb::ForwardOutput>;
    type LogsStream = Answers<pb::RelayLines>;
    type UsageStream = Answers<pb::UsageReport>;

    async fn run(
        &self,
        request: Request<Streaming<pb::RelayRun>>,
    ) -> Result<Response<Self::RunStream>, Status> {
        let membership = self.member(&request)?;
        let mut messages = request.into_inner();
        let Some(relay_run::Message::Start(start)) =
            messages.message().await?.and_then(|m| m.message)
        else {
            return Err(no_start().into());
        };
        let command = start.command.unwrap_or_default();
        let command = ExecCommand::try_from(command).map_err(ApiError::from)?;
        let Admitted { replica, container } = self.admit(&membership, "run", start.header).await?;
        let typed = messages.map(|message| match message.ok()?.message? {
            relay_run::Message::Input(input) => Some(input),
            relay_run::Message::Start(_) => None,
        });
        run(&self.0, &replica, &container, command, inputs(typed.boxed())).await
    }

    async fn path(
        &self,
        request: Request<pb::RelayPath>,
    ) -> Result<Response<pb::PathInfo>, Status> {
        let membership = self.member(&request)?;
        let pb::RelayPath { header, path } = request.into_inner();
        let admitted = self.admit(&membership, "path", header).await?;
        let info = self.0.containers.path(&admitted.container, &path).await?;
        Ok(Response::new(info.into()))
    }

    async fn copy_out(
        &self,
        request: Request<pb::RelayPath>,
    ) -> Result<Response<Self::CopyOutStream>, Status> {
        let membership = self.member(&request)?;
        let pb::RelayPath { header, path } = request.into_inner();
        let admitted = self.admit(&membership, "copy out", header).await?;
        Ok(pieces(&self.0, self.0.containers.copy_out(&admitted.container, &path).await?))
    }

    async fn copy_in(
        &self,
        request: Request<Streaming<pb::RelayCopy>>,
    ) -> Result<Response<pb::CopyInResponse>, Status> {
        let membership = self.member(&request)?;
        let mut messages = request.into_inner();
        let Some(relay_copy::Message::Start(start)) =
            messages.message().await?.and_then(|m| m.message)
        else {
            return Err(no_start().into());
        };
        let admitted = self.admit(&membership, "copy in", start.header).await?;
        let data = messages.map(|message| {
            Ok(match message?.message {
                Some(relay_copy::Message::End(_)) => Piece::End,
                Some(relay_copy::Message::Data(data)) => Piece::Data(data),
                Some(relay_copy::Message::Start(_)) | None => Piece::Data(Bytes::new()),
            })
        });
        let tar = archive(data.boxed());
        self.0.containers.copy_in(&admitted.container, &start.path, tar).await?;
        Ok(Response::new(pb::CopyInResponse {}))
    }

    async fn forward(
        &self,
        request: Request<Streaming<pb::RelayForward>>,
    ) -> Result<Response<Self::ForwardStream>, Status> {
        let membership = self.member(&request)?;
        let mut messages = request.into_inner();
        let Some(relay_forward::Message::Start(start)) =
            messages.message().await?.and_then(|m| m.message)
        else {
            return Err(no_start().into());
        };
        let port = port(start.port)?;
        let Admitted { replica, container } =
            self.admit(&membership, "forward", start.header).await?;
        let connection = connect(&self.0, &replica, &container, port).await?;
        let data: BoxStream<'static, Result<_, Status>> = messages
            .map(|message| {
                Ok(match message?.message {
                    Some(relay_forward::Message::Data(data)) => data,
                    Some(relay_forward::Message::Start(_)) | None => Bytes::new(),
                })
            })
            .boxed();
        Ok(forward(&self.0, &replica, connection, data))
    }

    async fn logs(
        &self,
        request: Request<pb::RelayLogs>,
    ) -> Result<Response<Self::LogsStream>, Status> {
        let membership = self.member(&request)?;
        let message = request.into_inner();
        let query = logs::query_of(&message);
        let admitted = self.admit(&membership, "logs", message.header).await?;
        Ok(logs::lines(&self.0, &admitted.container, query))
    }

    async fn usage(
        &self,
        request: Request<pb::UsageRequest>,
    ) -> Result<Response<Self::UsageStream>, Status> {
        let membership = self.member(&request)?;
        let interval = usage::interval(&request.into_inner());
        Ok(usage::of_this_node(&self.0, membership, interval))
    }

    async fn diagnose(
        &self,
        request: Request<pb::RelayDiagnose>,
    ) -> Result<Response<pb::DoctorReport>, Status> {
        self.member(&request)?;
        let report = diagnose::of_this_node(&self.0, request.into_inner().repair).await;
        Ok(Response::new(report.into()))
    }

    async fn serving(
        &self,
        request: Request<pb::RelayServing>,
    ) -> Result<Response<pb::ServedDomain>, Status> {
        self.member(&request)?;
        let domain = request.into_inner().domain;
        Ok(Response::new(serving::of_this_node(&self.0, domain.as_deref()).into()))
    }

    async fn led_away(
        &self,
        request: Request<pb::RelayLedAway>,
    ) -> Result<Response<pb::RelayLedAwayAnswer>, Status> {
        self.member(&request)?;
        let pb::RelayLedAway { addresses, index } = request.into_inner();
        let addresses = addresses.iter().map(|address| parse("addresses", address));
        let addresses: Vec<IpAddr> = addresses.collect::<Result<_, _>>().map_err(ApiError::from)?;
        let led_away = serving::led_away(&*self.0.serving, &addresses, index).await;
        Ok(Response::new(pb::RelayLedAwayAnswer { led_away }))
    }

    async fn mesh(
        &self,
        request: Request<pb::RelayMesh>,
    ) -> Result<Response<pb::MeshStatus>, Status> {
        self.member(&request)?;
        Ok(Response::new(self.0.mesh.status().await?.into()))
    }

    async fn rotate_mesh_key(
        &self,
        request: Request<pb::RelayRotateMeshKey>,
    ) -> Result<Response<pb::MeshKeyRotation>, Status> {
        self.member(&request)?;
        let message = request.into_inner().actor.unwrap_or_default();
        let by = Actor::try_from(message).map_err(ApiError::from)?;
        tracing::info!(identity = %by.identity, uid = by.uid, "a new mesh key, asked for at another node");
        Ok(Response::new(self.0.mesh.rotate_key(by).await?.into()))
    }
}

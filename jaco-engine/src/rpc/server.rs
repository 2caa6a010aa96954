//! One server per listener, all with the same services behind the same gate.

use std::{io, sync::Arc, time::Duration};

use futures::Stream;
use hyper_util::rt::TokioIo;
use jaco_api::pb::{
    self, audit_server::AuditServer, certs_server::CertsServer, cluster_server::ClusterServer,
    deploy_server::DeployServer, exec_server::ExecServer, files_server::FilesServer,
    join_server::JoinServer, logs_server::LogsServer, nodes_server::NodesServer,
    relay_server::RelayServer, routes_server::RoutesServer, token_server::TokenServer,
    watch_server::WatchServer,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;
use tonic::{
    service::Routes,
    transport::{Channel, Endpoint, server::Connected},
};

use super::{
    Api, audit, certs, cluster, deploy, exec, files, gate::GateLayer, join, logs, nodes, relay,
    routes, token, watch,
};
use crate::raft::PeerServer;

/// Largest request: a manifest with its compose file.
const LARGEST_REQUEST: usize = 16 << 20;
/// Streams of one connection at a time.
const MOST_STREAMS: u32 = 256;
/// Bytes of one stream that may wait for its reader.
const STREAM_WINDOW: u32 = 1 << 20;
/// Bytes of all streams of a connection that may wait for their readers.
const CONNECTION_WINDOW: u32 = 64 * STREAM_WINDOW;
/// Bytes in flight of a connection inside the process.
const DUPLEX_BUFFER: usize = 64 << 10;

/// The services of one node.
#[derive(Clone)]
pub struct Server {
    api: Arc<Api>,
    services: Routes,
}

impl Server {
    /// Every service over this node's [`Api`].
    ///
    /// # Errors
    /// When the descriptors that reflection serves cannot be read.
    pub fn new(api: Arc<Api>) -> Result<Self, tonic_reflection::server::Error> {
        let (health, healthy) = tonic_health::server::health_reporter();
        drop(health);
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()?;
        let deploy = DeployServer::new(deploy::Service(Arc::clone(&api)))
            .max_decoding_message_size(LARGEST_REQUEST);
        let services = Routes::new(ClusterServer::new(cluster::Service(Arc::clone(&api))))
            .add_service(NodesServer::new(nodes::Service(Arc::clone(&api))))
            .add_service(deploy)
            .add_service(WatchServer::new(watch::Service(Arc::clone(&api))))
            .add_service(LogsServer::new(logs::Service(Arc::clone(&api))))
            .add_service(ExecServer::new(exec::Service(Arc::clone(&api))))
            .add_service(FilesServer::new(files::Service(Arc::clone(&api))))
            .add_service(CertsServer::new(certs::Service(Arc::clone(&api))))
            .add_service(RoutesServer::new(routes::Service(Arc::clone(&api))))
            .add_service(TokenServer::new(token::Service(Arc::clone(&api))))
            .add_service(AuditServer::new(audit::Service(Arc::clone(&api))))
            .add_service(JoinServer::new(join::Service(Arc::clone(&api))))
            .add_service(healthy)
            .add_service(reflection);
        Ok(Self { api, services })
    }

    /// The same services and what members answer each other on the API port.
    #[must_use]
    pub(crate) fn with_internal(mut self, peers: &PeerServer) -> Self {
        let relay = RelayServer::new(relay::Relay(Arc::clone(&self.api)));
        self.services = self.services.add_service(peers.internal()).add_service(relay);
        self
    }

    /// Only what members answer each other on the raft port, behind the same gate.
    #[must_use]
    pub(crate) fn raft_only(&self, peers: &PeerServer) -> Self {
        Self { api: Arc::clone(&self.api), services: Routes::new(peers.raft()) }
    }

    /// Serves the connections of one listener until `stop`; requests in flight are finished.
    ///
    /// # Errors
    /// When the listener itself fails.
    pub async fn serve<I, T>(
        self,
        incoming: I,
        stop: CancellationToken,
    ) -> Result<(), tonic::transport::Error>
    where
        I: Stream<Item = io::Result<T>>,
        T: AsyncRead + AsyncWrite + Connected<ConnectInfo: Clone> + Unpin + Send + 'static,
    {
        tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .http2_keepalive_timeout(Some(Duration::from_secs(10)))
            .max_concurrent_streams(MOST_STREAMS)
            // A stream whose messages wait (a command that does not read) must leave the others room.
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .layer(GateLayer { api: self.api })
            .add_routes(self.services)
            .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
            .await
    }
}

/// A channel to a server in this process: each connection goes through `dial`.
#[must_use]
pub fn client(dial: mpsc::Sender<DuplexStream>) -> Channel {
    let endpoint = Endpoint::from_static("http://jaco.local")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(MOST_STREAMS * STREAM_WINDOW);
    endpoint.connect_with_connector_lazy(tower::service_fn(move |_: http::Uri| {
        let dial = dial.clone();
        async move {
            let (ours, theirs) = tokio::io::duplex(DUPLEX_BUFFER);
            match dial.send(theirs).await {
                Ok(()) => Ok(TokioIo::new(ours)),
                Err(_) => Err(io::Error::new(
                    io::ErrorKind::ConnectionRefused,
                    "the node has been shut down",
                )),
            }
        }
    }))
}

//! Serving the fake: in the process, on a socket, over TLS.

use std::{io, path::Path, sync::Arc};

use hyper_util::rt::TokioIo;
use jaco_api::pb::{
    audit_server::AuditServer, certs_server::CertsServer, cluster_server::ClusterServer,
    deploy_server::DeployServer, exec_server::ExecServer, files_server::FilesServer,
    logs_server::LogsServer, nodes_server::NodesServer, routes_server::RoutesServer,
    token_server::TokenServer, watch_server::WatchServer,
};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::transport::{Channel, Server, server::Router};

use super::FakeCluster;
use crate::Client;

impl FakeCluster {
    fn router(&self) -> Router {
        Server::builder()
            .add_service(ClusterServer::new(self.clone()))
            .add_service(NodesServer::new(self.clone()))
            .add_service(DeployServer::new(self.clone()))
            .add_service(WatchServer::new(self.clone()))
            .add_service(LogsServer::new(self.clone()))
            .add_service(ExecServer::new(self.clone()))
            .add_service(FilesServer::new(self.clone()))
            .add_service(CertsServer::new(self.clone()))
            .add_service(RoutesServer::new(self.clone()))
            .add_service(TokenServer::new(self.clone()))
            .add_service(AuditServer::new(self.clone()))
    }

    /// A connection inside the process.
    #[must_use]
    pub fn channel(&self) -> Channel {
        let (dialled, accepted) = mpsc::channel(8);
        let router = self.router();
        tokio::spawn(async move {
            // Ends when the channel is dropped.
            let _ = router.serve_with_incoming(ReceiverStream::new(accepted)).await;
        });
        tonic::transport::Endpoint::from_static("http://fake.local").connect_with_connector_lazy(
            tower::service_fn(move |_| {
                let dialled = dialled.clone();
                async move {
                    let (near, far) = tokio::io::duplex(64 << 10);
                    dialled.send(Ok::<_, io::Error>(far)).await.map_err(io::Error::other)?;
                    Ok::<_, io::Error>(TokioIo::new(near))
                }
            }),
        )
    }

    /// A client inside the process.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::from_channel(self.channel())
    }

    /// Serves a unix socket until the task is aborted.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn serve_unix(&self, path: &Path) -> io::Result<JoinHandle<()>> {
        let listener = UnixListener::bind(path)?;
        let router = self.router();
        Ok(tokio::spawn(async move {
            let _ = router.serve_with_incoming(UnixListenerStream::new(listener)).await;
        }))
    }

    /// Serves TLS until the task is aborted.
    pub fn serve_tls(
        &self,
        listener: TcpListener,
        config: Arc<rustls::ServerConfig>,
    ) -> JoinHandle<()> {
        let router = self.router();
        tokio::spawn(async move {
            let (ready, accepted) = mpsc::channel(8);
            let acceptor = tokio_rustls::TlsAcceptor::from(config);
            let accept = async {
                while let Ok((tcp, _)) = listener.accept().await {
                    if let Ok(tls) = acceptor.accept(tcp).await {
                        let _ = ready.send(Ok::<_, io::Error>(tls)).await;
                    }
                }
            };
            tokio::select! {
                () = accept => {}
                _ = router.serve_with_incoming(ReceiverStream::new(accepted)) => {}
            }
        })
    }
}

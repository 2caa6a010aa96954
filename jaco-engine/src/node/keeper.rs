//! The owner of everything a node is made of: one task that starts, waits and stops in reverse.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use futures::Stream;
use jaco_api::model::{ClusterId, NodeId, NodeName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::transport::server::Connected;

use super::{
    NodeConfig, NodeError,
    builder::OpenStorage,
    certificate,
    consensus::Consensus,
    directory::{DataDirectory, MemberFile},
    found::{FIRST, Request},
    member::Part,
    ports::Reserved,
    seams::Seams,
};
use crate::{
    raft::RaftStorage,
    rpc::{Api, Membership, Server, UnixSocket},
    seal::Keyring,
};

/// How long the log may take to stop.
const LOG_PATIENCE: Duration = Duration::from_secs(8);
/// How long connections may take to end when this node stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// The owner of everything a node is made of. Fields in the order in which they are built.
pub(crate) struct Keeper {
    pub(crate) name: NodeName,
    pub(crate) version: &'static str,
    pub(crate) directory: DataDirectory,
    pub(crate) seams: Seams,
    pub(crate) storage: Arc<dyn RaftStorage>,
    /// What others are told: operator API and raft.
    pub(crate) addresses: (SocketAddr, SocketAddr),
    /// The TLS ports, until they are opened.
    pub(crate) ports: Option<(Reserved, Reserved)>,
    /// Closes the TLS ports.
    pub(crate) ports_open: CancellationToken,
    /// What the node was told before it started.
    pub(crate) config: NodeConfig,
    /// Opens the storage of the log anew once the node has left its cluster.
    pub(crate) open_storage: OpenStorage,
    pub(crate) server: Server,
    pub(crate) api: Arc<Api>,
    pub(crate) membership: watch::Sender<Option<Arc<Membership>>>,
    pub(crate) consensus: Option<Consensus>,
    /// The part this node takes in its cluster.
    pub(crate) part: Option<Part>,
    pub(crate) listeners: TaskTracker,
    pub(crate) socket: Option<UnixSocket>,
    pub(crate) stop: CancellationToken,
}

/// Ends when the node is told that it is no member any more.
async fn removed(part: Option<&Part>) {
    match part {
        Some(part) => part.removed.cancelled().await,
        None => std::future::pending().await,
    }
}

impl Keeper {
    /// Answers requests until the node is stopped, then stops everything.
    pub(crate) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(request) = requests.recv() => self.answer(request).await,
                () = removed(self.part.as_ref()) => self.leave().await,
            }
        }
        self.wind_down().await;
    }

    /// Takes up what is on disk: a membership, or a creation that was interrupted.
    pub(crate) async fn resume(&mut self, member: Option<MemberFile>) -> Result<(), NodeError> {
        if let Some(member) = member {
            return self.become_member(member).await;
        }
        if self.storage.extent().is_empty() {
            return Ok(());
        }
        // The log was begun by a creation that was interrupted. Its one voter elects itself; whether
        // the cluster exists is what the log says then.
        let consensus = self.open_log(FIRST).await?;
        match consensus.present().await {
            Ok(state) => match state.cluster() {
                Some(cluster) => self.become_member(self.founder_of(cluster.id)).await,
                None => Ok(()),
            },
            Err(error) => {
                tracing::warn!(%error, "the log of an interrupted creation has no cluster yet");
                Ok(())
            }
        }
    }

    /// The log, started once.
    pub(crate) async fn open_log(&mut self, id: NodeId) -> Result<Consensus, NodeError> {
        if let Some(consensus) = &self.consensus {
            return Ok(consensus.clone());
        }
        let keyring = Keyring::open_or_create(self.directory.keys())?;
        let storage = Arc::clone(&self.storage);
        let consensus = Consensus::start(id, storage, &self.seams, keyring).await?;
        self.consensus = Some(consensus.clone());
        Ok(consensus)
    }

    /// What the founder of a cluster is in it.
    pub(crate) fn founder_of(&self, cluster: ClusterId) -> MemberFile {
        MemberFile { cluster, node: FIRST, name: self.name.clone(), others: BTreeMap::new() }
    }

    /// Takes this node's part in its cluster, and notes it for the next start.
    pub(crate) async fn become_member(&mut self, member: MemberFile) -> Result<(), NodeError> {
        let (cluster, id) = (member.cluster, member.node);
        let consensus = self.open_log(id).await?;
        let identity = certificate::usable(self, &consensus, cluster, id).await?;
        if self.directory.member()?.as_ref() != Some(&member) {
            self.directory.set_member(&member)?;
        }
        let membership = Arc::new(consensus.membership(&member));
        let part = Part::take(self, Arc::clone(&membership), identity)?;
        self.part = Some(part);
        self.membership.send_replace(Some(membership));
        Ok(())
    }

    /// Serves connections in the background until then.
    pub(crate) fn serve<I, T>(&self, server: Server, incoming: I, until: &CancellationToken)
    where
        I: Stream<Item = std::io::Result<T>> + Send + 'static,
        T: AsyncRead + AsyncWrite + Connected<ConnectInfo: Clone> + Unpin + Send + 'static,
    {
        let serving = server.serve(incoming, until.child_token());
        let until = until.clone();
        // A peer that is cut off never says that it has nothing more to come.
        let farewell = async move {
            until.cancelled().await;
            tokio::time::sleep(FAREWELL).await;
        };
        self.listeners.spawn(async move {
            tokio::select! {
                served = serving => if let Err(error) = served {
                    tracing::error!(%error, "a listener has failed");
                },
                () = farewell => tracing::debug!("connections that do not end are left behind"),
            }
        });
    }

    /// Stops in reverse: nobody comes in, streams end, agents stop, the log is closed.
    pub(crate) async fn wind_down(mut self) {
        self.stop.cancel();
        self.socket = None;
        self.api.streams.close();
        self.api.streams.wait().await;
        self.listeners.close();
        self.listeners.wait().await;
        if let Some(part) = self.part.take() {
            part.stop().await;
        }
        self.membership.send_replace(None);
        match self.consensus.take() {
            Some(consensus) => {
                if let Err(error) = consensus.raft.shutdown(LOG_PATIENCE).await {
                    tracing::error!(%error, "the log was abandoned");
                }
            }
            None => self.storage.close(),
        }
        tracing::info!(node = %self.name, "node stopped");
    }
}

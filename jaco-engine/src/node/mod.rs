//! One node: the only module that joins the control plane with runtime, net and ingress.
//!
//! In: a [`NodeConfig`] and the seams. Out: a running [`Node`]. It builds in order, starts, and
//! stops in reverse; it decides nothing about the cluster. Everything that must survive is in the
//! data directory: a start resumes from there and never begins anew.

mod agents;
mod builder;
mod certificate;
mod command;
mod config;
mod consensus;
mod containers;
mod desk;
mod directory;
mod doctor;
mod error;
mod found;
mod host;
mod join;
mod keeper;
mod leave;
mod member;
mod mesh_end;
mod mesh_key;
mod metrics;
mod network;
mod output;
mod plane;
mod ports;
mod readiness;
mod seams;
mod served;
mod serving;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use jaco_api::model::{Identity, NodeName};
use jaco_client::Client;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use builder::Builder;
pub use config::{NodeConfig, host_name};
pub use error::NodeError;
pub use metrics::NotReady;
pub use plane::{Mesh, Naming};
pub use readiness::Readiness;
pub use seams::IngressOptions;

use self::metrics::Observer;
use crate::rpc::Membership;

/// How long a shutdown may take in all.
const SHUTDOWN: Duration = Duration::from_secs(20);

/// A running node. Dropping it stops it without waiting; [`Node::shutdown`] waits.
#[derive(Debug)]
pub struct Node {
    name: NodeName,
    api_addr: SocketAddr,
    metrics_addr: Option<SocketAddr>,
    client: Client,
    keeper: JoinHandle<()>,
    stop: CancellationToken,
    membership: watch::Receiver<Option<Arc<Membership>>>,
    readiness: watch::Receiver<Readiness>,
    observer: Arc<Observer>,
    _stop_when_dropped: DropGuard,
}

/// A node did not stop in time: what is left of it was abandoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node did not stop within {} s", SHUTDOWN.as_secs())]
pub struct StopTimeout;

impl Node {
    /// A node of this configuration, with the default of every seam.
    pub fn builder(config: NodeConfig) -> Builder {
        Builder::new(config)
    }

    /// A client inside this process: it may do everything.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// This node's name.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.name
    }

    /// Where clients and other nodes reach the operator API, once there is a cluster.
    #[must_use]
    pub fn api_addr(&self) -> SocketAddr {
        self.api_addr
    }

    /// Where `/metrics`, `/healthz` and `/readyz` are answered, if anywhere.
    #[must_use]
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_addr
    }

    /// The numbers of this moment as Prometheus reads them, whether they are served or not.
    pub async fn metrics(&self) -> String {
        self.observer.text().await
    }

    /// Whether the node does its work at this moment: it is [ready](Readiness::Ready), hears of the leader, and
    /// can run containers.
    ///
    /// # Errors
    /// [`NotReady`] says what is in the way.
    pub fn check_ready(&self) -> Result<(), NotReady> {
        self.observer.check_ready()
    }

    /// Creates a cluster on this node. Its first operator token belongs to `token_name`.
    ///
    /// # Errors
    /// `cluster_already_initialized` when the node belongs to one.
    pub async fn init(
        &self,
        token_name: &Identity,
    ) -> Result<jaco_client::Initialized, jaco_client::Error> {
        self.client.cluster_init(token_name.as_str()).await
    }

    /// The cluster as this node sees it; works before there is one.
    ///
    /// # Errors
    /// When the node is shutting down.
    pub async fn status(&self) -> Result<jaco_api::model::ClusterStatus, jaco_client::Error> {
        self.client.cluster_status().await
    }

    /// What the node works with while it is a member of a cluster: the newest state, the log.
    #[must_use]
    pub fn membership(&self) -> Option<Arc<Membership>> {
        self.membership.borrow().clone()
    }

    /// Whether the node does all that it is there for; changes when that does.
    #[must_use]
    pub fn readiness(&self) -> watch::Receiver<Readiness> {
        self.readiness.clone()
    }

    /// Ends the node where it stands, as `kill -9` would: nothing is finished, flushed or said. What it
    /// stands on must be dead already; parts of it may still run into that.
    #[cfg(any(test, feature = "testing"))]
    pub async fn kill(mut self) {
        let membership = self.membership();
        self.keeper.abort();
        let _ = (&mut self.keeper).await;
        drop(self);
        if let Some(membership) = membership {
            let raft = membership.raft.clone();
            drop(membership);
            tokio::spawn(async move { raft.shutdown(SHUTDOWN).await });
        }
    }

    /// Ends when the node has stopped, whatever stopped it.
    pub async fn stopped(&mut self) {
        let _ = (&mut self.keeper).await;
    }

    /// Stops everything in reverse order. Containers run on.
    ///
    /// # Errors
    /// [`StopTimeout`] when something does not stop; it is abandoned then.
    pub async fn shutdown(mut self) -> Result<(), StopTimeout> {
        self.stop.cancel();
        match tokio::time::timeout(SHUTDOWN, &mut self.keeper).await {
            Ok(_) => Ok(()),
            Err(_) => {
                self.keeper.abort();
                Err(StopTimeout)
            }
        }
    }
}

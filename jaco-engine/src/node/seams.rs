//! What acts on the host, and what a node stands on.

use std::{net::SocketAddr, sync::Arc};

use jaco_ingress::{CertStore, Limits};
use jaco_net::{Bridges, EngineChains, Firewall};
use jaco_runtime::ContainerRuntime;
use tokio::sync::watch;

use super::{
    doctor::DataPlane,
    mesh_end::MeshEnd,
    metrics::Counters,
    plane::{Mesh, Naming},
    readiness::Readiness,
    served::Served,
};
use crate::{
    clock::Clock,
    control::AcmeOptions,
    raft::{GrpcTransport, PeerTransport, RaftTiming},
};

/// How a node serves visitors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IngressOptions {
    /// Where HTTP is served; absent means that only published ports are.
    pub http: Option<SocketAddr>,
    /// Where HTTPS is served, for domains that have a certificate.
    pub https: Option<SocketAddr>,
    /// What is believed of visitors and what they may cost.
    pub limits: Limits,
}

/// What acts on the host, and what a node stands on. All of it can be replaced.
pub(crate) struct Seams {
    pub(crate) runtime: Arc<dyn ContainerRuntime>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Absent means mutual TLS.
    pub(crate) transport: Option<Arc<dyn PeerTransport>>,
    /// Mutual TLS between members; trusts nobody before the node has a certificate.
    pub(crate) tls: GrpcTransport,
    pub(crate) timing: RaftTiming,
    pub(crate) firewall: Arc<dyn Firewall>,
    pub(crate) chains: Option<EngineChains>,
    pub(crate) bridges: Option<Bridges>,
    pub(crate) mesh: Option<Mesh>,
    pub(crate) names: Option<Naming>,
    pub(crate) ingress: Option<IngressOptions>,
    /// What is served to visitors.
    pub(crate) served: Served,
    /// How certificates are obtained.
    pub(crate) acme: Option<AcmeOptions>,
    /// Certificates that outlive the cluster's state.
    pub(crate) certs: Arc<dyn CertStore>,
    /// Whether the load of this machine is the load of this node.
    pub(crate) measured: bool,
    /// Whether what others change in the kernel is restored at once.
    pub(crate) repairs: bool,
    /// What the agents keep in the kernel, for the doctor.
    pub(crate) plane: watch::Sender<Option<Arc<dyn DataPlane>>>,
    /// How far the node is.
    pub(crate) readiness: watch::Sender<Readiness>,
    /// This node's end of the mesh, while it is kept.
    pub(crate) mesh_end: watch::Sender<Option<Arc<MeshEnd>>>,
    /// What is counted on this node.
    pub(crate) counters: Arc<Counters>,
}

impl Seams {
    /// How other members are reached.
    pub(crate) fn transport(&self) -> Arc<dyn PeerTransport> {
        self.transport.clone().unwrap_or_else(|| Arc::new(self.tls.clone()))
    }
}

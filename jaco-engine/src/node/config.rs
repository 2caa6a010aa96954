//! What a node is told before it starts.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use jaco_api::model::{AddressPools, InvalidName, NodeName};

/// What a node is told before it starts.
///
/// [`NodeConfig::new`] suits an embedder: both TLS ports are chosen by the system on the loopback
/// interface, and there is no local socket. Change the fields for anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeConfig {
    /// Where everything that must survive is kept.
    pub data_dir: PathBuf,
    /// Name of the node; absent means the host name.
    pub name: Option<NodeName>,
    /// Where the operator API and internal calls are served, once there is a cluster.
    pub listen_addr: SocketAddr,
    /// Where raft is served, once there is a cluster.
    pub cluster_addr: SocketAddr,
    /// The address other nodes and clients are told; absent means that of `listen_addr`.
    pub advertise: Option<IpAddr>,
    /// The local socket: whoever may open it is an administrator.
    pub unix_socket: Option<PathBuf>,
    /// Group that may open the local socket.
    pub socket_group: Option<String>,
    /// Where `/metrics`, `/healthz` and `/readyz` are answered over plain HTTP; absent means nowhere.
    pub metrics_addr: Option<SocketAddr>,
    /// The address pools of a cluster that this node founds; absent means the usual one.
    pub address_pools: Option<AddressPools>,
}

impl NodeConfig {
    /// A node that keeps its data in this directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            data_dir: data_dir.into(),
            name: None,
            listen_addr: loopback,
            cluster_addr: loopback,
            advertise: None,
            unix_socket: None,
            socket_group: None,
            metrics_addr: None,
            address_pools: None,
        }
    }

    /// The same with this node name.
    #[must_use]
    pub fn named(mut self, name: NodeName) -> Self {
        self.name = Some(name);
        self
    }

    /// The address to tell others for something that is bound to `bound`.
    pub(super) fn advertised(&self, bound: SocketAddr) -> SocketAddr {
        let ip = match self.advertise {
            Some(ip) => ip,
            None if bound.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            None => bound.ip(),
        };
        SocketAddr::new(ip, bound.port())
    }
}

/// The host's name as a node name: its first label, in lower case.
///
/// # Errors
/// When the host has a name that no node can have.
pub fn host_name() -> Result<NodeName, InvalidName> {
    let system = rustix::system::uname();
    let full = system.nodename().to_string_lossy().to_ascii_lowercase();
    NodeName::new(full.split('.').next().unwrap_or_default())
}

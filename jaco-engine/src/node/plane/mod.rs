//! The data plane of a node: what its firewall, its bridges, its mesh and its names must be, from its
//! [`Fabric`].
//!
//! In: the fabric, as plain data. Out: a ruleset, bridges, a mesh configuration, a zone. All of it is pure; who
//! carries it out is in `agents`. Nothing here knows the state or the cluster.
//!
//! [`Fabric`]: jaco_api::model::Fabric

mod bridges;
mod frontends;
mod meshed;
mod names;
mod proof;
mod route_options;
mod rules;
#[cfg(test)]
mod tests;
mod tunnels;
mod wanted;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use jaco_api::model::MeshFacts;
use jaco_net::{MeshDevice, PrivateKey, mesh::INTERFACE};

pub(crate) use bridges::{bridges, made};
pub(crate) use frontends::{answers, picture, targets};
pub(crate) use meshed::meshed;
pub use names::Naming;
pub(crate) use proof::outstanding;
pub(crate) use route_options::Passwords;
pub(crate) use rules::rules;
pub(crate) use tunnels::{endpoints, tunnels};
pub(crate) use wanted::{serving, wanted};

/// WireGuard's usual UDP port.
const PORT: u16 = 51820;

/// The node's end of the mesh.
#[derive(Clone)]
pub struct Mesh {
    /// What makes the tunnels.
    pub device: Arc<dyn MeshDevice>,
    /// What its interface is called.
    pub interface: String,
    /// The UDP port where tunnels end.
    pub port: u16,
    /// Why it is this device, where that is not what is usual.
    pub reason: Option<String>,
}

impl Mesh {
    /// An end with this device: `jaco0`, port 51820.
    pub fn new(device: impl MeshDevice + 'static) -> Self {
        Self::shared(Arc::new(device))
    }

    /// The same with a device that others may hold, too.
    pub fn shared(device: Arc<dyn MeshDevice>) -> Self {
        Self { device, interface: INTERFACE.to_owned(), port: PORT, reason: None }
    }

    /// What the other members are told of it.
    pub(crate) fn facts(&self, key: &PrivateKey, address: IpAddr) -> MeshFacts {
        MeshFacts {
            public_key: key.public(),
            endpoint: SocketAddr::new(address, self.port),
            device: self.device.kind(),
            reason: self.reason.clone(),
        }
    }
}

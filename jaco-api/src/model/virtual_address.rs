//! The address that a service has on a network, whatever replicas it has.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{DeploymentName, NetworkName, ServiceName};

/// Whose address it is: a service has one on each network that it is on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VirtualAddressKey {
    /// The deployment.
    pub deployment: DeploymentName,
    /// The network.
    pub network: NetworkName,
    /// The service.
    pub service: ServiceName,
}

/// The virtual address of a service on a network: it stays the same while replicas come and go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualAddress {
    /// Whose it is.
    #[serde(flatten)]
    pub key: VirtualAddressKey,
    /// One of `service_pool`, and nobody else's.
    pub address: IpAddr,
}

//! What is to be known about names on one node, as plain data.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use ipnet::IpNet;
use jaco_api::model::{NodeName, Protocol, ServiceName, Slot};

use crate::Scope;

/// Everything the responders of one node answer from: a replace-set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The node that answers: its replicas come first.
    pub node: NodeName,
    /// The address pools of the cluster. The reverse names of these are never forwarded.
    pub pools: Vec<IpNet>,
    /// Who can be asked for in each network, on whatever node it runs.
    pub scopes: BTreeMap<Scope, Vec<NamedService>>,
    /// The local bridges, by the address of their gateway.
    pub bridges: BTreeMap<IpAddr, Bridge>,
    /// Loopback addresses where programs of the host itself ask: they see every network, by full names.
    pub host: BTreeSet<IpAddr>,
    /// The local containers. One that is missing sees the network of the bridge it asks.
    pub containers: Vec<Container>,
}

impl Names {
    /// A node that knows nobody.
    #[must_use]
    pub fn of(node: NodeName) -> Self {
        Self {
            node,
            pools: Vec::new(),
            scopes: BTreeMap::new(),
            bridges: BTreeMap::new(),
            host: BTreeSet::new(),
            containers: Vec::new(),
        }
    }
}

/// A local bridge: the addresses behind it, and the network it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// Its block. Only queries from there are answered.
    pub block: IpNet,
    /// Its network.
    pub scope: Scope,
}

/// A local container: each network it is in with its address there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// A query from any of the addresses is answered from all of the networks.
    pub addresses: Vec<(Scope, IpAddr)>,
}

/// A service as one network knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedService {
    /// Its name.
    pub name: ServiceName,
    /// What its name leads to.
    pub endpoint: Endpoint,
    /// More names that lead to the same: `container_name`, links, aliases of the network.
    pub aliases: Vec<String>,
    /// The ports it declares.
    pub ports: Vec<NamedPort>,
    /// Its replicas in this network.
    pub replicas: Vec<NamedReplica>,
}

/// Compose's `endpoint_mode`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// The service's own addresses on the network, balanced elsewhere; while there are none yet, it is as with
    /// [`Endpoint::Dnsrr`].
    Vip(Vec<IpAddr>),
    /// The addresses of its healthy replicas.
    Dnsrr,
}

/// A declared port, for SRV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPort {
    /// The `name` of the port in the compose file.
    pub name: Option<String>,
    /// The port in the container.
    pub number: u16,
    /// Its transport protocol.
    pub protocol: Protocol,
}

/// A replica in one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedReplica {
    /// Which one.
    pub slot: Slot,
    /// Its addresses on the network, of either family.
    pub addresses: Vec<IpAddr>,
    /// Where it runs.
    pub node: NodeName,
    /// Whether it may be answered.
    pub healthy: bool,
    /// The `hostname` of its container.
    pub hostname: Option<Arc<str>>,
}

//! What a node serves to visitors, as plain data: which domain and which port leads to which replicas.

use std::{collections::BTreeMap, net::IpAddr};

use super::{DeploymentName, NodeName, Protocol, ProxyProtocol, ReplicaId, RouteSpec, ServiceName};

/// Everything that one node serves to visitors. A replace-set: it is the same on every node but for which
/// backends are near.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontends {
    /// The node this is for.
    pub node: NodeName,
    /// Raft index of the state it was made from.
    pub index: u64,
    /// The routes of all deployments, by domain and path.
    pub routes: Vec<FrontRoute>,
    /// The published ports of all deployments.
    pub ports: BTreeMap<(u16, Protocol), FrontPort>,
}

/// A domain and path that leads to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontRoute {
    /// Whose it is.
    pub deployment: DeploymentName,
    /// What the manifest says of it.
    pub spec: RouteSpec,
    /// Who answers.
    pub backends: Vec<Backend>,
}

/// A port of every node that leads to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontPort {
    /// Whose it is.
    pub deployment: DeploymentName,
    /// The service.
    pub service: ServiceName,
    /// The port in its containers.
    pub target: u16,
    /// The header that connections to it begin with.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Who answers.
    pub backends: Vec<Backend>,
}

/// A replica that visitors can be led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// Which one.
    pub replica: ReplicaId,
    /// Where it runs.
    pub node: NodeName,
    /// Its address, in whichever of its networks comes first.
    pub address: IpAddr,
    /// It finishes what it has and gets nothing new.
    pub draining: bool,
}

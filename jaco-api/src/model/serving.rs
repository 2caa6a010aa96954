//! Routes as they are looked at: what is stored of a domain, and what each node really serves for it.

use std::{fmt, net::SocketAddr};

use serde::{Deserialize, Serialize};

use super::{
    CertificateSummary, DeploymentName, Digest, Hidden, NodeName, ReplicaId, RouteSpec, ServiceName,
};

/// Where a node listens for visitors, or is to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// `http`, `https`, or a published port such as `5432/tcp`.
    pub name: String,
    /// Why it is not open; absent when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
}

/// A domain in full: what is stored, and what each node serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteDetail {
    /// What the state says.
    #[serde(flatten)]
    pub stored: StoredRoutes,
    /// What each node says, by name.
    pub nodes: Vec<NodeRoutes>,
}

/// What the state says of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRoutes {
    /// The domain; empty for routes of every name.
    pub domain: String,
    /// Its routes, by path.
    pub routes: Vec<StoredRoute>,
    /// The certificate that they are secured with; absent when they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateSummary>,
}

/// A route and the deployment it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRoute {
    /// The deployment.
    pub deployment: DeploymentName,
    /// The route.
    #[serde(flatten)]
    pub route: RouteSpec<Hidden>,
}

/// How what a node serves compares with what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteMatch {
    /// It is the same.
    Current,
    /// Some of it is older, or differs.
    Stale,
    /// It does not serve the domain, or not on a port that is to be open.
    Missing,
    /// The node did not say.
    NotReached,
}

impl RouteMatch {
    /// The word for it, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Stale => "stale",
            Self::Missing => "missing",
            Self::NotReached => "not_reached",
        }
    }
}

impl fmt::Display for RouteMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a node serves for a domain, beside what it is to serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRoutes {
    /// The node.
    pub node: NodeName,
    /// How the two compare.
    #[serde(rename = "match")]
    pub matches: RouteMatch,
    /// What differs, or why the node was not reached, a line each.
    pub differences: Vec<String>,
    /// What it says; absent when it was not reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served: Option<ServedDomain>,
}

/// What a node really serves for a domain: read from its proxy and its listeners.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedDomain {
    /// Where it listens, by name.
    pub listeners: Vec<Listener>,
    /// The routes of the domain, by path.
    pub routes: Vec<ServedRoute>,
    /// SHA-256 of the leaf that it shows to visitors of the domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf: Option<Digest>,
}

/// A route that a node serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedRoute {
    /// Its path.
    pub path: String,
    /// Whose it is.
    pub deployment: DeploymentName,
    /// The service that it leads to.
    pub service: ServiceName,
    /// Requests and tunnels under way.
    pub in_flight: u64,
    /// The replicas that it leads to.
    pub upstreams: Vec<ServedUpstream>,
}

/// A replica that a node sends visitors to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedUpstream {
    /// Which one.
    pub replica: ReplicaId,
    /// Where it runs.
    pub node: NodeName,
    /// Where it is reached.
    pub address: SocketAddr,
    /// It finishes what it has and gets nothing new.
    pub draining: bool,
    /// The node could not connect to it and gives it nothing for a while.
    pub passed_over: bool,
    /// Requests and tunnels of the node that it has under way.
    pub in_flight: u64,
}

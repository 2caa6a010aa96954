//! What a node serves over HTTP, as plain data, and the table that finds a request's route in it.
//!
//! Input is a [`Picture`], a replace-set; output is a [`Table`] that is never changed, only swapped. Nothing here
//! opens a socket, looks at a clock or knows who runs: that is `proxy`.

mod compile;
mod host;
mod hosts;
mod options;
mod path;
mod table;

use std::{collections::BTreeMap, net::SocketAddr};

use jaco_api::model::{DeploymentName, NodeName, ReplicaId, ServiceName, TlsMode};

pub use compile::{LeftOut, Reason};
pub use host::{InvalidHost, host_of};
pub use options::{
    Credential, HeaderEdits, RateLimit, Redirect, RouteOptions, Sticky, UpstreamProtocol,
};
pub use path::{normal, without_prefix};
pub use table::Table;

/// Everything one node serves over HTTP: a replace-set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    /// The routes of the cluster. Of two with the same domain and path the first serves.
    pub routes: Vec<Route>,
    /// What is answered to a CA: the key authorization of each token.
    pub challenges: BTreeMap<String, String>,
}

/// A domain and path that leads to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// A name, a wildcard that is one label deep such as `*.example.com`, or nothing: every name that no other route
    /// has.
    pub domain: String,
    /// Prefix of the path on segment borders; `/` matches all.
    pub path: String,
    /// How it is secured.
    pub tls: TlsMode,
    /// Whether there is a certificate for the domain. Until there is one, plain HTTP serves.
    pub has_certificate: bool,
    /// Whose service it is.
    pub deployment: DeploymentName,
    /// The service.
    pub service: ServiceName,
    /// Its running and healthy replicas, and those that are being drained.
    pub upstreams: Vec<Upstream>,
    /// What else is asked of it.
    pub options: RouteOptions,
}

/// A replica that may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    /// Which one it is.
    pub replica: ReplicaId,
    /// Where it runs.
    pub node: NodeName,
    /// Whether that is here.
    pub local: bool,
    /// It finishes what it has and gets nothing new.
    pub draining: bool,
}

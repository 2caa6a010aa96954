//! What can go wrong between the model and the kernel.

use ipnet::IpNet;
use jaco_api::error::{ApiError, ErrorCode};

use crate::{Contradiction, Scope, mesh::PublicKey};

/// Why the network of this node is not as it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The kernel, or the tool that speaks to it, is missing or refused to be used at all.
    #[error("{facility} cannot be used on this node")]
    Unavailable {
        /// What was needed, for example `nftables`.
        facility: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The kernel refused this change; what was loaded before is still loaded.
    #[error("the kernel refused the new {what}")]
    Refused {
        /// What was to be loaded, for example `ruleset`.
        what: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The kernel did not say what it holds.
    #[error("the {what} cannot be read from the kernel")]
    Unreadable {
        /// What was asked for, for example `peers`.
        what: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An interface has the mesh's name that no mesh made: it stays as it is.
    #[error("{name} is no mesh interface: rename it, or give the mesh another name")]
    ForeignInterface {
        /// Its name.
        name: String,
    },
    /// Somebody else's route leads where a peer is: it stays as it is.
    #[error(
        "the host has a route to {prefix} that is not the mesh's: remove it, or use another pool"
    )]
    RouteTaken {
        /// Where it leads.
        prefix: IpNet,
    },
    /// This node can have no mesh of the kind that was asked for.
    #[cfg(any(feature = "kernel", feature = "userspace"))]
    #[error(transparent)]
    NoMesh(#[from] crate::mesh::NoMesh),
    /// One prefix belongs to two scopes, so that it cannot be told who may talk to whom.
    #[error("{prefix} belongs to {first} and to {second}")]
    OverlappingScopes {
        /// The prefix of `second` that overlaps.
        prefix: IpNet,
        /// The scope that came first.
        first: Scope,
        /// The scope that came second.
        second: Scope,
    },
    /// A scope has an address outside every pool: policing it would touch foreign traffic.
    #[error("{prefix} of {scope} is outside every address pool")]
    OutsidePools {
        /// The prefix.
        prefix: IpNet,
        /// Its scope.
        scope: Scope,
    },
    /// The ruleset says things that cannot all be true.
    #[error("the ruleset contradicts itself: {0}")]
    Contradictory(#[from] Contradiction),
    /// The kernel took the ruleset and holds another one.
    #[error("the firewall does not hold what was loaded: {}", differences.join("; "))]
    NotAsLoaded {
        /// Everything by which it differs, in words.
        differences: Vec<String>,
    },
    /// Two peers claim the same addresses, so that a packet would have two ways out.
    #[error("{prefix} is routed to both {first} and {second}")]
    OverlappingPeers {
        /// The prefix.
        prefix: IpNet,
        /// The peer that came first.
        first: PublicKey,
        /// The peer that came second.
        second: PublicKey,
    },
}

impl From<NetError> for ApiError {
    fn from(error: NetError) -> Self {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let code = match error {
            NetError::NotAsLoaded { .. } => ErrorCode::IsolationSelfTestFailed,
            _ => ErrorCode::IsolationUnavailable,
        };
        let api = Self::new(code, error.to_string());
        match cause {
            Some(cause) => api.with("cause", cause),
            None => api,
        }
    }
}

//! The labels by which a node knows what is its own.

use std::collections::BTreeMap;

/// Labels by key.
pub type Labels = BTreeMap<String, String>;

/// Keys of the labels JACO sets; they win over the user's.
pub mod label {
    /// The cluster a container, network or volume belongs to.
    pub const CLUSTER: &str = "jaco.cluster_id";
    /// The deployment.
    pub const DEPLOYMENT: &str = "jaco.deployment";
    /// The service.
    pub const SERVICE: &str = "jaco.service";
    /// The replica.
    pub const REPLICA: &str = "jaco.replica_id";
    /// The generation of the replica.
    pub const GENERATION: &str = "jaco.generation";
    /// The revision that made this generation.
    pub const REVISION: &str = "jaco.revision";
    /// The tick of a service that runs at times, in RFC 3339.
    pub const TICK: &str = "jaco.tick";
    /// The container that it lives beside, by its id in the engine.
    pub const LEAD: &str = "jaco.lead";
    /// The key of a network in its compose file.
    pub const NETWORK: &str = "jaco.network";
    /// The addresses of a network on this node.
    pub const SUBNET: &str = "jaco.subnet";
    /// Whether the node, and not the engine, decides what leaves a network.
    pub const POLICED: &str = "jaco.policed";
}

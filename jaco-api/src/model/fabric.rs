//! Everything the network of one node must be, as plain data: who may talk to whom, where the other
//! nodes are, and which name leads where.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    sync::Arc,
};

use ipnet::IpNet;

use super::{
    AssignedSubnet, DeploymentName, MeshFacts, MeshKey, NetworkName, NodeName, Protocol, ReplicaId,
    ServiceName, Slot,
};

/// One network of one deployment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId {
    /// The deployment.
    pub deployment: DeploymentName,
    /// Its network.
    pub network: NetworkName,
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.deployment, self.network)
    }
}

/// Everything the network of one node must be. A replace-set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fabric {
    /// The node this is for.
    pub node: NodeName,
    /// Raft index of the state it was made from.
    pub index: u64,
    /// The pools that blocks are of.
    pub pools: BTreeSet<IpNet>,
    /// The pool that addresses of services are of.
    pub service_pool: IpNet,
    /// The pool that addresses of nodes are of.
    pub mesh_pool: IpNet,
    /// The node's own address among the nodes; absent until it has been given one.
    pub mesh_address: Option<IpAddr>,
    /// The node's own key in the mesh, as the other members know it; absent until they do.
    pub mesh_key: Option<MeshKey>,
    /// The other members.
    pub members: BTreeMap<NodeName, FabricMember>,
    /// All networks of all deployments that have a block anywhere.
    pub networks: BTreeMap<NetworkId, FabricNetwork>,
    /// The ports of every node that lead to services: containers reach these on their host, too.
    pub served: BTreeSet<(u16, Protocol)>,
    /// The containers of this node: each with its addresses.
    pub containers: BTreeMap<ReplicaId, BTreeMap<NetworkName, IpAddr>>,
}

/// Another member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FabricMember {
    /// Its address among the nodes.
    pub mesh_address: Option<IpAddr>,
    /// Its end of the mesh; absent until it has said so.
    pub mesh: Option<MeshFacts>,
    /// The blocks behind it.
    pub blocks: BTreeSet<IpNet>,
}

/// A network, on whatever nodes it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FabricNetwork {
    /// True when it has no route out.
    pub internal: bool,
    /// True when its containers may reach every service of the host.
    pub host_access: bool,
    /// Its bridge on this node, if it is here.
    pub local: Option<AssignedSubnet>,
    /// The blocks that it has, on all nodes.
    pub blocks: BTreeSet<IpNet>,
    /// Who can be asked for in it.
    pub services: BTreeMap<ServiceName, FabricService>,
}

/// A service as one network knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FabricService {
    /// The address that stands for all of its replicas; absent where its name leads to them directly.
    pub address: Option<IpAddr>,
    /// More names that lead to the same. Known only in networks that are on this node.
    pub aliases: BTreeSet<String>,
    /// The ports it declares. Known only in networks that are on this node.
    pub ports: BTreeSet<(u16, Protocol)>,
    /// Its replicas in this network. Known only in networks that are on this node.
    pub replicas: BTreeMap<Slot, FabricReplica>,
}

/// A replica in one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FabricReplica {
    /// Where it runs.
    pub node: NodeName,
    /// Its address; absent before its container was seen to run.
    pub address: Option<IpAddr>,
    /// Whether it does what it is for, as far as is known.
    pub healthy: bool,
    /// The host name that its container has been given.
    pub hostname: Option<Arc<str>>,
}

//! The block of addresses that one network of one deployment has on one node.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{DeploymentName, Digest, NetworkName, NodeId, addresses::first_host};

/// Whose block it is: a network has one on each node that needs it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubnetKey {
    /// The deployment.
    pub deployment: DeploymentName,
    /// Its network.
    pub network: NetworkName,
    /// The node.
    pub node: NodeId,
}

/// A block of addresses in use, or in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Whose it is.
    #[serde(flatten)]
    pub key: SubnetKey,
    /// Its addresses.
    pub prefix: IpNet,
    /// The raft index at which nothing needed it any more: from then on it is in quarantine, until
    /// every member has confirmed that the bridge is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<u64>,
}

impl Subnet {
    /// The address of the bridge: the first one of a host.
    #[must_use]
    pub fn gateway(&self) -> IpAddr {
        first_host(self.prefix)
    }

    /// The name of the bridge, the same on every node. Two networks may come to the same one: whoever
    /// makes the bridge finds it taken.
    #[must_use]
    pub fn bridge(&self) -> String {
        bridge_name(&self.key.deployment, &self.key.network)
    }
}

/// `jaco-` and ten hexadecimal digits that follow from the network.
#[must_use]
pub fn bridge_name(deployment: &DeploymentName, network: &NetworkName) -> String {
    // Neither name can hold the separator.
    let digest = Digest::of(format!("{deployment}/{network}").as_bytes());
    format!("jaco-{}", &digest.to_string()[..10])
}

/// How many blocks of a pool are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockCount {
    /// Of the present length, in the whole pool.
    pub capacity: u64,
    /// Of the present length, those with an address that somebody has.
    pub taken: u64,
    /// Blocks of any length that networks have.
    pub used: u64,
    /// Blocks of any length that wait until every member has confirmed that their bridge is gone.
    pub quarantined: u64,
}

impl BlockCount {
    /// How many more can be given out.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.taken)
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            capacity: self.capacity + other.capacity,
            taken: self.taken + other.taken,
            used: self.used + other.used,
            quarantined: self.quarantined + other.quarantined,
        }
    }

    /// The share that is taken, in hundredths.
    #[must_use]
    pub fn percent(&self) -> u64 {
        self.taken * 100 / self.capacity.max(1)
    }
}

/// A pool and how much of it is taken, as `jaco cluster status` shows it: counted in blocks, or in
/// addresses where the pool has no blocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolStatus {
    /// As its setting writes it.
    pub pool: String,
    /// Those that networks or services have.
    pub used: u64,
    /// Those that wait until every member has confirmed that their bridge is gone.
    pub quarantined: u64,
    /// Those that can be given out: blocks of the present length.
    pub free: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_the_first_host_and_the_bridge_fits_an_interface() {
        let key = SubnetKey {
            deployment: "shop".parse().unwrap(),
            network: NetworkName::default_network(),
            node: NodeId(3),
        };
        let prefix = "10.244.7.0/24".parse().unwrap();
        let subnet = Subnet { key, prefix, released: None };
        assert_eq!(subnet.gateway().to_string(), "10.244.7.1");
        assert_eq!(subnet.bridge().len(), 15, "the kernel takes no longer name");
        assert!(subnet.bridge().starts_with("jaco-"));
        let other = bridge_name(&subnet.key.deployment, &"front".parse().unwrap());
        assert_ne!(subnet.bridge(), other);
        let v6 = Subnet { prefix: "fd00:0:0:7::/64".parse().unwrap(), ..subnet };
        assert_eq!(v6.gateway().to_string(), "fd00:0:0:7::1");
    }
}

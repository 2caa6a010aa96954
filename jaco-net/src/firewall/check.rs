//! Whether a ruleset contradicts itself. Pure.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::IpNet;

use super::{InterfaceName, Ruleset, Scope};
use crate::NetError;

/// What a ruleset says that cannot all be true.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Contradiction {
    /// A prefix has bits behind its length: two ways to write one thing.
    #[error("{prefix} has address bits behind its length")]
    HostBits {
        /// The prefix.
        prefix: IpNet,
    },
    /// Two pools, or two prefixes of one scope, overlap: two ways to write one thing.
    #[error("{inner} lies inside {outer}")]
    Nested {
        /// The narrower prefix.
        inner: IpNet,
        /// The wider prefix.
        outer: IpNet,
    },
    /// A scope without any prefix: it cannot be loaded, and nobody is in it.
    #[error("{scope} has no prefix")]
    EmptyScope {
        /// The scope.
        scope: Scope,
    },
    /// Two bridges have one block, so that it cannot be told where a packet came from.
    #[error("{block} of {second} overlaps the block of {first}")]
    SharedBlock {
        /// The block of `second`.
        block: IpNet,
        /// The bridge that came first.
        first: InterfaceName,
        /// The bridge that came second.
        second: InterfaceName,
    },
    /// A bridge without a block: nothing could come out of it.
    #[error("{bridge} has no block")]
    NoBlock {
        /// The bridge.
        bridge: InterfaceName,
    },
    /// The block of a bridge is not part of its scope.
    #[error("{block} of {bridge} is outside {scope}")]
    OutsideScope {
        /// The block.
        block: IpNet,
        /// Its bridge.
        bridge: InterfaceName,
        /// The scope of the bridge.
        scope: Scope,
    },
    /// The gateway of a bridge is not in its block.
    #[error("the gateway {gateway} of {bridge} is outside {block}")]
    OutsideBlock {
        /// The gateway.
        gateway: IpAddr,
        /// The block.
        block: IpNet,
        /// Their bridge.
        bridge: InterfaceName,
    },
    /// A mesh address is in a pool: hosts and containers could not be told apart.
    #[error("the mesh address {address} is in the pool {pool}")]
    MeshInPool {
        /// The mesh address.
        address: IpAddr,
        /// The pool.
        pool: IpNet,
    },
    /// One address is this node's and another member's.
    #[error("the mesh address {address} belongs to this node and to another member")]
    SharedAddress {
        /// The mesh address.
        address: IpAddr,
    },
    /// The pools of containers and of services overlap: an address could be either.
    #[error("the pool {pool} of containers overlaps the pool {virtual_pool} of services")]
    VirtualInPool {
        /// The pool of services.
        virtual_pool: IpNet,
        /// The pool of containers.
        pool: IpNet,
    },
    /// A mesh address stands for a service: the host could not be reached.
    #[error("the mesh address {address} is in the pool {pool} of services")]
    MeshIsVirtual {
        /// The mesh address.
        address: IpAddr,
        /// The pool.
        pool: IpNet,
    },
    /// An address that stands for a service is in no pool of such addresses.
    #[error("the virtual address {address} is outside every pool of services")]
    OutsideVirtualPools {
        /// The address.
        address: IpAddr,
    },
    /// What a virtual address stands for cannot be a replica that it could be translated to.
    #[error("{replica} cannot be a replica of the virtual address {address}")]
    NoReplica {
        /// The virtual address.
        address: IpAddr,
        /// What is outside the pools, or of the other family.
        replica: IpAddr,
    },
    /// A virtual address stands for more replicas than one can.
    #[error("the virtual address {address} stands for {count} replicas")]
    TooManyReplicas {
        /// The virtual address.
        address: IpAddr,
        /// How many.
        count: usize,
    },
    /// A container that is in several networks has this address, which is behind no bridge of this
    /// node, its gateway's, of the other family, in the network of another of its addresses, or
    /// another container's too.
    #[error("{address} cannot be one of the addresses of a container in several networks")]
    NoHome {
        /// The address.
        address: IpAddr,
    },
    /// A container that is in several networks has a single address.
    #[error("a container in several networks has fewer than two addresses")]
    SingleHome,
    /// The mesh interface is also a bridge.
    #[error("{interface} is the mesh interface and a bridge")]
    MeshIsBridge {
        /// The interface.
        interface: InterfaceName,
    },
}

impl Ruleset {
    /// Checks that the ruleset can be enforced: that it says one thing about every packet, in one way.
    ///
    /// # Errors
    /// [`NetError::OutsidePools`], [`NetError::OverlappingScopes`] or
    /// [`NetError::Contradictory`], for the first in order.
    pub fn check(&self) -> Result<(), NetError> {
        apart(self.pools.iter().map(|pool| (*pool, ()))).map_err(|(inner, _, outer, _)| {
            NetError::Contradictory(Contradiction::Nested { inner, outer })
        })?;
        self.check_scopes()?;
        self.check_bridges()?;
        self.check_mesh().map_err(NetError::Contradictory)?;
        self.check_virtuals().map_err(NetError::Contradictory)?;
        self.check_homes().map_err(NetError::Contradictory)?;
        let pools = self.pools.iter().chain(&self.virtual_pools);
        let prefixes = pools.chain(self.scopes.values().flatten());
        let blocks = self.bridges.values().flat_map(|bridge| bridge.blocks.keys());
        match prefixes.chain(blocks).find(|prefix| prefix.trunc() != **prefix) {
            Some(prefix) => Err(Contradiction::HostBits { prefix: *prefix }.into()),
            None => Ok(()),
        }
    }

    fn check_scopes(&self) -> Result<(), NetError> {
        for (scope, prefixes) in &self.scopes {
            if prefixes.is_empty() {
                return Err(Contradiction::EmptyScope { scope: scope.clone() }.into());
            }
            let outside = |p: &&IpNet| !self.pools.iter().any(|pool| pool.contains(*p));
            if let Some(prefix) = prefixes.iter().find(outside) {
                return Err(NetError::OutsidePools { prefix: *prefix, scope: scope.clone() });
            }
        }
        let all =
            self.scopes.iter().flat_map(|(s, prefixes)| prefixes.iter().map(move |p| (*p, s)));
        apart(all).map_err(|(inner, second, outer, first)| {
            if first == second {
                return NetError::Contradictory(Contradiction::Nested { inner, outer });
            }
            let (first, second) = (first.clone(), second.clone());
            NetError::OverlappingScopes { prefix: inner, first, second }
        })
    }

    fn check_bridges(&self) -> Result<(), Contradiction> {
        for (name, bridge) in &self.bridges {
            if bridge.blocks.is_empty() {
                return Err(Contradiction::NoBlock { bridge: name.clone() });
            }
            for (&block, &gateway) in &bridge.blocks {
                let scope = self.scopes.get(&bridge.scope);
                if !scope.is_some_and(|prefixes| prefixes.iter().any(|p| p.contains(&block))) {
                    let (bridge, scope) = (name.clone(), bridge.scope.clone());
                    return Err(Contradiction::OutsideScope { block, bridge, scope });
                }
                if !block.contains(&gateway) {
                    return Err(Contradiction::OutsideBlock {
                        gateway,
                        block,
                        bridge: name.clone(),
                    });
                }
            }
        }
        let blocks = self.bridges.iter().flat_map(|(n, b)| b.blocks.keys().map(move |k| (*k, n)));
        apart(blocks).map_err(|(block, second, _, first)| Contradiction::SharedBlock {
            block,
            first: first.clone(),
            second: second.clone(),
        })
    }

    fn check_mesh(&self) -> Result<(), Contradiction> {
        let Some(mesh) = &self.mesh else { return Ok(()) };
        if self.bridges.contains_key(&mesh.interface) {
            return Err(Contradiction::MeshIsBridge { interface: mesh.interface.clone() });
        }
        if let Some(address) = mesh.own.intersection(&mesh.members).next() {
            return Err(Contradiction::SharedAddress { address: *address });
        }
        for address in mesh.own.iter().chain(&mesh.members) {
            if let Some(pool) = self.pools.iter().find(|pool| pool.contains(address)) {
                return Err(Contradiction::MeshInPool { address: *address, pool: *pool });
            }
            if let Some(pool) = self.virtual_pools.iter().find(|pool| pool.contains(address)) {
                return Err(Contradiction::MeshIsVirtual { address: *address, pool: *pool });
            }
        }
        Ok(())
    }

    fn check_virtuals(&self) -> Result<(), Contradiction> {
        apart(self.virtual_pools.iter().map(|pool| (*pool, ())))
            .map_err(|(inner, (), outer, ())| Contradiction::Nested { inner, outer })?;
        for &virtual_pool in &self.virtual_pools {
            let overlaps = |p: &&IpNet| p.contains(&virtual_pool) || virtual_pool.contains(*p);
            if let Some(&pool) = self.pools.iter().find(overlaps) {
                return Err(Contradiction::VirtualInPool { virtual_pool, pool });
            }
        }
        for (&address, replicas) in &self.virtuals {
            if !self.virtual_address(address) {
                return Err(Contradiction::OutsideVirtualPools { address });
            }
            if replicas.len() > Self::MOST_REPLICAS {
                return Err(Contradiction::TooManyReplicas { address, count: replicas.len() });
            }
            let fits = |r: &&IpAddr| r.is_ipv4() == address.is_ipv4() && self.pooled(**r);
            if let Some(&replica) = replicas.iter().find(|replica| !fits(replica)) {
                return Err(Contradiction::NoReplica { address, replica });
            }
        }
        Ok(())
    }

    fn check_homes(&self) -> Result<(), Contradiction> {
        let mut seen = BTreeSet::new();
        for home in &self.homes {
            let mut scopes = BTreeSet::new();
            for &address in home {
                let bridge = self.bridge_of(address).map(|(_, bridge)| bridge);
                let fits = bridge.is_some_and(|bridge| {
                    !bridge.blocks.values().any(|gateway| *gateway == address)
                        && scopes.insert(&bridge.scope)
                });
                let one_family = home.iter().all(|other| other.is_ipv4() == address.is_ipv4());
                if !fits || !one_family || !seen.insert(address) {
                    return Err(Contradiction::NoHome { address });
                }
            }
            if home.len() < 2 {
                return Err(Contradiction::SingleHome);
            }
        }
        Ok(())
    }
}

/// Two prefixes that overlap: the inner one with its owner, then the outer one with its owner.
type Overlap<T> = (IpNet, T, IpNet, T);

/// Whether no two of these prefixes overlap; the first two that do.
fn apart<T: Copy>(prefixes: impl Iterator<Item = (IpNet, T)>) -> Result<(), Overlap<T>> {
    let mut all: Vec<(IpNet, T)> = prefixes.map(|(prefix, of)| (prefix.trunc(), of)).collect();
    // Prefixes nest or are apart, so sorted by address and then by length, one that overlaps any
    // earlier one overlaps its neighbour.
    all.sort_by_key(|(prefix, _)| (prefix.network(), prefix.prefix_len()));
    for pair in all.windows(2) {
        let [(outer, first), (inner, second)] = [pair[0], pair[1]];
        if outer.contains(&inner) {
            return Err((inner, second, outer, first));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Who may exchange packets with whom. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
};

use ipnet::IpNet;
use jaco_api::model::{DeploymentName, NetworkName};

use crate::NetError;

/// One network of one deployment: its members may talk to each other and to nobody else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The deployment.
    pub deployment: DeploymentName,
    /// The network, by its key in the compose file.
    pub network: NetworkName,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.deployment, self.network)
    }
}

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Neither end is in a pool: not ours, never touched.
    Foreign,
    /// Both ends are in one scope, or one end is in a scope and the other outside the pools.
    Accept,
    /// An end inside a pool has no scope, or another scope than the other end.
    Drop,
}

/// Everything the firewall of one node must hold: a replace-set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// The address pools of the cluster. Only packets with an address in here are policed.
    pub pools: BTreeSet<IpNet>,
    /// The prefixes of each scope, of every node: replicas on other nodes count too.
    pub scopes: BTreeMap<Scope, BTreeSet<IpNet>>,
}

impl Ruleset {
    /// Checks that every scope lies inside a pool and that no two scopes overlap.
    ///
    /// # Errors
    /// [`NetError::OutsidePools`] or [`NetError::OverlappingScopes`], for the first in order.
    pub fn check(&self) -> Result<(), NetError> {
        let mut all: Vec<(IpNet, &Scope)> = Vec::new();
        for (scope, prefixes) in &self.scopes {
            for prefix in prefixes {
                if !self.pools.iter().any(|pool| pool.contains(prefix)) {
                    return Err(NetError::OutsidePools { prefix: *prefix, scope: scope.clone() });
                }
                all.push((prefix.trunc(), scope));
            }
        }
        // Sorted by address and then by length, a prefix that overlaps an earlier one overlaps the
        // widest of those before it, or its direct neighbour.
        all.sort_by_key(|(prefix, _)| (prefix.network(), prefix.prefix_len()));
        let mut widest: Option<(IpNet, &Scope)> = None;
        for (prefix, scope) in all {
            if let Some((outer, first)) = widest
                && outer.contains(&prefix)
            {
                if first != scope {
                    return Err(NetError::OverlappingScopes {
                        prefix,
                        first: first.clone(),
                        second: scope.clone(),
                    });
                }
                continue;
            }
            widest = Some((prefix, scope));
        }
        Ok(())
    }

    /// The scope that `address` belongs to.
    #[must_use]
    pub fn scope_of(&self, address: IpAddr) -> Option<&Scope> {
        let within = |prefixes: &BTreeSet<IpNet>| prefixes.iter().any(|p| p.contains(&address));
        self.scopes.iter().find(|(_, prefixes)| within(prefixes)).map(|(scope, _)| scope)
    }

    /// What happens to a packet between these two addresses: the model that every implementation
    /// is measured against.
    #[must_use]
    pub fn verdict(&self, source: IpAddr, destination: IpAddr) -> Verdict {
        let pooled = |address| self.pools.iter().any(|pool| pool.contains(&address));
        match (pooled(source), pooled(destination)) {
            (false, false) => Verdict::Foreign,
            (true, true) => match (self.scope_of(source), self.scope_of(destination)) {
                (Some(a), Some(b)) if a == b => Verdict::Accept,
                _ => Verdict::Drop,
            },
            (true, false) if self.scope_of(source).is_some() => Verdict::Accept,
            (false, true) if self.scope_of(destination).is_some() => Verdict::Accept,
            _ => Verdict::Drop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(deployment: &str, network: &str) -> Scope {
        Scope { deployment: deployment.parse().unwrap(), network: network.parse().unwrap() }
    }

    fn ruleset(scopes: &[(&str, &str, &str)]) -> Ruleset {
        let mut rules = Ruleset::default();
        rules.pools.insert("10.244.0.0/14".parse().unwrap());
        for (deployment, network, prefix) in scopes {
            let prefixes = rules.scopes.entry(scope(deployment, network)).or_default();
            prefixes.insert(prefix.parse().unwrap());
        }
        rules
    }

    #[test]
    fn only_members_of_one_scope_talk_and_unknown_addresses_fail_closed() {
        let rules = ruleset(&[
            ("shop", "default", "10.244.0.0/24"),
            ("shop", "default", "10.244.7.0/24"),
            ("shop", "back", "10.244.1.0/24"),
            ("blog", "default", "10.244.2.0/24"),
        ]);
        let verdict = |a: &str, b: &str| rules.verdict(a.parse().unwrap(), b.parse().unwrap());
        assert_eq!(verdict("10.244.0.2", "10.244.7.2"), Verdict::Accept);
        assert_eq!(verdict("10.244.0.2", "10.244.1.2"), Verdict::Drop);
        assert_eq!(verdict("10.244.0.2", "10.244.2.2"), Verdict::Drop);
        assert_eq!(verdict("10.244.0.2", "10.244.9.9"), Verdict::Drop);
        assert_eq!(verdict("10.244.9.9", "10.244.9.8"), Verdict::Drop);
        assert_eq!(verdict("10.244.0.2", "192.0.2.1"), Verdict::Accept);
        assert_eq!(verdict("10.244.9.9", "192.0.2.1"), Verdict::Drop);
        assert_eq!(verdict("192.0.2.1", "192.0.2.2"), Verdict::Foreign);
    }

    #[test]
    fn a_prefix_of_two_scopes_and_one_outside_the_pools_are_refused() {
        let nested = ruleset(&[
            ("a", "default", "10.244.0.0/16"),
            ("a", "default", "10.244.3.0/24"),
            ("b", "default", "10.244.200.0/24"),
        ]);
        assert!(matches!(nested.check(), Err(NetError::OverlappingScopes { .. })));
        let outside = ruleset(&[("a", "default", "192.168.0.0/24")]);
        assert!(matches!(outside.check(), Err(NetError::OutsidePools { .. })));
        let fine = ruleset(&[("a", "x", "10.244.0.0/24"), ("b", "x", "10.244.1.0/24")]);
        fine.check().unwrap();
    }
}

//! Cluster-wide settings held in raft.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    AddressPools, AddressRange, BindAllowlist, InvalidAddresses, InvalidBindAllowlist, Span,
};

/// Settings that `jaco cluster set` changes. Every key has an effect or does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Where blocks of addresses for networks come from.
    pub address_pools: AddressPools,
    /// Directories of the hosts that services may mount without the right to privileged workloads.
    pub bind_allowlist: BindAllowlist,
    /// How many audit events are kept; the oldest go first.
    pub audit_retention: u32,
    /// How many revisions of a deployment are kept.
    pub revision_retention: u32,
    /// How long a rollout step may take after the container started.
    pub rollout_step_timeout: Span,
    /// Where each node has an address from.
    pub mesh_pool: AddressRange,
    /// Where each service has its addresses from, one for each network that it is on.
    pub service_pool: AddressRange,
    /// Placement of services whose manifest names none.
    pub default_placement: super::Placement,
    /// How long after a node was lost its replicas are placed elsewhere.
    pub node_down_grace: Span,
    /// How long a voter may be down before another node takes its place in raft.
    pub voter_replace_after: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address_pools: AddressPools::default(),
            mesh_pool: AddressRange::of_nodes(),
            service_pool: AddressRange::of_services(),
            bind_allowlist: BindAllowlist::default(),
            audit_retention: 10_000,
            revision_retention: 10,
            rollout_step_timeout: Span::secs(60),
            default_placement: super::Placement::Spread,
            node_down_grace: Span::secs(2),
            voter_replace_after: Span::secs(600),
        }
    }
}

/// Why a setting was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSetting {
    /// There is no such key.
    #[error("unknown setting {key:?}; the settings are {known}")]
    Unknown {
        /// The key as given.
        key: String,
        /// All keys.
        known: String,
    },
    /// The value does not fit the key.
    #[error("setting {key} cannot be {value:?}: {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value as given.
        value: String,
        /// What is expected.
        expected: &'static str,
    },
    /// The addresses do not fit the key, or the other key that holds some.
    #[error("setting {key} cannot be {value:?}: {problem}")]
    Addresses {
        /// The key.
        key: &'static str,
        /// The value as given.
        value: String,
        /// What is wrong with it.
        #[source]
        problem: InvalidAddresses,
    },
}

impl Settings {
    /// Every key with its present value, as text.
    #[must_use]
    pub fn entries(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("address_pools", self.address_pools.to_string()),
            ("audit_retention", self.audit_retention.to_string()),
            ("bind_allowlist", self.bind_allowlist.to_string()),
            ("default_placement", self.default_placement.to_string()),
            ("mesh_pool", self.mesh_pool.to_string()),
            ("node_down_grace", self.node_down_grace.to_string()),
            ("revision_retention", self.revision_retention.to_string()),
            ("rollout_step_timeout", self.rollout_step_timeout.to_string()),
            ("service_pool", self.service_pool.to_string()),
            ("voter_replace_after", self.voter_replace_after.to_string()),
        ])
    }

    /// The settings with one key changed.
    ///
    /// # Errors
    /// [`InvalidSetting`] when the key does not exist or the value fits neither it nor the others.
    pub fn with(&self, key: &str, value: &str) -> Result<Self, InvalidSetting> {
        let next = self.with_one(key, value)?;
        next.agree(key, value)?;
        Ok(next)
    }

    /// The settings whose texts [`Self::entries`] gave. They agree with each other as they are: one by
    /// one they need not.
    ///
    /// # Errors
    /// [`InvalidSetting`] when a key does not exist or a value does not fit.
    pub fn from_entries<'a>(
        entries: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, InvalidSetting> {
        let one = |settings: Self, (key, value)| settings.with_one(key, value);
        let settings = entries.into_iter().try_fold(Self::default(), one)?;
        settings.agree("mesh_pool", &settings.mesh_pool.to_string())?;
        Ok(settings)
    }

    /// Nodes, services and networks have no addresses in common.
    fn agree(&self, key: &str, value: &str) -> Result<(), InvalidSetting> {
        let key = match key {
            "address_pools" => "address_pools",
            "service_pool" => "service_pool",
            _ => "mesh_pool",
        };
        let refused = |problem| InvalidSetting::Addresses { key, value: value.to_owned(), problem };
        let (nodes, services) = (self.mesh_pool, self.service_pool);
        nodes
            .apart_from(&self.address_pools)
            .and_then(|()| services.apart_from(&self.address_pools))
            .and_then(|()| services.apart_from_range(&nodes))
            .map_err(refused)
    }

    /// The settings with one key changed, whatever the others say.
    fn with_one(&self, key: &str, value: &str) -> Result<Self, InvalidSetting> {
        let mut next = self.clone();
        let number = |key, low: u32, high: u32, expected| {
            value.parse().ok().filter(|n| (low..=high).contains(n)).ok_or(InvalidSetting::Value {
                key,
                value: value.to_owned(),
                expected,
            })
        };
        let span = |key, low: u64, high: u64, expected| {
            let parsed = value.parse::<Span>().ok().filter(|s| (low..=high).contains(&s.0));
            parsed.ok_or(InvalidSetting::Value { key, value: value.to_owned(), expected })
        };
        let addresses =
            |key, problem| InvalidSetting::Addresses { key, value: value.to_owned(), problem };
        match key {
            "address_pools" => {
                next.address_pools = value.parse().map_err(|e| addresses("address_pools", e))?;
            }
            "mesh_pool" => {
                next.mesh_pool = value.parse().map_err(|e| addresses("mesh_pool", e))?;
            }
            "service_pool" => {
                next.service_pool = value.parse().map_err(|e| addresses("service_pool", e))?;
            }
            "audit_retention" => {
                next.audit_retention =
                    number("audit_retention", 100, 1_000_000, "a number from 100 to 1000000")?;
            }
            "revision_retention" => {
                next.revision_retention =
                    number("revision_retention", 2, 100, "a number from 2 to 100")?;
            }
            "rollout_step_timeout" => {
                next.rollout_step_timeout =
                    span("rollout_step_timeout", 1_000, 86_400_000, "a duration from 1s to 1day")?;
            }
            "node_down_grace" => {
                next.node_down_grace =
                    span("node_down_grace", 0, 86_400_000, "a duration up to 1day")?;
            }
            "voter_replace_after" => {
                next.voter_replace_after =
                    span("voter_replace_after", 10_000, 86_400_000, "a duration from 10s to 1day")?;
            }
            "bind_allowlist" => {
                next.bind_allowlist = value.parse().map_err(|_| InvalidSetting::Value {
                    key: "bind_allowlist",
                    value: value.to_owned(),
                    expected: InvalidBindAllowlist::EXPECTED,
                })?;
            }
            "default_placement" => {
                next.default_placement = match value {
                    "spread" => super::Placement::Spread,
                    "pack" => super::Placement::Pack,
                    _ => {
                        return Err(InvalidSetting::Value {
                            key: "default_placement",
                            value: value.to_owned(),
                            expected: "spread or pack",
                        });
                    }
                };
            }
            _ => {
                let known = self.entries().into_keys().collect::<Vec<_>>().join(", ");
                return Err(InvalidSetting::Unknown { key: key.to_owned(), known });
            }
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_addresses_in_common_whatever_comes_first() {
        let settings = Settings::default();
        let error = settings.with("mesh_pool", "10.245.0.0/16").unwrap_err().to_string();
        assert!(error.contains("10.245.0.0/16 and 10.244.0.0/14 overlap"), "{error}");
        let error = settings.with("address_pools", "10.243.0.0/20:24").unwrap_err().to_string();
        assert!(error.contains("setting address_pools cannot be"), "{error}");
        for (key, value, both) in [
            ("service_pool", "10.245.0.0/16", "10.245.0.0/16 and 10.244.0.0/14"),
            ("service_pool", "10.243.8.0/24", "10.243.8.0/24 and 10.243.0.0/16"),
            ("mesh_pool", "10.242.0.0/24", "10.242.0.0/16 and 10.242.0.0/24"),
            ("address_pools", "10.242.0.0/20:24", "10.242.0.0/16 and 10.242.0.0/20"),
        ] {
            let error = settings.with(key, value).unwrap_err().to_string();
            assert!(error.contains(&format!("setting {key} cannot be")), "{error}");
            assert!(error.contains(&format!("{both} overlap")), "{error}");
        }
        let moved = settings.with("mesh_pool", "10.9.0.0/16").unwrap();
        let both = moved.with("address_pools", "10.243.0.0/20:24").unwrap();
        // The pool of blocks takes the place that the nodes have by default.
        let entries = both.entries();
        let read = Settings::from_entries(entries.iter().map(|(k, v)| (*k, v.as_str())));
        assert_eq!(read, Ok(both));
        let swapped = settings
            .with("service_pool", "10.9.0.0/16")
            .and_then(|s| s.with("mesh_pool", "10.242.0.0/16"))
            .and_then(|s| s.with("service_pool", "10.243.0.0/16"))
            .unwrap();
        let entries = swapped.entries();
        let read = Settings::from_entries(entries.iter().map(|(k, v)| (*k, v.as_str())));
        assert_eq!(read, Ok(swapped));
    }
}

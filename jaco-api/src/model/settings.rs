//! Cluster-wide settings held in raft.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{BindAllowlist, InvalidBindAllowlist, Span};

/// Settings that `jaco cluster set` changes. Every key has an effect or does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Directories of the hosts that services may mount without the right to privileged workloads.
    pub bind_allowlist: BindAllowlist,
    /// How many audit events are kept; the oldest go first.
    pub audit_retention: u32,
    /// How many revisions of a deployment are kept.
    pub revision_retention: u32,
    /// How long a rollout step may take after the container started.
    pub rollout_step_timeout: Span,
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
}

impl Settings {
    /// Every key with its present value, as text.
    #[must_use]
    pub fn entries(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("audit_retention", self.audit_retention.to_string()),
            ("bind_allowlist", self.bind_allowlist.to_string()),
            ("default_placement", self.default_placement.to_string()),
            ("node_down_grace", self.node_down_grace.to_string()),
            ("revision_retention", self.revision_retention.to_string()),
            ("rollout_step_timeout", self.rollout_step_timeout.to_string()),
            ("voter_replace_after", self.voter_replace_after.to_string()),
        ])
    }

    /// The settings with one key changed.
    ///
    /// # Errors
    /// [`InvalidSetting`] when the key does not exist or the value does not fit it.
    pub fn with(&self, key: &str, value: &str) -> Result<Self, InvalidSetting> {
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
        match key {
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

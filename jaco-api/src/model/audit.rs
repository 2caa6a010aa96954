//! The audit log's events.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Actor, Timestamp};

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// What an audit event reports. The text form is stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum AuditKind { $($(#[$doc])* $variant,)* }

        impl AuditKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable snake_case name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
        impl FromStr for AuditKind {
            type Err = UnknownAuditKind;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                match s {
                    $($text => Ok(Self::$variant),)*
                    other => Err(UnknownAuditKind(other.to_owned())),
                }
            }
        }
    };
}

kinds! {
    /// The cluster was created.
    ClusterInit = "cluster_init",
    /// A node became a member.
    NodeJoin = "node_join",
    /// A node stopped being a member.
    NodeRemove = "node_remove",
    /// A node's lease ran out.
    NodeDown = "node_down",
    /// A node came back.
    NodeUp = "node_up",
    /// A node is being emptied.
    NodeDrain = "node_drain",
    /// A node became leader.
    LeaderElected = "leader_elected",
    /// A deployment was applied.
    Apply = "apply",
    /// A deployment was rolled back.
    Rollback = "rollback",
    /// A deployment was deleted.
    Delete = "delete",
    /// A service was scaled.
    Scale = "scale",
    /// A service was restarted.
    Restart = "restart",
    /// A command ran in a container, or files were copied to or from it.
    Exec = "exec",
    /// A deployment was stopped.
    Stop = "stop",
    /// A stopped deployment was started.
    Start = "start",
    /// An operator token was issued.
    TokenIssue = "token_issue",
    /// An operator token was revoked.
    TokenRevoke = "token_revoke",
    /// A registry credential was set.
    RegistryCredentialUpsert = "registry_credential_upsert",
    /// A registry credential was removed.
    RegistryCredentialRemove = "registry_credential_remove",
    /// A named secret or config was set.
    SecretUpsert = "secret_upsert",
    /// A named secret or config was removed.
    SecretRemove = "secret_remove",
    /// A certificate was issued.
    CertificateIssued = "certificate_issued",
    /// A certificate was renewed.
    CertificateRenewed = "certificate_renewed",
    /// A certificate could not be issued.
    CertificateFailed = "certificate_failed",
    /// An own certificate was imported.
    CertificateImported = "certificate_imported",
    /// A certificate was removed.
    CertificateRemoved = "certificate_removed",
    /// Firewall drift was repaired.
    IsolationRulesetReconciled = "isolation_ruleset_reconciled",
    /// A node cannot isolate containers.
    IsolationUnavailable = "isolation_unavailable",
    /// A workload that equals host access was admitted.
    PrivilegedWorkloadAdmitted = "privileged_workload_admitted",
    /// A rollout finished.
    RolloutCompleted = "rollout_completed",
    /// A rollout failed.
    RolloutFailed = "rollout_failed",
    /// A step was refused because it would have gone below the rollout's floor.
    RolloutInvariantHold = "rollout_invariant_hold",
    /// The rebalancer moved a replica.
    RebalanceMoved = "rebalance_moved",
    /// The rebalancer decided against a move.
    RebalanceSkipped = "rebalance_skipped",
    /// A subnet was allocated.
    SubnetAllocated = "subnet_allocated",
    /// A subnet was released.
    SubnetReleased = "subnet_released",
    /// Most blocks of addresses are taken.
    SubnetPoolLow = "subnet_pool_low",
    /// A backup was taken.
    BackupTaken = "backup_taken",
    /// The cluster was restored from a backup.
    RestoreCompleted = "restore_completed",
    /// A node was upgraded.
    UpgradeSucceeded = "upgrade_succeeded",
    /// A node could not be upgraded.
    UpgradeFailed = "upgrade_failed",
    /// A cluster setting was changed.
    SettingsChanged = "settings_changed",
    /// A key was rotated.
    KeyRotated = "key_rotated",
    /// A node has another key in the mesh.
    MeshKeyRotated = "mesh_key_rotated",
}

/// An audit kind that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown audit type {0:?}")]
pub struct UnknownAuditKind(pub String);

impl fmt::Display for AuditKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
impl Serialize for AuditKind {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}
impl<'de> Deserialize<'de> for AuditKind {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Position in the log; rises by one.
    pub sequence: u64,
    /// When the change was proposed.
    pub at: Timestamp,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: AuditKind,
    /// Who did it, and where.
    #[serde(flatten)]
    pub actor: Actor,
    /// What it was done to; never a secret.
    pub payload: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_round_trips() {
        for kind in AuditKind::ALL {
            assert_eq!(kind.as_str().parse::<AuditKind>().unwrap(), *kind);
        }
    }
}

//! Cluster-wide settings.

use std::collections::BTreeSet;

use jaco_api::{
    error::ErrorCode,
    model::{AuditKind, Settings},
};

use super::{Outcome, rejection::Rejection};
use crate::state::{Transaction, payload};

/// One cluster setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetSetting {
    /// Key, as in [`jaco_api::model::Settings::entries`].
    pub key: String,
    /// New value.
    pub value: String,
}

impl SetSetting {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let old = tx.view().settings().clone();
        let new = old
            .with(&self.key, &self.value)
            .map_err(|e| Rejection::new(ErrorCode::ValidationFailed, e.to_string()))?;
        if new == *old {
            return Ok(Outcome::Done);
        }
        refuse_stranded(tx, &new)?;
        let value = |of: &Settings| of.entries().remove(self.key.as_str()).unwrap_or_default();
        tx.audit(
            AuditKind::SettingsChanged,
            payload([("key", self.key.clone()), ("old", value(&old)), ("new", value(&new))]),
        );
        tx.put_settings(new);
        Ok(Outcome::Done)
    }
}

/// What has an address keeps it: a pool that holds some is not taken away.
fn refuse_stranded(tx: &Transaction<'_>, new: &Settings) -> Result<(), Rejection> {
    let view = tx.view();
    let outside = view.subnets().filter(|s| new.address_pools.position_of(s.prefix).is_none());
    let (mut blocks, mut deployments) = (0_u32, BTreeSet::new());
    for row in outside {
        blocks += 1;
        deployments.insert(row.key.deployment.as_str());
    }
    let listed = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
    if blocks > 0 {
        let deployments = listed(deployments);
        let message = format!(
            "{blocks} blocks of addresses that are in use or in quarantine would lie in no pool: of {deployments}"
        );
        return Err(Rejection::new(ErrorCode::ValidationFailed, message)
            .with("deployments", deployments)
            .hint("keep the pool; add another one beside it, or change the length of its blocks"));
    }
    let pool = new.mesh_pool;
    let strays = |n: &&std::sync::Arc<jaco_api::model::Node>| {
        n.mesh_address.is_some_and(|address| !pool.contains(address))
    };
    let nodes: BTreeSet<_> = view.nodes().filter(strays).map(|n| n.name.as_str()).collect();
    if nodes.is_empty() {
        return Ok(());
    }
    let nodes = listed(nodes);
    let message = format!("addresses of nodes would lie outside of {pool}: those of {nodes}");
    Err(Rejection::new(ErrorCode::ValidationFailed, message)
        .with("nodes", nodes)
        .hint("choose a pool around the present one"))
}

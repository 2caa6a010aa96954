//! Cluster-wide settings.

use std::collections::BTreeSet;

use jaco_api::{
    error::ErrorCode,
    model::{AuditKind, Settings},
};

use super::{Outcome, rejection::Rejection};
use crate::state::{State, Transaction, payload};

/// What to do instead of moving a pool of which single addresses are in use.
const AROUND: &str = "choose a pool around the present one";

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
    refuse_stranded_blocks(tx.view(), new)?;
    refuse_stranded_services(tx.view(), new)?;
    refuse_stranded_nodes(tx.view(), new)
}

fn refuse_stranded_blocks(view: &State, new: &Settings) -> Result<(), Rejection> {
    let outside = view.subnets().filter(|s| new.address_pools.position_of(s.prefix).is_none());
    let Some((blocks, deployments)) = counted(outside.map(|s| s.key.deployment.as_str())) else {
        return Ok(());
    };
    let message = format!(
        "{blocks} blocks of addresses that are in use or in quarantine would lie in no pool: of {deployments}"
    );
    Err(Rejection::new(ErrorCode::ValidationFailed, message)
        .with("deployments", deployments)
        .hint("keep the pool; add another one beside it, or change the length of its blocks"))
}

fn refuse_stranded_services(view: &State, new: &Settings) -> Result<(), Rejection> {
    let pool = new.service_pool;
    let outside = view.virtual_addresses().filter(|row| !pool.contains(row.address));
    let Some((addresses, deployments)) = counted(outside.map(|row| row.key.deployment.as_str()))
    else {
        return Ok(());
    };
    let message =
        format!("{addresses} addresses of services would lie outside of {pool}: of {deployments}");
    Err(Rejection::new(ErrorCode::ValidationFailed, message)
        .with("deployments", deployments)
        .hint(AROUND))
}

fn refuse_stranded_nodes(view: &State, new: &Settings) -> Result<(), Rejection> {
    let pool = new.mesh_pool;
    let strays = view.nodes().filter(|n| n.mesh_address.is_some_and(|a| !pool.contains(a)));
    let Some((_, nodes)) = counted(strays.map(|n| n.name.as_str())) else { return Ok(()) };
    let message = format!("addresses of nodes would lie outside of {pool}: those of {nodes}");
    Err(Rejection::new(ErrorCode::ValidationFailed, message).with("nodes", nodes).hint(AROUND))
}

/// How many there are, and the names of their owners; absent when there are none.
fn counted<'a>(owners: impl Iterator<Item = &'a str>) -> Option<(usize, String)> {
    let owners: Vec<_> = owners.collect();
    let names: BTreeSet<_> = owners.iter().copied().collect();
    let listed = names.into_iter().collect::<Vec<_>>().join(", ");
    (!owners.is_empty()).then_some((owners.len(), listed))
}

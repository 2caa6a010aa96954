//! The data key that new values are sealed with.

use std::sync::Arc;

use jaco_api::{
    error::ErrorCode,
    model::{AuditKind, Sealed},
};

use super::{Outcome, rejection::Rejection};
use crate::state::{Cluster, Transaction, payload};

/// Gives out the number of the next data key. An attempt to put a key in force may leave it with some
/// members; no later attempt meets it there under the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReserveKey;

impl ReserveKey {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let cluster = present(tx)?;
        let key_id = cluster.last_key + 1;
        tx.put_cluster(Cluster { last_key: key_id, ..Arc::unwrap_or_clone(cluster) });
        Ok(Outcome::KeyReserved { key_id })
    }
}

fn present(tx: &Transaction<'_>) -> Result<Arc<Cluster>, Rejection> {
    let absent = || Rejection::new(ErrorCode::ClusterUninitialized, "there is no cluster");
    tx.view().cluster().cloned().ok_or_else(absent)
}

/// New values are sealed with another data key from now on. A majority of the voters holds it
/// already when this is proposed; the others fetch it when they see this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotateKey {
    /// Number of the key, which was given out; higher than the present one's.
    pub key_id: u32,
    /// The CA's private key, sealed with it.
    pub ca_key: Sealed,
}

impl RotateKey {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let cluster = present(tx)?;
        let given_out = cluster.data_key + 1..=cluster.last_key;
        if !given_out.contains(&self.key_id) || self.ca_key.key_id != self.key_id {
            return Err(Rejection::conflict(format!(
                "data key {} cannot follow key {}",
                self.key_id, cluster.data_key
            )));
        }
        tx.put_cluster(Cluster {
            data_key: self.key_id,
            key_due: false,
            ca_key: self.ca_key.clone(),
            ..Arc::unwrap_or_clone(cluster)
        });
        tx.audit(AuditKind::KeyRotated, payload([("key", self.key_id.to_string())]));
        Ok(Outcome::Done)
    }
}

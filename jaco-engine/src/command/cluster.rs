//! The beginning of a cluster.

use jaco_api::{
    error::ErrorCode,
    model::{AddressPools, AuditKind, ClusterId, Node, OperatorToken, Sealed},
};

use super::{Outcome, rejection::Rejection};
use crate::state::{Cluster, Transaction, payload};

/// The feature level of a new cluster: commands newer than it are not proposed.
const FEATURE_LEVEL: u32 = 1;

/// First entry of a cluster's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitCluster {
    /// Identity of the cluster.
    pub cluster: ClusterId,
    /// CA certificate, PEM.
    pub ca_pem: String,
    /// CA private key (PKCS#8), sealed.
    pub ca_key: Sealed,
    /// The first member.
    pub node: Node,
    /// The first operator token.
    pub token: OperatorToken,
    /// Where networks have their addresses from; absent means the usual pool.
    pub address_pools: Option<AddressPools>,
}

impl InitCluster {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        if let Some(cluster) = tx.view().cluster() {
            return Err(Rejection::new(
                ErrorCode::ClusterAlreadyInitialized,
                format!("cluster {} exists already", cluster.id),
            ));
        }
        tx.put_cluster(Cluster {
            id: self.cluster,
            ca_pem: self.ca_pem.clone(),
            ca_key: self.ca_key.clone(),
            created_at: tx.at(),
            feature_level: FEATURE_LEVEL,
            last_node: self.node.id.0,
            last_audit: 0,
            last_event: 0,
            data_key: self.ca_key.key_id,
            key_due: false,
            last_key: self.ca_key.key_id,
        });
        if let Some(pools) = &self.address_pools {
            let settings = tx.view().settings().with("address_pools", &pools.to_string());
            let settings =
                settings.map_err(|e| Rejection::new(ErrorCode::ValidationFailed, e.to_string()))?;
            tx.put_settings(settings);
        }
        let mesh_address = tx.view().next_mesh_address();
        tx.put_node(Node { mesh_address, ..self.node.clone() });
        tx.put_token(self.token.clone());
        tx.audit(
            AuditKind::ClusterInit,
            payload([
                ("cluster", self.cluster.to_string()),
                ("node", self.node.name.to_string()),
                ("token", self.token.identity.to_string()),
            ]),
        );
        Ok(Outcome::Done)
    }
}

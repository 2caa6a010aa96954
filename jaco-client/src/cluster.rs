//! Forming a cluster and looking at it.

use std::collections::BTreeMap;

use jaco_api::{
    model::{ClusterStatus, NodeName},
    pb,
};
use serde::Serialize;

use crate::{Client, Error, call::MAX_MESSAGE, retry::Repeat};

/// A cluster that was just created.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Initialized {
    /// The cluster.
    pub cluster_id: String,
    /// The first operator token: shown once, stored nowhere.
    pub token: String,
    /// SHA-256 of the CA certificate, as `sha256:<hex>`.
    pub ca_fingerprint: String,
    /// The CA certificate.
    pub ca_pem: String,
    /// Name of its first node.
    pub node: NodeName,
    /// `host:port` of the operator API.
    pub api_addr: String,
}

impl std::fmt::Debug for Initialized {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Initialized")
            .field("cluster_id", &self.cluster_id)
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

fn service(
    channel: tonic::transport::Channel,
) -> pb::cluster_client::ClusterClient<tonic::transport::Channel> {
    pb::cluster_client::ClusterClient::new(channel).max_decoding_message_size(MAX_MESSAGE)
}

impl Client {
    /// Creates a cluster on the local node. `token_name` names the first operator token; empty
    /// means `admin`.
    ///
    /// # Errors
    /// `cluster_already_initialized` when the node is a member of one.
    pub async fn cluster_init(&self, token_name: &str) -> Result<Initialized, Error> {
        let request = pb::InitRequest { token_name: token_name.to_owned() };
        let answer = self
            .call(Repeat::Harmful, &request, |c, r| async move { service(c).init(r).await })
            .await?;
        Ok(Initialized {
            cluster_id: answer.cluster_id,
            token: answer.token,
            ca_fingerprint: answer.ca_fingerprint,
            ca_pem: answer.ca_pem,
            node: answer.node.parse().map_err(Error::answer)?,
            api_addr: answer.api_addr,
        })
    }

    /// What the answering node knows of the cluster. Works before init.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn cluster_status(&self) -> Result<ClusterStatus, Error> {
        self.call(Repeat::Harmless, &pb::ClusterStatusRequest {}, |c, r| async move {
            service(c).status(r).await
        })
        .await?
        .try_into()
        .map_err(Error::answer)
    }

    /// Every cluster-wide setting with its value.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn settings(&self) -> Result<BTreeMap<String, String>, Error> {
        Ok(self
            .call(Repeat::Harmless, &pb::GetSettingsRequest {}, |c, r| async move {
                service(c).get_settings(r).await
            })
            .await?
            .settings)
    }

    /// Changes one setting; all of them come back.
    ///
    /// # Errors
    /// `validation_failed` when there is no such key or the value does not fit it.
    pub async fn set_setting(
        &self,
        key: &str,
        value: &str,
    ) -> Result<BTreeMap<String, String>, Error> {
        let request = pb::SetSettingRequest { key: key.to_owned(), value: value.to_owned() };
        Ok(self
            .call(Repeat::Harmless, &request, |c, r| async move { service(c).set_setting(r).await })
            .await?
            .settings)
    }
}

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

/// A node that has joined a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Joined {
    /// The cluster.
    pub cluster_id: String,
    /// The node.
    pub node: NodeName,
    /// Its number in the cluster.
    pub node_id: u64,
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

    /// Makes the local node a member of the cluster that `peer` (`host:port`) belongs to. It is
    /// admitted when this returns, and ready when its status says so.
    ///
    /// # Errors
    /// `join_token_invalid`, `join_token_consumed`, `join_token_expired`, `ca_mismatch`,
    /// `peer_unreachable`, `node_already_member`, or `cluster_already_initialized` when this node is
    /// a member of a cluster.
    pub async fn join(&self, peer: &str, token: &str) -> Result<Joined, Error> {
        let request = pb::JoinRequest { peer: peer.to_owned(), token: token.to_owned() };
        let answer = self
            .call(Repeat::Harmful, &request, |c, r| async move { service(c).join(r).await })
            .await?;
        Ok(Joined {
            cluster_id: answer.cluster_id,
            node: answer.node.parse().map_err(Error::answer)?,
            node_id: answer.node_id,
        })
    }

    /// Hands leadership to a voter, or to whichever is up to date; says who leads then.
    ///
    /// # Errors
    /// `unknown_node`, `conflict` when it does not vote, `no_leader` when it did not take over.
    pub async fn transfer_leader(&self, to: Option<&NodeName>) -> Result<NodeName, Error> {
        let node = to.map(ToString::to_string).unwrap_or_default();
        let request = pb::TransferLeaderRequest { node };
        let answer =
            self.call(Repeat::Harmless, &request, |c, r| async move {
                service(c).transfer_leader(r).await
            })
            .await?;
        answer.leader.parse().map_err(Error::answer)
    }

    /// Makes a new data key, which seals everything from now on; its number comes back.
    ///
    /// # Errors
    /// `quorum_lost` when too few members took it.
    pub async fn rotate_key(&self) -> Result<u32, Error> {
        let request = pb::RotateKeyRequest {};
        let answer = self
            .call(Repeat::Harmful, &request, |c, r| async move { service(c).rotate_key(r).await })
            .await?;
        Ok(answer.key_id)
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

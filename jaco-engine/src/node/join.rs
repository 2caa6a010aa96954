//! Making this node a member of an existing cluster.
//!
//! The node's key is on disk before it asks, and the same key is shown by a second attempt: an answer
//! that was lost, or a crash, is made good by asking again with the same token. What is written after
//! the answer (data keys, certificate, membership) is in the order in which the next start needs it.

use jaco_api::{
    convert::parse,
    error::{ApiError, ErrorCode},
    model::{ClusterId, Node, NodeId},
    pb,
};

use super::{NodeError, directory::MemberFile, found::Joined, host, keeper::Keeper};
use crate::{
    enrol,
    pki::{JoinSecret, NodeFiles, NodeIdentity, SigningRequest},
    raft::Member,
    seal::Keyring,
};

impl Keeper {
    pub(crate) async fn join(
        &mut self,
        peer: &str,
        token: &JoinSecret,
    ) -> Result<Joined, ApiError> {
        self.refuse_member()?;
        let files = NodeFiles::at(self.directory.node());
        let request = self.signing_request(&files)?;
        let (api_addr, raft_addr) = self.addresses;
        let message = pb::EnrolRequest {
            secret: token.secret.to_string(),
            name: self.name.to_string(),
            facts: Some(host::first_facts(api_addr, raft_addr, self.version).into()),
            csr_pem: request.csr_pem.clone(),
        };
        let reply = self.seams.transport().enrol(peer, &token.pin, message).await?;
        let cluster: ClusterId = parse("cluster_id", &reply.cluster_id)?;
        let id = NodeId(reply.node_id);
        let keyring = Keyring::load(self.directory.keys()).map_err(NodeError::from)?;
        let keys = reply.keys.into_iter().map(enrol::data_key).collect::<Result<Vec<_>, _>>()?;
        keyring.import(keys).map_err(NodeError::from)?;
        let identity = NodeIdentity { cert_pem: reply.cert_pem, key_pem: request.key_pem };
        files.save(&reply.ca_pem, &self.name, &identity).map_err(NodeError::from)?;
        let members: Vec<Node> =
            reply.members.into_iter().map(Node::try_from).collect::<Result<_, _>>()?;
        let others = members.iter().filter(|n| n.id != id).map(|n| (n.id, Member::of(n)));
        let (name, others) = (self.name.clone(), others.collect());
        self.become_member(MemberFile { cluster, node: id, name, others }).await?;
        tracing::info!(%cluster, node = %self.name, number = %id, "joined the cluster");
        Ok(Joined { cluster, node: self.name.clone(), id })
    }

    fn refuse_member(&self) -> Result<(), ApiError> {
        if let Some(membership) = &*self.membership.borrow() {
            return Err(ApiError::new(
                ErrorCode::ClusterAlreadyInitialized,
                format!("node {} belongs to cluster {}", self.name, membership.cluster),
            ));
        }
        if self.consensus.is_some() || !self.storage.extent().is_empty() {
            return Err(ApiError::new(
                ErrorCode::ClusterAlreadyInitialized,
                "the creation of a cluster was begun on this node",
            )
            .with("hint", "finish it with `jaco cluster init`, or empty the data directory"));
        }
        Ok(())
    }

    /// The key that an earlier attempt has shown, or a fresh one that the next attempt shows again.
    fn signing_request(&self, files: &NodeFiles) -> Result<SigningRequest, NodeError> {
        if let Some(key_pem) = files.load_key(&self.name)? {
            return Ok(SigningRequest::of_key(key_pem)?);
        }
        let request = SigningRequest::new()?;
        files.save_key(&self.name, &request.key_pem)?;
        Ok(request)
    }
}

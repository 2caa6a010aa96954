//! Creating a cluster on this node.
//!
//! The commit of the first command is the one moment at which the cluster begins to exist. What is
//! written before it (keys, an empty log with one voter, certificates) is written again by the next
//! attempt; what is written after it is derived from the state at the next start. So a crash at any
//! point leaves a node that is either uninitialised and can be asked again, or initialised.

use async_trait::async_trait;
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{
        Actor, Availability, ClusterId, Identity, Node, NodeCondition, NodeId, NodeStatus,
        OperatorToken, Principal, Role,
    },
};
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use super::{NodeError, certificate::chained, consensus::Consensus, host, keeper::Keeper};
pub(crate) use crate::rpc::Joined;
use crate::{
    command::{Command, InitCluster},
    pki::{self, Authority, JoinSecret, NodeFiles, PeerIdentity},
    raft::Member,
    rpc::{Founded, Founder},
    seal,
};

/// The number of a cluster's first node.
pub(crate) const FIRST: NodeId = NodeId(1);

/// A request to create a cluster or to join one, for the keeper of the node.
pub(crate) enum Request {
    Found {
        who: Principal,
        token_name: Identity,
        answer: oneshot::Sender<Result<Founded, ApiError>>,
    },
    Join {
        peer: String,
        token: JoinSecret,
        answer: oneshot::Sender<Result<Joined, ApiError>>,
    },
}

/// Brings requests to the keeper, one at a time.
pub(crate) struct Doorbell(pub(crate) mpsc::Sender<Request>);

#[async_trait]
impl Founder for Doorbell {
    async fn found(&self, who: &Principal, token_name: Identity) -> Result<Founded, ApiError> {
        let (answer, result) = oneshot::channel();
        let request = Request::Found { who: who.clone(), token_name, answer };
        self.0.send(request).await.map_err(|_| stopping())?;
        result.await.map_err(|_| stopping())?
    }

    async fn join(&self, peer: String, token: JoinSecret) -> Result<Joined, ApiError> {
        let (answer, result) = oneshot::channel();
        let request = Request::Join { peer, token, answer };
        self.0.send(request).await.map_err(|_| stopping())?;
        result.await.map_err(|_| stopping())?
    }
}

fn stopping() -> ApiError {
    ApiError::new(ErrorCode::NoLeader, "this node is shutting down")
}

/// A cluster in the making: everything its first command needs.
pub(crate) struct Foundation {
    pub(crate) cluster: ClusterId,
    authority: Authority,
    token: Zeroizing<String>,
    command: InitCluster,
}

impl Keeper {
    pub(crate) async fn answer(&mut self, request: Request) {
        // The caller may have given up; what was done is done all the same.
        match request {
            Request::Found { who, token_name, answer } => {
                let result = self.found(&who, token_name).await;
                let result =
                    result.inspect_err(|error| tracing::warn!(%error, "no cluster was created"));
                let _ = answer.send(result);
            }
            Request::Join { peer, token, answer } => {
                let result = self.join(&peer, &token).await;
                let result = result
                    .inspect_err(|error| tracing::warn!(%error, %peer, "no cluster was joined"));
                let _ = answer.send(result);
            }
        }
    }

    async fn found(&mut self, who: &Principal, holder: Identity) -> Result<Founded, ApiError> {
        let consensus = self.prepare_log().await?;
        self.refuse_second(&consensus).await?;
        let foundation = self.lay(&consensus, holder)?;
        self.write_certificates(&foundation)?;
        self.commit(&consensus, who, &foundation).await?;
        self.become_member(self.founder_of(foundation.cluster)).await?;
        let ca_pem = foundation.authority.ca_pem().to_owned();
        tracing::info!(cluster = %foundation.cluster, "cluster created");
        Ok(Founded {
            cluster: foundation.cluster,
            token: foundation.token,
            ca_fingerprint: pki::fingerprint(&ca_pem).map_err(NodeError::from)?,
            ca_pem,
            api_addr: self.addresses.0.to_string(),
        })
    }

    /// A log with this node as its one voter.
    pub(crate) async fn prepare_log(&mut self) -> Result<Consensus, NodeError> {
        let consensus = self.open_log(FIRST).await?;
        let (api_addr, raft_addr) = self.addresses;
        consensus.stand_alone(Member { name: self.name.clone(), raft_addr, api_addr }).await?;
        Ok(consensus)
    }

    /// A cluster that exists is never created again, also when the answer of an earlier attempt was
    /// lost: then the node takes its part in it now.
    pub(crate) async fn refuse_second(&mut self, consensus: &Consensus) -> Result<(), ApiError> {
        let state = consensus.present().await?;
        let Some(cluster) = state.cluster() else { return Ok(()) };
        let id = cluster.id;
        if self.part.is_none() {
            self.become_member(self.founder_of(id)).await?;
        }
        Err(ApiError::new(
            ErrorCode::ClusterAlreadyInitialized,
            format!("node {} belongs to cluster {id}", self.name),
        ))
    }

    /// Everything the first command needs, in memory only.
    pub(crate) fn lay(
        &self,
        consensus: &Consensus,
        holder: Identity,
    ) -> Result<Foundation, NodeError> {
        let now = self.seams.clock.now();
        let cluster = ClusterId(uuid::Uuid::new_v4());
        let authority = Authority::create(cluster, now)?;
        let (token, hash) = pki::new_token();
        let node = Node {
            id: FIRST,
            name: self.name.clone(),
            status: NodeStatus::Joining,
            condition: NodeCondition::Joining,
            condition_since: now,
            reason: None,
            availability: Availability::Active,
            forced: false,
            labels: Default::default(),
            facts: host::first_facts(self.addresses.0, self.addresses.1, self.version),
            joined_at: now,
            mesh_address: None,
        };
        let token_row = OperatorToken {
            identity: holder,
            hash: Some(hash),
            role: Role::Admin,
            deployments: Vec::new(),
            allow_privileged: true,
            issued_at: now,
            expires_at: None,
            revoked_at: None,
        };
        let command = InitCluster {
            address_pools: self.config.address_pools.clone(),
            cluster,
            ca_pem: authority.ca_pem().to_owned(),
            ca_key: consensus.keyring.seal(seal::CA, &authority.pkcs8()),
            node,
            token: token_row,
        };
        Ok(Foundation { cluster, authority, token, command })
    }

    /// The certificates of the node, on disk before the cluster exists.
    pub(crate) fn write_certificates(&self, foundation: &Foundation) -> Result<(), NodeError> {
        let addresses = [self.addresses.0.ip()];
        let now = self.seams.clock.now();
        let (cluster, node) = (foundation.cluster, self.name.clone());
        let founder = PeerIdentity { cluster, node, member: FIRST };
        let identity = foundation.authority.issue(&founder, &addresses, now)?;
        let ca_pem = foundation.authority.ca_pem();
        let files = NodeFiles::at(self.directory.node());
        Ok(files.save(ca_pem, &self.name, &chained(identity, ca_pem))?)
    }

    /// The moment at which the cluster begins to exist.
    pub(crate) async fn commit(
        &self,
        consensus: &Consensus,
        who: &Principal,
        foundation: &Foundation,
    ) -> Result<(), ApiError> {
        let actor =
            Actor { identity: who.identity.clone(), uid: who.uid, node: Some(self.name.clone()) };
        let command = Command::InitCluster(Box::new(foundation.command.clone()));
        consensus.raft.submitter().submit(actor, None, command).await.map(|_| ())
    }
}

//! Makes a new data key, gives it to the members and puts it in force.
//!
//! A key is in force once the log says so, and the log says so only when a majority of the voters
//! holds the key: whatever is sealed with it can be opened after the loss of a minority. Whoever does
//! not hold it yet fetches it when it sees it in the state. Every attempt makes a key of a number of its
//! own, which the log gives out: what a failed one left behind is never taken for another key.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::future::join_all;
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{Actor, NodeId},
    pb,
};

use super::Membership;
use crate::{
    command::{Command, Outcome, ReserveKey, RotateKey},
    control,
    enrol::EnrolError,
    raft::{Ask, Peer},
    seal::{self, SealError},
};

/// How long a member may take to keep a key.
const PATIENCE: Duration = Duration::from_secs(3);

/// Rotates keys in the name of the cluster.
pub(crate) struct ClusterKeys(pub(crate) Arc<Membership>);

#[async_trait]
impl control::Rekey for ClusterKeys {
    async fn rotate(&self) -> Result<u32, ApiError> {
        rotate(&self.0, Actor::system(Some(self.0.name.clone()))).await
    }
}

/// Makes the next key and puts it in force.
pub(crate) async fn rotate(membership: &Membership, actor: Actor) -> Result<u32, ApiError> {
    let reserve = Command::ReserveKey(ReserveKey);
    let outcome = membership.submitter.submit(actor.clone(), None, reserve).await?;
    let Outcome::KeyReserved { key_id } = outcome else {
        return Err(ApiError::new(ErrorCode::Internal, "no number was given out for a data key"));
    };
    let state = membership.raft.present().await?;
    let Some(cluster) = state.cluster() else { return Err(EnrolError::NoCluster.into()) };
    let keyring = &membership.keyring;
    let key = keyring.make(key_id).map_err(unusable)?;
    let given = give(membership, &pb::DataKey { id: key.id, key: key.key.to_vec() }).await;
    let result = async {
        given?;
        let ca_key = keyring.open(seal::CA, &cluster.ca_key).map_err(unusable)?;
        let ca_key = keyring.seal_with(key_id, seal::CA, &ca_key).map_err(unusable)?;
        let command = Command::RotateKey(RotateKey { key_id, ca_key });
        membership.submitter.submit(actor, None, command).await
    };
    match result.await {
        Ok(_) => Ok(key_id),
        Err(error) => {
            if membership.state.newest().cluster().is_none_or(|c| c.data_key < key_id) {
                keyring.discard(key_id);
            }
            Err(error)
        }
    }
}

/// Gives a key to every member; a majority of the voters must take it.
async fn give(membership: &Membership, key: &pb::DataKey) -> Result<(), ApiError> {
    let status = membership.raft.status().borrow().clone();
    let offers = status.members.iter().filter(|(id, _)| **id != membership.id).map(|(id, m)| {
        let peer = Peer { id: *id, member: m.member.clone() };
        async move {
            let taken = membership.raft.ask(&peer, Ask::OfferKey(key.clone()), PATIENCE).await;
            taken.map(|_| peer.id).inspect_err(|error| {
                tracing::warn!(node = %peer.member.name, %error, "a member did not take the new key");
            })
        }
    });
    let mut holders: Vec<NodeId> = join_all(offers).await.into_iter().flatten().collect();
    holders.push(membership.id);
    let voters: Vec<NodeId> = status.voters().collect();
    let held = voters.iter().filter(|id| holders.contains(id)).count();
    if held * 2 > voters.len() {
        return Ok(());
    }
    let message = format!("only {held} of {} voters took the new data key", voters.len());
    Err(ApiError::new(ErrorCode::QuorumLost, message))
}

fn unusable(error: SealError) -> ApiError {
    ApiError::new(ErrorCode::Internal, "the data keys of this node cannot be used")
        .with("cause", error)
}

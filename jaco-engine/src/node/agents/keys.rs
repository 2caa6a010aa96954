//! Holds the data key that the cluster seals with: fetches it from another member when it is missing,
//! and puts it in force.

use std::{sync::Arc, time::Duration};

use crate::{
    enrol,
    raft::{Ask, Peer, Told},
    retry::Backoff,
    rpc::Membership,
};

const PATIENCE: Duration = Duration::from_secs(2);

/// Follows the key of the state until the state machine stops.
pub(crate) async fn keep_keys(membership: Arc<Membership>) {
    let mut state = membership.state.subscribe();
    let mut pauses = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut turn = 0;
    loop {
        let wanted = state.newest().cluster().map(|cluster| cluster.data_key);
        if let Some(key) = wanted.filter(|key| membership.keyring.current() != Some(*key)) {
            if !membership.keyring.has(key) {
                fetch(&membership, turn).await;
                turn += 1;
            }
            if membership.keyring.put_in_force(key).is_err() {
                tracing::warn!(key, "the data key in force is missing here and is fetched again");
                tokio::time::sleep(pauses.pause()).await;
                continue;
            }
            pauses.reset();
        }
        if state.changed().await.is_err() {
            return;
        }
    }
}

/// Asks one of the other members for the keys.
async fn fetch(membership: &Membership, turn: usize) {
    let status = membership.raft.status().borrow().clone();
    let others: Vec<_> = status.members.iter().filter(|(id, _)| **id != membership.id).collect();
    let Some((id, seen)) = others.get(turn % others.len().max(1)) else { return };
    let peer = Peer { id: **id, member: seen.member.clone() };
    let keys = match membership.raft.ask(&peer, Ask::DataKeys, PATIENCE).await {
        Ok(Told::DataKeys(reply)) => reply.keys,
        Ok(_) => return,
        Err(error) => return tracing::warn!(node = %peer.member.name, %error, "no keys"),
    };
    for key in keys {
        let taken = enrol::data_key(key).map(|key| membership.keyring.import([key]));
        if !matches!(taken, Ok(Ok(()))) {
            tracing::warn!(?taken, node = %peer.member.name, "a data key was not taken over");
        }
    }
}

//! `jaco.v1.Cluster`.

use std::{sync::Arc, time::Duration};

use jaco_api::{
    convert::parse,
    error::{ApiError, ErrorCode},
    model::{ClusterStatus, MemberStatus, Node, PoolStatus, RaftRole},
    pb::{self, cluster_server},
};
use tonic::{Request, Response, Status};

use super::{Api, Membership, gate::caller, leader, overview, rekey};
use crate::{
    admission,
    pki::{self, JoinSecret},
    state::State,
    summary,
};

/// Forming a cluster and looking at it.
pub(crate) struct Service(pub(crate) Arc<Api>);

#[tonic::async_trait]
impl cluster_server::Cluster for Service {
    async fn init(
        &self,
        request: Request<pb::InitRequest>,
    ) -> Result<Response<pb::InitResponse>, Status> {
        let who = caller(&request)?;
        let name = request.into_inner().token_name;
        let name = if name.is_empty() { "admin" } else { name.as_str() };
        let holder = parse("token_name", name).map_err(ApiError::from)?;
        let founded = self.0.founder.found(&who, holder).await?;
        Ok(Response::new(pb::InitResponse {
            cluster_id: founded.cluster.to_string(),
            token: founded.token.to_string(),
            ca_fingerprint: founded.ca_fingerprint,
            ca_pem: founded.ca_pem,
            node: self.0.node.to_string(),
            api_addr: founded.api_addr,
        }))
    }

    async fn join(
        &self,
        request: Request<pb::JoinRequest>,
    ) -> Result<Response<pb::JoinResponse>, Status> {
        let message = request.into_inner();
        let token = message
            .token
            .parse::<JoinSecret>()
            .map_err(|e| ApiError::new(ErrorCode::JoinTokenInvalid, e.to_string()))?;
        let joined = self.0.founder.join(message.peer, token).await?;
        Ok(Response::new(pb::JoinResponse {
            cluster_id: joined.cluster.to_string(),
            node: joined.node.to_string(),
            node_id: joined.id.0,
        }))
    }

    async fn transfer_leader(
        &self,
        request: Request<pb::TransferLeaderRequest>,
    ) -> Result<Response<pb::TransferLeaderResponse>, Status> {
        let membership = self.0.membership()?;
        let leader = leader::transfer(&membership, &request.into_inner().node).await?;
        Ok(Response::new(pb::TransferLeaderResponse { leader: leader.to_string() }))
    }

    async fn rotate_key(
        &self,
        request: Request<pb::RotateKeyRequest>,
    ) -> Result<Response<pb::RotateKeyResponse>, Status> {
        let who = caller(&request)?;
        let membership = self.0.membership()?;
        let actor = membership.actor(&who);
        let key_id = rekey::rotate(&membership, actor).await?;
        Ok(Response::new(pb::RotateKeyResponse { key_id }))
    }

    async fn status(
        &self,
        _: Request<pb::ClusterStatusRequest>,
    ) -> Result<Response<pb::ClusterStatusResponse>, Status> {
        let mut status = ClusterStatus {
            node: self.0.node.to_string(),
            version: self.0.version.to_owned(),
            ..ClusterStatus::default()
        };
        if let Ok((membership, state)) = self.0.state() {
            let seen = overview::of(&membership).await;
            describe(&membership, &state, &seen, &mut status);
        }
        Ok(Response::new(status.into()))
    }

    async fn get_settings(
        &self,
        _: Request<pb::GetSettingsRequest>,
    ) -> Result<Response<pb::GetSettingsResponse>, Status> {
        let (_, state) = self.0.state()?;
        Ok(Response::new(settings(&state)))
    }

    async fn set_setting(
        &self,
        request: Request<pb::SetSettingRequest>,
    ) -> Result<Response<pb::GetSettingsResponse>, Status> {
        let who = caller(&request)?;
        let (membership, state) = self.0.state()?;
        let message = request.into_inner();
        let command = admission::set(&state, &who, message.key, message.value)?;
        membership.submit(&who, "", command).await?;
        Ok(Response::new(settings(&membership.state.newest())))
    }
}

fn settings(state: &State) -> pb::GetSettingsResponse {
    let entries = state.settings().entries();
    pb::GetSettingsResponse {
        settings: entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Why the answering node applies or writes nothing any more; it cannot write that down itself.
fn fault(membership: &Membership, node: &Node) -> Option<String> {
    let fault = membership.raft.status().borrow().fault.clone()?;
    (node.id == membership.id).then(|| fault.to_string())
}

fn describe(
    membership: &Membership,
    state: &State,
    known: &overview::Known,
    status: &mut ClusterStatus,
) {
    let raft = membership.raft.status().borrow().clone();
    status.initialized = true;
    status.cluster_id = Some(membership.cluster);
    status.ca_fingerprint = state.cluster().and_then(|c| pki::fingerprint(&c.ca_pem).ok());
    status.leader = raft.leader.and_then(|id| state.node(id)).map(|n| n.name.clone());
    status.term = raft.term;
    status.commit_index = raft.commit;
    status.applied_index = raft.applied;
    let pools = state.pools().map(|(pool, count)| PoolStatus {
        pool: pool.to_string(),
        used: count.used,
        quarantined: count.quarantined,
        free: count.free(),
    });
    status.address_pools = pools.collect();
    let addresses = state.virtual_address_count();
    status.service_pool = Some(PoolStatus {
        pool: state.settings().service_pool.to_string(),
        used: addresses.used,
        // An address is given to another service as soon as nothing needs it any more.
        quarantined: 0,
        free: addresses.free(),
    });
    status.members = state
        .nodes()
        .map(|node| {
            let seen = raft.members.get(&node.id);
            let view = known.get(&node.id);
            let member = summary::member(node);
            let contact = || membership.raft.last_contact(node.id).map(milliseconds);
            MemberStatus {
                reason: fault(membership, node).or(member.reason),
                role: seen.map_or(RaftRole::Learner, |m| m.role),
                lag: view.and_then(|v| v.lag).or(seen.and_then(|m| m.lag)),
                last_contact_ms: view.and_then(|v| v.heard_ms).or_else(contact),
                ..member
            }
        })
        .collect();
}

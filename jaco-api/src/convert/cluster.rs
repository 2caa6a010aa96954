//! The cluster and its members.

use super::{InvalidMessage, parse, required};
use crate::{model, model::Timestamp, pb};

impl From<model::NodeFacts> for pb::NodeFacts {
    fn from(f: model::NodeFacts) -> Self {
        Self {
            api_addr: f.api_addr.to_string(),
            raft_addr: f.raft_addr.to_string(),
            version: f.version,
            engine: f.engine,
            platform: f.platform,
            cpu_millis: f.cpu_millis,
            memory_bytes: f.memory_bytes,
            mesh: f.mesh.map(Into::into),
        }
    }
}
impl TryFrom<pb::NodeFacts> for model::NodeFacts {
    type Error = InvalidMessage;
    fn try_from(f: pb::NodeFacts) -> Result<Self, InvalidMessage> {
        Ok(Self {
            api_addr: parse("api_addr", &f.api_addr)?,
            raft_addr: parse("raft_addr", &f.raft_addr)?,
            version: f.version,
            engine: f.engine,
            platform: f.platform,
            cpu_millis: f.cpu_millis,
            memory_bytes: f.memory_bytes,
            mesh: f.mesh.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<model::Node> for pb::Node {
    fn from(n: model::Node) -> Self {
        Self {
            id: n.id.0,
            name: n.name.into(),
            condition: pb::NodeCondition::from(n.condition).into(),
            condition_since: n.condition_since.0,
            reason: n.reason,
            availability: pb::Availability::from(n.availability).into(),
            forced: n.forced,
            labels: n.labels,
            facts: Some(n.facts.into()),
            joined_at: n.joined_at.0,
            mesh_address: n.mesh_address.map(|a| a.to_string()),
        }
    }
}
impl TryFrom<pb::Node> for model::Node {
    type Error = InvalidMessage;
    fn try_from(n: pb::Node) -> Result<Self, InvalidMessage> {
        let node = Self {
            status: model::NodeStatus::default(),
            condition: n.condition().try_into()?,
            availability: n.availability().try_into()?,
            id: model::NodeId(n.id),
            name: parse("name", &n.name)?,
            condition_since: Timestamp(n.condition_since),
            reason: n.reason,
            forced: n.forced,
            labels: n.labels,
            facts: required("facts", n.facts)?.try_into()?,
            joined_at: Timestamp(n.joined_at),
            mesh_address: n.mesh_address.map(|a| parse("mesh_address", &a)).transpose()?,
        };
        Ok(node.settled())
    }
}

impl From<model::MemberStatus> for pb::MemberStatus {
    fn from(m: model::MemberStatus) -> Self {
        Self {
            id: m.id.0,
            name: m.name.into(),
            address: m.address.to_string(),
            status: pb::NodeStatus::from(m.status).into(),
            reason: m.reason,
            role: pb::RaftRole::from(m.role).into(),
            lag: m.lag,
            last_contact_ms: m.last_contact_ms,
            version: m.version,
        }
    }
}
impl TryFrom<pb::MemberStatus> for model::MemberStatus {
    type Error = InvalidMessage;
    fn try_from(m: pb::MemberStatus) -> Result<Self, InvalidMessage> {
        Ok(Self {
            status: m.status().try_into()?,
            role: m.role().try_into()?,
            id: model::NodeId(m.id),
            name: parse("name", &m.name)?,
            address: parse("address", &m.address)?,
            reason: m.reason,
            lag: m.lag,
            last_contact_ms: m.last_contact_ms,
            version: m.version,
        })
    }
}

impl From<model::PoolStatus> for pb::PoolStatus {
    fn from(p: model::PoolStatus) -> Self {
        Self { pool: p.pool, used: p.used, quarantined: p.quarantined, free: p.free }
    }
}
impl From<pb::PoolStatus> for model::PoolStatus {
    fn from(p: pb::PoolStatus) -> Self {
        Self { pool: p.pool, used: p.used, quarantined: p.quarantined, free: p.free }
    }
}

impl From<model::ClusterStatus> for pb::ClusterStatusResponse {
    fn from(s: model::ClusterStatus) -> Self {
        Self {
            initialized: s.initialized,
            node: s.node,
            version: s.version,
            cluster_id: s.cluster_id.map(|id| id.to_string()),
            ca_fingerprint: s.ca_fingerprint,
            leader: s.leader.map(Into::into),
            term: s.term,
            commit_index: s.commit_index,
            applied_index: s.applied_index,
            members: s.members.into_iter().map(Into::into).collect(),
            address_pools: s.address_pools.into_iter().map(Into::into).collect(),
            service_pool: s.service_pool.map(Into::into),
        }
    }
}
impl TryFrom<pb::ClusterStatusResponse> for model::ClusterStatus {
    type Error = InvalidMessage;
    fn try_from(s: pb::ClusterStatusResponse) -> Result<Self, InvalidMessage> {
        Ok(Self {
            initialized: s.initialized,
            node: s.node,
            version: s.version,
            cluster_id: s.cluster_id.as_deref().map(|id| parse("cluster_id", id)).transpose()?,
            ca_fingerprint: s.ca_fingerprint,
            leader: s.leader.as_deref().map(|n| parse("leader", n)).transpose()?,
            term: s.term,
            commit_index: s.commit_index,
            applied_index: s.applied_index,
            members: s.members.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            address_pools: s.address_pools.into_iter().map(Into::into).collect(),
            service_pool: s.service_pool.map(Into::into),
        })
    }
}

//! openraft's type parameters, and the members of the group.

use std::{fmt, net::SocketAddr};

use bytes::Bytes;
use jaco_api::model::{Node, NodeFacts, NodeId, NodeName};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::submit::Applied;

openraft::declare_raft_types!(
    /// openraft as it is used here.
    pub(crate) TypeConfig:
        D = Proposal,
        R = Reply,
        NodeId = u64,
        Node = Member,
);

pub(crate) type C = TypeConfig;
pub(crate) type LogId = openraft::alias::LogIdOf<C>;
pub(crate) type Vote = openraft::alias::VoteOf<C>;
pub(crate) type Entry = openraft::alias::EntryOf<C>;
pub(crate) type StoredMembership = openraft::alias::StoredMembershipOf<C>;
pub(crate) type SnapshotMeta = openraft::alias::SnapshotMetaOf<C>;
pub(crate) type Snapshot = openraft::alias::SnapshotOf<C, Bytes>;

/// A member of the raft group and where it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name, as its certificate says it.
    pub name: NodeName,
    /// Where raft is reached.
    pub raft_addr: SocketAddr,
    /// Where the API and internal calls are reached.
    pub api_addr: SocketAddr,
}

impl Member {
    /// A node as a member of the raft group.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        let NodeFacts { raft_addr, api_addr, .. } = node.facts;
        Self { name: node.name.clone(), raft_addr, api_addr }
    }
}

/// A member with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its number in the group.
    pub id: NodeId,
    /// Who it is and where.
    pub member: Member,
}

/// An encoded command on its way into the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal(pub(crate) Bytes);

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}
impl Serialize for Proposal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}
impl<'de> Deserialize<'de> for Proposal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Proposal;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Proposal, E> {
                Ok(Proposal(Bytes::copy_from_slice(bytes)))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

/// What applying an entry came to; nothing for entries of raft itself. Never leaves the process,
/// though openraft wants it serialisable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reply {
    #[serde(skip)]
    pub(crate) applied: Option<Applied>,
}

#[cfg(test)]
impl Default for Member {
    fn default() -> Self {
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { name: NodeName::new("node").unwrap(), raft_addr: addr, api_addr: addr }
    }
}

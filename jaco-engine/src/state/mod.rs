//! The replicated state: an immutable value of typed tables with their indexes.
//!
//! Applying a command gives a new [`State`]; readers keep an `Arc<State>` as long as they like.
//! Changed only by `command`, through a transaction.

mod addresses;
mod certificates;
mod content;
mod fence;
mod gaps;
mod index;
mod rollout;
pub(crate) mod row;
mod runs;
pub mod snapshot;
mod subnets;
mod table;
mod transaction;
mod view;

use std::{net::IpAddr, sync::Arc};

use imbl::{OrdMap, OrdSet};
use ipnet::IpNet;
use jaco_api::model::{
    AuditEvent, ClusterId, Deployment, DeploymentName, Digest, FileId, Identity, JoinToken,
    NamedFile, NetworkName, Node, NodeId, NodeName, OperatorToken, Protocol, Replica, ReplicaEvent,
    ReplicaId, Revision, Sealed, Settings, StoredCertificate, Subnet, SubnetKey, Timestamp,
    VirtualAddress, VirtualAddressKey, Volume,
};
use jaco_ingress::Domain;

pub use addresses::AddressCount;
pub use certificates::{Issuance, Published};
pub(crate) use content::Content;
pub use fence::is_cut_off;
pub(crate) use rollout::needed_revisions;
pub use rollout::{RolloutFloor, rollout_floor};
pub use table::{RowChange, Table};
pub(crate) use transaction::{Transaction, payload};
pub use view::TokenMatch;

/// The row that exists once a cluster is initialised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Identity.
    pub id: ClusterId,
    /// CA certificate, PEM.
    pub ca_pem: String,
    /// CA private key, sealed.
    pub ca_key: Sealed,
    /// When it was made.
    pub created_at: Timestamp,
    /// Commands newer than this level are not proposed.
    pub feature_level: u32,
    /// Highest node number ever given out.
    pub last_node: u64,
    /// Highest sequence of an audit event ever given out.
    pub last_audit: u64,
    /// Highest sequence of a replica event ever given out.
    pub last_event: u64,
    /// The data key that new values are sealed with.
    pub data_key: u32,
    /// A node was removed since that key was made: another one is due.
    pub key_due: bool,
    /// Highest number of a data key ever given out.
    pub last_key: u32,
}

/// A sealed container document and how many revisions and replicas refer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The ciphertext.
    pub sealed: Sealed,
    /// References; the document goes with the last one.
    pub references: u32,
}

/// The hash of a token that was replaced by `rotate` or issued again after it was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredToken {
    /// Its former holder.
    pub identity: Identity,
    /// Raft index it was retired at; the oldest go first.
    pub index: u64,
}

/// The whole replicated state at one raft index.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Raft index of the last applied entry.
    pub(crate) index: u64,
    pub(crate) cluster: Option<Arc<Cluster>>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) nodes: Table<NodeId, Node>,
    pub(crate) tokens: Table<Identity, OperatorToken>,
    /// Hashes that were replaced: their use is answered with `token_revoked`.
    pub(crate) retired_tokens: Table<Digest, RetiredToken>,
    pub(crate) join_tokens: Table<Digest, JoinToken>,
    pub(crate) documents: Table<Digest, Document>,
    /// Secrets and configs of the cluster.
    pub(crate) files: Table<FileId, NamedFile>,
    pub(crate) deployments: Table<DeploymentName, Deployment>,
    pub(crate) revisions: Table<(DeploymentName, u64), Revision>,
    pub(crate) replicas: Table<ReplicaId, Replica>,
    /// By engine name and node: a global service has a volume of the same name on every node.
    pub(crate) volumes: Table<(String, NodeId), Volume>,
    /// Blocks of addresses in use and in quarantine.
    pub(crate) subnets: Table<SubnetKey, Subnet>,
    /// Virtual addresses of services.
    pub(crate) virtual_addresses: Table<VirtualAddressKey, VirtualAddress>,
    /// What is served for each domain.
    pub(crate) certificates: Table<Domain, StoredCertificate>,
    /// Where the domains are whose certificates a CA issues.
    pub(crate) issuances: Table<Domain, Issuance>,
    /// The credentials of accounts at CAs, by directory and e-mail address.
    pub(crate) acme_accounts: Table<(String, String), Sealed>,
    pub(crate) events: Table<u64, ReplicaEvent>,
    pub(crate) audit: Table<u64, AuditEvent>,
    /// Outcomes of the latest client requests, by request id.
    pub(crate) requests: Table<String, Remembered>,

    // Indexes: derived from the tables and rebuilt from them when a snapshot is read.
    pub(crate) node_names: OrdMap<NodeName, NodeId>,
    /// Hashes of the tokens in the table, also of revoked ones.
    pub(crate) token_hashes: OrdMap<Digest, Identity>,
    pub(crate) replicas_by_node: OrdSet<(NodeId, ReplicaId)>,
    pub(crate) events_by_replica: OrdSet<(ReplicaId, u64)>,
    /// (domain, path) of every route in force.
    pub(crate) routes: OrdMap<(String, String), DeploymentName>,
    /// Published ports in force.
    pub(crate) ports: OrdMap<(u16, Protocol), DeploymentName>,
    /// Replicas per node that are to run.
    pub(crate) load: OrdMap<NodeId, u32>,
    pub(crate) subnets_by_node: OrdSet<(NodeId, DeploymentName, NetworkName)>,
    /// No two have an address in common.
    pub(crate) subnets_by_address: OrdMap<IpNet, SubnetKey>,
    /// Blocks in quarantine, those that were released first before the others.
    pub(crate) quarantine: OrdSet<(u64, SubnetKey)>,
    /// Whose each virtual address is: no two have the same.
    pub(crate) services_by_address: OrdMap<IpAddr, VirtualAddressKey>,
    /// How much of each pool of the settings is taken.
    pub(crate) blocks: subnets::Blocks,
}

/// The outcome of a client request, kept so that a repetition changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Raft index it was applied at; the oldest go first.
    pub index: u64,
    /// What it came to.
    pub outcome: crate::command::Outcome,
}

#[cfg(test)]
mod tests;

//! The state as bytes, versioned.
//!
//! A snapshot holds every table and no index; reading one replaces everything and builds the indexes
//! anew. Secrets are in it only as [`Sealed`].

use std::{collections::BTreeMap, sync::Arc};

use jaco_api::{
    convert::{InvalidMessage, parse},
    model::{
        AuditEvent, Deployment, JoinToken, NamedFile, Node, OperatorToken, Replica, ReplicaEvent,
        Revision, Sealed, Settings, StoredCertificate, Subnet, VirtualAddress, Volume,
    },
    pb,
};
use prost::Message as _;

use super::{Cluster, Document, Issuance, Remembered, RetiredToken, State, Table, row::Row};
use crate::command;

/// The version this code writes and the newest it reads.
const VERSION: u32 = 1;

/// Why bytes are no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Not protobuf.
    #[error("the snapshot cannot be read")]
    Malformed(#[from] prost::DecodeError),
    /// Written by a newer version of JACO.
    #[error(
        "the snapshot has format {found}, this version of JACO reads up to {VERSION}: upgrade this node"
    )]
    Newer {
        /// Its format.
        found: u32,
    },
    /// It has fields that this version would lose.
    #[error("the snapshot holds what this version of JACO does not know: upgrade this node")]
    UnknownContent,
    /// A value in it breaks a rule of the model.
    #[error("the snapshot holds an invalid {table}")]
    Invalid {
        /// The table.
        table: &'static str,
        /// The value.
        #[source]
        source: InvalidMessage,
    },
    /// A setting in it does not exist or does not fit.
    #[error("the snapshot holds an invalid setting")]
    Setting {
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An outcome in it cannot be read.
    #[error("the snapshot holds an unreadable outcome")]
    Outcome(#[from] command::DecodeError),
}

/// The state as bytes: the same state always gives the same bytes.
#[must_use]
pub fn write(state: &State) -> Vec<u8> {
    message(state).encode_to_vec()
}

/// Every table, by name: a new field of [`State`] does not compile before it is written here.
fn message(state: &State) -> pb::Snapshot {
    let State {
        index,
        cluster,
        settings,
        nodes,
        tokens,
        retired_tokens,
        join_tokens,
        documents,
        files,
        deployments,
        revisions,
        replicas,
        volumes,
        subnets,
        virtual_addresses,
        certificates,
        issuances,
        acme_accounts,
        events,
        audit,
        requests,
        node_names: _,
        token_hashes: _,
        replicas_by_node: _,
        events_by_replica: _,
        routes: _,
        ports: _,
        load: _,
        subnets_by_node: _,
        subnets_by_address: _,
        quarantine: _,
        services_by_address: _,
        blocks: _,
    } = state;
    pb::Snapshot {
        version: VERSION,
        index: *index,
        cluster: cluster.as_deref().map(Cluster::write),
        settings: settings.entries().into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
        nodes: nodes.iter().map(|(_, n)| (**n).clone().into()).collect(),
        tokens: rows(tokens),
        retired_tokens: retired_tokens.iter().map(|(k, v)| (*k, (**v).clone()).write()).collect(),
        join_tokens: rows(join_tokens),
        documents: documents.iter().map(|(k, v)| (*k, v.sealed.clone()).write()).collect(),
        files: rows(files),
        deployments: rows(deployments),
        revisions: revisions
            .iter()
            .map(|((name, _), v)| (name.clone(), Arc::clone(v)).write())
            .collect(),
        replicas: rows(replicas),
        volumes: rows(volumes),
        subnets: rows(subnets),
        virtual_addresses: rows(virtual_addresses),
        certificates: rows(certificates),
        issuances: rows(issuances),
        acme_accounts: acme_accounts
            .iter()
            .map(|(account, sealed)| (account.clone(), (**sealed).clone()).write())
            .collect(),
        events: events.iter().map(|(_, e)| (**e).clone().into()).collect(),
        audit: audit.iter().map(|(_, e)| (**e).clone().into()).collect(),
        requests: requests
            .iter()
            .map(|(id, r)| pb::RequestRow {
                id: id.clone(),
                index: r.index,
                outcome: command::encode_outcome(&r.outcome),
            })
            .collect(),
    }
}

fn rows<K: Ord + Clone, V: Row>(table: &Table<K, V>) -> Vec<V::Message> {
    table.iter().map(|(_, row)| row.write()).collect()
}

/// Reads what [`write()`] wrote.
///
/// # Errors
/// [`SnapshotError`] when the bytes are damaged or of a newer version; nothing is ever left out.
pub fn read(bytes: &[u8]) -> Result<State, SnapshotError> {
    let m = pb::Snapshot::decode(bytes)?;
    if m.version > VERSION {
        return Err(SnapshotError::Newer { found: m.version });
    }
    if m.encoded_len() != bytes.len() {
        return Err(SnapshotError::UnknownContent);
    }
    let mut state = State {
        index: m.index,
        cluster: m.cluster.map(|c| value("cluster", Cluster::read(c))).transpose()?.map(Arc::new),
        settings: Arc::new(settings(&m.settings)?),
        nodes: table("node", m.nodes, |n| {
            let node = Node::try_from(n)?;
            Ok((node.id, node))
        })?,
        tokens: keyed("token", m.tokens, |t: &OperatorToken| t.identity.clone())?,
        retired_tokens: table("retired token", m.retired_tokens, <(_, RetiredToken)>::read)?,
        join_tokens: keyed("join token", m.join_tokens, |t: &JoinToken| t.hash)?,
        documents: table("document", m.documents, |d| {
            let (digest, sealed) = <(_, Sealed)>::read(d)?;
            Ok((digest, Document { sealed, references: 0 }))
        })?,
        files: keyed("secret or config", m.files, |f: &NamedFile| f.id.clone())?,
        deployments: keyed("deployment", m.deployments, |d: &Deployment| d.name.clone())?,
        revisions: shared("revision", m.revisions, |r| {
            let (name, revision) = <(_, Arc<Revision>)>::read(r)?;
            Ok(((name, revision.number), revision))
        })?,
        replicas: keyed("replica", m.replicas, |r: &Replica| r.id.clone())?,
        volumes: keyed("volume", m.volumes, |v: &Volume| (v.name.clone(), v.node))?,
        subnets: keyed("subnet", m.subnets, |s: &Subnet| s.key.clone())?,
        virtual_addresses: keyed(
            "virtual address",
            m.virtual_addresses,
            |row: &VirtualAddress| row.key.clone(),
        )?,
        certificates: table("certificate", m.certificates, |c| {
            let certificate = StoredCertificate::read(c)?;
            Ok((parse("domain", &certificate.domain)?, certificate))
        })?,
        issuances: keyed("issuance", m.issuances, |i: &Issuance| i.domain.clone())?,
        acme_accounts: table("account", m.acme_accounts, <(_, Sealed)>::read)?,
        events: table("replica event", m.events, |e| {
            let event = ReplicaEvent::try_from(e)?;
            Ok((event.sequence, event))
        })?,
        audit: table("audit event", m.audit, |e| {
            let event = AuditEvent::try_from(e)?;
            Ok((event.sequence, event))
        })?,
        requests: requests(m.requests)?,
        ..State::default()
    };
    state.rebuild_indexes();
    Ok(state)
}

fn value<T>(table: &'static str, read: Result<T, InvalidMessage>) -> Result<T, SnapshotError> {
    read.map_err(|source| SnapshotError::Invalid { table, source })
}

fn shared<M, K: Ord + Clone, V>(
    name: &'static str,
    messages: Vec<M>,
    read: impl Fn(M) -> Result<(K, Arc<V>), InvalidMessage>,
) -> Result<Table<K, V>, SnapshotError> {
    let mut table = Table::default();
    for message in messages {
        let (key, row) = value(name, read(message))?;
        table.put(key, row);
    }
    Ok(table)
}

fn table<M, K: Ord + Clone, V>(
    name: &'static str,
    messages: Vec<M>,
    read: impl Fn(M) -> Result<(K, V), InvalidMessage>,
) -> Result<Table<K, V>, SnapshotError> {
    shared(name, messages, |m| read(m).map(|(key, row)| (key, Arc::new(row))))
}

fn keyed<K: Ord + Clone, V: Row>(
    name: &'static str,
    messages: Vec<V::Message>,
    key: impl Fn(&V) -> K,
) -> Result<Table<K, V>, SnapshotError> {
    table(name, messages, |m| V::read(m).map(|row| (key(&row), row)))
}

fn settings(entries: &BTreeMap<String, String>) -> Result<Settings, SnapshotError> {
    let texts = entries.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    Settings::from_entries(texts).map_err(|e| SnapshotError::Setting { source: Box::new(e) })
}

fn requests(messages: Vec<pb::RequestRow>) -> Result<Table<String, Remembered>, SnapshotError> {
    let mut table = Table::default();
    for m in messages {
        let outcome = command::decode_outcome(&m.outcome)?;
        table.put(m.id, Arc::new(Remembered { index: m.index, outcome }));
    }
    Ok(table)
}

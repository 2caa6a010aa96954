//! Changing the state: rows in, indexes kept.
//!
//! A transaction owns a working copy. Whatever is put into it or taken out of it keeps the indexes,
//! the reference counts of documents, the versions of deployments and the bounds of the growing
//! tables, so that no command can forget them. Dropped without [`Transaction::commit`], it has
//! changed nothing. It decides nothing: that is the commands' part.

mod address;
mod certificate;
mod deployment;
mod document;
mod journal;
mod replica;
mod subnet;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jaco_api::model::{
    Actor, BlockCount, Deployment, DeploymentName, Digest, FileId, JoinToken, NamedFile, Node,
    NodeId, OperatorToken, Sealed, Settings, Timestamp,
};

use super::{Cluster, RetiredToken, State, Table};

/// How many replaced token hashes are kept.
const RETIRED: usize = 1024;

/// An audit payload from its pairs.
pub(crate) fn payload<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// A working copy of the state.
pub(crate) struct Transaction<'a> {
    state: State,
    at: Timestamp,
    actor: &'a Actor,
    /// Documents that came with the command; one is stored when something refers to it.
    offered: BTreeMap<Digest, Sealed>,
    /// Deployments with a change: each gets a new version.
    touched: BTreeSet<DeploymentName>,
    /// Deployments that lost a replica: their events are pruned.
    departed: BTreeSet<DeploymentName>,
    /// Deployments that may need fewer blocks of addresses on a node.
    unsettled: BTreeSet<(DeploymentName, NodeId)>,
    /// Deployments that may need fewer virtual addresses.
    unsettled_services: BTreeSet<DeploymentName>,
    /// Domains may have lost their last route.
    unsettled_domains: bool,
    /// How many blocks were taken when this began.
    blocks_before: BlockCount,
}

impl<'a> Transaction<'a> {
    /// A working copy for the entry at `index`.
    pub(crate) fn begin(state: &State, index: u64, at: Timestamp, actor: &'a Actor) -> Self {
        Self {
            state: State { index, ..state.clone() },
            at,
            actor,
            offered: BTreeMap::new(),
            touched: BTreeSet::new(),
            departed: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            unsettled_services: BTreeSet::new(),
            unsettled_domains: false,
            blocks_before: state.blocks(),
        }
    }

    /// The state as it is inside this transaction.
    pub(crate) fn view(&self) -> &State {
        &self.state
    }
    /// When the command was proposed.
    pub(crate) fn at(&self) -> Timestamp {
        self.at
    }
    /// Who proposed the command.
    pub(crate) fn actor(&self) -> &'a Actor {
        self.actor
    }

    /// The changed state.
    pub(crate) fn commit(mut self) -> State {
        self.settle_subnets();
        self.settle_addresses();
        self.settle_domains();
        self.warn_of_few_blocks();
        for name in std::mem::take(&mut self.departed) {
            self.prune_events(&name);
        }
        for name in std::mem::take(&mut self.touched) {
            if let Some(row) = self.state.deployments.find(&name) {
                // The raft index: it never repeats, not even when a deployment is made again.
                let row = Deployment { version: self.state.index, ..Deployment::clone(row) };
                self.state.deployments.put(name, Arc::new(row));
            }
        }
        self.state
    }

    /// Adds the row that exists once a cluster is initialised.
    pub(crate) fn put_cluster(&mut self, cluster: Cluster) {
        self.state.cluster = Some(Arc::new(cluster));
    }

    /// Replaces the settings and takes out what they no longer keep.
    pub(crate) fn put_settings(&mut self, settings: Settings) {
        let former = std::mem::replace(&mut self.state.settings, Arc::new(settings));
        if former.address_pools != self.state.settings.address_pools {
            self.state.recount_blocks();
        }
        self.trim_audit();
        let names: Vec<_> = self.state.deployments.iter().map(|(n, _)| n.clone()).collect();
        for name in names {
            self.trim_revisions(&name);
        }
    }

    /// Adds or replaces a secret or config.
    pub(crate) fn put_file(&mut self, file: NamedFile) {
        self.state.files.put(file.id.clone(), Arc::new(file));
    }
    /// Takes a secret or config out.
    pub(crate) fn remove_file(&mut self, id: &FileId) {
        self.state.files.remove(id);
    }

    /// The number of the next member; it is not given out again.
    pub(crate) fn next_node(&mut self) -> Option<NodeId> {
        let cluster = Arc::make_mut(self.state.cluster.as_mut()?);
        cluster.last_node += 1;
        Some(NodeId(cluster.last_node))
    }

    /// Adds or replaces a join token; at most `kept` stay.
    pub(crate) fn put_join_token(&mut self, token: JoinToken, kept: usize) {
        self.state.join_tokens.put(token.hash, Arc::new(token));
        drop_oldest(&mut self.state.join_tokens, kept, |row| row.issued_at.0);
    }

    /// Takes a member out; its replicas and volumes are gone already.
    pub(crate) fn remove_node(&mut self, id: NodeId) {
        self.unsettle_subnets_on(id);
        if let Some(old) = self.state.nodes.remove(&id) {
            self.state.node_names.remove(&old.name);
        }
    }

    /// Adds or replaces a member. Its status follows from its condition and availability.
    pub(crate) fn put_node(&mut self, node: Node) {
        let node = node.settled();
        let (id, name) = (node.id, node.name.clone());
        if let Some(old) = self.state.nodes.put(id, Arc::new(node)) {
            self.state.node_names.remove(&old.name);
        }
        self.state.node_names.insert(name, id);
    }

    /// Adds or replaces the token of its holder; the hash of a replaced one is retired.
    pub(crate) fn put_token(&mut self, token: OperatorToken) {
        let (identity, hash) = (token.identity.clone(), token.hash);
        let old = self.state.tokens.put(identity.clone(), Arc::new(token));
        if let Some(former) = old.and_then(|t| t.hash).filter(|former| Some(*former) != hash) {
            self.state.token_hashes.remove(&former);
            let index = self.state.index;
            let row = RetiredToken { identity: identity.clone(), index };
            self.state.retired_tokens.put(former, Arc::new(row));
            drop_oldest(&mut self.state.retired_tokens, RETIRED, |row| row.index);
        }
        if let Some(hash) = hash {
            self.state.token_hashes.insert(hash, identity);
        }
    }
}

/// Takes rows out until at most `kept` are left, those with the lowest `age` first.
fn drop_oldest<K: Ord + Clone, V>(table: &mut Table<K, V>, kept: usize, age: impl Fn(&V) -> u64) {
    while table.len() > kept {
        let oldest = table.iter().min_by_key(|(_, row)| age(row)).map(|(key, _)| key.clone());
        let Some(key) = oldest else { return };
        table.remove(&key);
    }
}

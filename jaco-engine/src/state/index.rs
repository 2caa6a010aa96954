//! The indexes: how each follows from the rows, for a whole state and for one row.
//!
//! The transaction keeps them row by row; a snapshot holds none of them, so reading one builds them
//! anew. A test compares the two.

use std::{collections::BTreeSet, sync::Arc};

use jaco_api::model::{DeploymentName, DeploymentPhase, Digest, Protocol, Revision};

use super::{Document, State};

/// What a deployment owns alone in the cluster.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) routes: BTreeSet<(String, String)>,
    pub(super) ports: BTreeSet<(u16, Protocol)>,
}

impl Claims {
    /// The claims of a revision's content.
    pub(super) fn of(revision: &Revision) -> Self {
        let ports = revision.services.values().flat_map(|s| &s.schedule.ports);
        Self {
            routes: revision.routes.iter().map(|r| (r.domain.clone(), r.path.clone())).collect(),
            ports: ports.filter_map(|p| Some((p.published?, p.protocol))).collect(),
        }
    }
}

impl State {
    /// What a deployment owns now: what its revision in force claims, unless it is being deleted.
    pub(super) fn claims(&self, name: &DeploymentName) -> Claims {
        let deleting = |phase| matches!(phase, DeploymentPhase::Deleting { .. });
        match (self.deployment(name), self.revision_in_force(name)) {
            (Some(d), Some(revision)) if !deleting(d.phase) => Claims::of(revision),
            _ => Claims::default(),
        }
    }

    /// Gives a deployment's claims up.
    pub(super) fn release_claims(&mut self, name: &DeploymentName, claims: &Claims) {
        for key in &claims.routes {
            if self.routes.get(key) == Some(name) {
                self.routes.remove(key);
            }
        }
        for key in &claims.ports {
            if self.ports.get(key) == Some(name) {
                self.ports.remove(key);
            }
        }
    }

    /// Takes claims for a deployment.
    pub(super) fn take_claims(&mut self, name: &DeploymentName, claims: Claims) {
        self.routes.extend(claims.routes.into_iter().map(|key| (key, name.clone())));
        self.ports.extend(claims.ports.into_iter().map(|key| (key, name.clone())));
    }

    /// Builds every index and count from the rows.
    pub(crate) fn rebuild_indexes(&mut self) {
        self.node_names = self.nodes.iter().map(|(id, n)| (n.name.clone(), *id)).collect();
        self.token_hashes =
            self.tokens.iter().filter_map(|(id, t)| Some((t.hash?, id.clone()))).collect();
        self.replicas_by_node = self.replicas.iter().map(|(id, r)| (r.node, id.clone())).collect();
        self.events_by_replica =
            self.events.iter().map(|(seq, e)| (e.replica.clone(), *seq)).collect();
        self.load = imbl::OrdMap::new();
        for (_, replica) in self.replicas.iter().filter(|(_, r)| r.takes_room()) {
            *self.load.entry(replica.node).or_insert(0) += 1;
        }
        self.routes = imbl::OrdMap::new();
        self.ports = imbl::OrdMap::new();
        let names: Vec<_> = self.deployments.iter().map(|(name, _)| name.clone()).collect();
        for name in names {
            let claims = self.claims(&name);
            self.take_claims(&name, claims);
        }
        self.recount_documents();
        self.rebuild_subnet_indexes();
        self.rebuild_address_index();
    }

    fn recount_documents(&mut self) {
        let mut held: Vec<Digest> = Vec::new();
        for (_, revision) in self.revisions.iter() {
            held.extend(revision.services.values().map(|s| s.container));
        }
        for (_, replica) in self.replicas.iter() {
            held.push(replica.container);
            held.extend(replica.preparation.as_ref().map(|p| p.container));
        }
        let mut counts: std::collections::BTreeMap<Digest, u32> =
            self.documents.iter().map(|(digest, _)| (*digest, 0)).collect();
        for digest in held {
            *counts.entry(digest).or_insert(0) += 1;
        }
        for (digest, references) in counts {
            if let Some(document) = self.documents.find(&digest).cloned() {
                let row = Document { references, sealed: document.sealed.clone() };
                self.documents.put(digest, Arc::new(row));
            }
        }
    }
}

//! What goes on for a moment although the state asks no more for it: replicas that visitors are still led to.
//!
//! In: the assignment in force, the next one, and what was held so far. Out: the next one with what is held put back into
//! it. It must never hold back anything else, nor for ever: whoever asks for it says when visitors are led elsewhere.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, net::IpAddr};

use jaco_api::model::{
    AssignedNetwork, AssignedReplica, Assignment, Intent, NetworkSpec, ReplicaId, ReplicaState,
    Span,
};

use crate::state::State;

/// A replica that visitors were led to, and that the state lets go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaving {
    /// Which one.
    pub(crate) id: ReplicaId,
    /// Its generation until now.
    pub(crate) generation: u64,
    /// Index of the last state that asked for it.
    pub(crate) asked: u64,
    /// Its addresses.
    pub(crate) addresses: Vec<IpAddr>,
    /// The most that it is waited for.
    pub(crate) grace: Span,
}

/// The replicas that are held back.
#[derive(Debug, Default)]
pub(crate) struct Holds(BTreeMap<ReplicaId, Hold>);

#[derive(Debug)]
struct Hold {
    replica: AssignedReplica,
    networks: BTreeMap<String, AssignedNetwork>,
    /// Index of the last state that asked for it.
    asked: u64,
    /// Visitors are led elsewhere.
    over: bool,
}

impl Holds {
    /// Puts into `next` what is held back, also what it lets go now; returns the latter. `asked` is the index of the last
    /// state that asked for what is in force. What is put back makes `next` an assignment of the state before: of its
    /// networks nothing may be said that is newer.
    pub(crate) fn put_back(
        &mut self,
        present: Option<&Assignment>,
        next: &mut Assignment,
        asked: u64,
        visited: impl Fn(&AssignedReplica) -> bool,
    ) -> Vec<Leaving> {
        self.0.retain(|id, hold| goes(&hold.replica, next.replicas.get(id)));
        let mut leaving = Vec::new();
        for (id, replica) in present.filter(|_| next.caught_up).iter().flat_map(|p| &p.replicas) {
            let new = !self.0.contains_key(id) && serves(replica);
            if new && goes(replica, next.replicas.get(id)) && visited(replica) {
                let networks = present.map(|p| networks(replica, p)).unwrap_or_default();
                let replica = replica.clone();
                leaving.push(left(&replica, asked));
                self.0.insert(id.clone(), Hold { replica, networks, asked, over: false });
            }
        }
        self.0.retain(|_, hold| !hold.over);
        for (id, hold) in &self.0 {
            let observed = next.replicas.get(id).map(|known| known.observed.clone());
            let mut replica = hold.replica.clone();
            replica.observed = observed.unwrap_or(replica.observed);
            next.replicas.insert(id.clone(), replica);
            for (name, network) in &hold.networks {
                next.networks.entry(name.clone()).or_insert_with(|| network.clone());
            }
            next.index = next.index.min(hold.asked);
        }
        leaving
    }

    /// Visitors are led elsewhere: the replica is not put back any more.
    pub(crate) fn end(&mut self, left: &Leaving) {
        let known = self.0.get_mut(&left.id);
        let same = |h: &&mut Hold| (h.replica.generation, h.asked) == (left.generation, left.asked);
        if let Some(hold) = known.filter(same) {
            hold.over = true;
        }
    }

    /// Nothing is held back any more.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Whether visitors can have been led to it.
fn serves(replica: &AssignedReplica) -> bool {
    let observed = &replica.observed;
    let runs = observed.generation == replica.generation && observed.state == ReplicaState::Running;
    replica.intent == Intent::Run && !replica.fenced && runs && !observed.addresses.is_empty()
}

/// Whether its container is not asked for any more.
fn goes(replica: &AssignedReplica, next: Option<&AssignedReplica>) -> bool {
    next.is_none_or(|next| next.intent != Intent::Run || next.generation != replica.generation)
}

fn left(replica: &AssignedReplica, asked: u64) -> Leaving {
    Leaving {
        id: replica.id.clone(),
        generation: replica.generation,
        asked,
        addresses: replica.observed.addresses.values().copied().collect(),
        grace: replica.spec.as_ref().map_or(Span::secs(0), |spec| spec.grace()),
    }
}

fn networks(replica: &AssignedReplica, of: &Assignment) -> BTreeMap<String, AssignedNetwork> {
    let attachments = replica.spec.iter().flat_map(|spec| &spec.networks);
    let names = attachments
        .map(|attached| NetworkSpec::engine_name(&replica.id.deployment, &attached.network));
    names.filter_map(|name| Some((name.clone(), of.networks.get(&name)?.clone()))).collect()
}

/// Whether visitors are led to the service of a replica, by a route or a published port of its own revision.
pub(crate) fn is_visited(state: &State, replica: &AssignedReplica) -> bool {
    let (deployment, service) = (&replica.id.deployment, &replica.id.service);
    let kept = state.revision(deployment, replica.revision);
    // One that is forgotten already may have led anywhere.
    kept.or_else(|| state.revision_in_force(deployment)).is_none_or(|revision| {
        let ports = revision.services.get(service).map(|planned| &planned.schedule.ports);
        revision.routes.iter().any(|route| route.service == *service)
            || ports.is_some_and(|ports| ports.iter().any(|port| port.published.is_some()))
    })
}

//! Sees what nodes do to their engines while they do it.
//!
//! In: acts, as they happen. Out: sightings, with what can be told only at that moment: whether the node
//! had caught up, and which containers of the same service ran elsewhere.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use jaco_api::model::NodeId;
use jaco_engine::{
    rpc::Membership,
    testing::engine::{Act, Onlooker},
};
use jaco_runtime::{
    container::{Container, label},
    testing::FakeRuntime,
};
use tokio::time::Instant;

use crate::sabotage::Sabotage;

/// A container that runs, of one of the scenario's deployments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Where.
    pub host: String,
    /// Its id in the engine.
    pub container: String,
    /// Its replica.
    pub replica: String,
    /// The replica's generation.
    pub generation: u64,
    /// The tick that it is the run of.
    pub tick: Option<String>,
}

/// One act of a node.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// When.
    pub at: Duration,
    /// On which host.
    pub host: String,
    /// What.
    pub act: Act,
    /// Whether it is done, rather than asked for.
    pub done: bool,
    /// Which member the node was, as far as that could be told.
    pub member: Option<NodeId>,
    /// Whether the node had caught up, as far as that could be told.
    pub caught_up: Option<bool>,
    /// Of a start: all that run of the same service now, this one included.
    pub copies: Vec<Copy>,
}

/// Sees what nodes do.
#[derive(Default)]
pub struct Eyes {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    began: Option<Instant>,
    sightings: Vec<Sighting>,
    engines: BTreeMap<String, FakeRuntime>,
    members: BTreeMap<String, Weak<Membership>>,
    sabotage: Option<Sabotage>,
}

impl Eyes {
    /// Sees nothing yet.
    #[must_use]
    pub fn new(sabotage: Option<Sabotage>) -> Self {
        let seen = Seen { began: Some(Instant::now()), sabotage, ..Seen::default() };
        Self { seen: Mutex::new(seen) }
    }
    /// A host has this engine.
    pub fn watch(&self, host: &str, engine: &FakeRuntime) {
        self.lock().engines.insert(host.to_owned(), engine.clone());
    }
    /// The node of a host is this member now, or none.
    pub fn recognise(&self, host: &str, membership: Option<&Arc<Membership>>) {
        let weak = membership.map(Arc::downgrade).unwrap_or_default();
        self.lock().members.insert(host.to_owned(), weak);
    }
    /// What was seen since the last call.
    pub fn take(&self) -> Vec<Sighting> {
        std::mem::take(&mut self.lock().sightings)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, host: &str, act: &Act, done: bool) {
        let mut seen = self.lock();
        let member = seen.members.get(host).and_then(Weak::upgrade);
        let caught_up = member.as_ref().map(|m| m.raft.status().borrow().caught_up);
        let member = member.map(|m| m.id);
        let copies = match act {
            Act::Start(id) if done => seen.copies_of(host, id),
            _ => Vec::new(),
        };
        let at = seen.began.map(|began| began.elapsed()).unwrap_or_default();
        let (host, act) = (host.to_owned(), act.clone());
        seen.sightings.push(Sighting { at, host, act, done, member, caught_up, copies });
    }
}

impl Seen {
    fn copies_of(&self, host: &str, id: &str) -> Vec<Copy> {
        let Some(engine) = self.engines.get(host) else { return Vec::new() };
        let started = engine.containers().into_iter().find(|c| c.id == id || c.name == id);
        let Some(service) = started.as_ref().and_then(service_of) else { return Vec::new() };
        let all = self.engines.iter().flat_map(|(host, engine)| copies(host, engine));
        all.filter(|(of, _)| *of == service).map(|(_, copy)| copy).collect()
    }
}

/// Deployment and service of a container, where it has them.
#[must_use]
pub fn service_of(container: &Container) -> Option<(String, String)> {
    let label = |key: &str| container.labels.get(key).cloned();
    Some((label(label::DEPLOYMENT)?, label(label::SERVICE)?))
}

/// What runs on a host, with deployment and service.
#[must_use]
pub fn copies(host: &str, engine: &FakeRuntime) -> Vec<((String, String), Copy)> {
    let copy = |c: Container| {
        let service = service_of(&c).filter(|_| c.status.is_alive())?;
        let replica = c.labels.get(label::REPLICA)?.clone();
        let generation = c.labels.get(label::GENERATION)?.parse().ok()?;
        let tick = c.labels.get(label::TICK).cloned();
        let (host, container) = (host.to_owned(), c.id);
        Some((service, Copy { host, container, replica, generation, tick }))
    };
    engine.containers().into_iter().filter_map(copy).collect()
}

impl Onlooker for Eyes {
    fn asked(&self, host: &str, act: &Act) {
        self.note(host, act, false);
    }
    fn done(&self, host: &str, act: &Act) {
        self.note(host, act, true);
    }
    fn lies(&self, host: &str, act: &Act) -> bool {
        let seen = self.lock();
        let (Some(Sabotage::DeafEngine), Act::Remove(id)) = (seen.sabotage, act) else {
            return false;
        };
        // What is stopped in order is stopped before it is removed: this one is to be killed.
        let found = seen.engines.get(host).map(FakeRuntime::containers).unwrap_or_default();
        found.iter().any(|c| c.id == *id && c.status.is_alive())
    }
}

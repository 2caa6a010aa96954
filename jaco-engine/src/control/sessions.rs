//! Who was heard of lately: the leader's memory of its sessions. Nothing of it is in the log.
//!
//! In: signs of life. Out: when each node was last heard of and what it is loaded with. It decides
//! nothing: the `liveness` task does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jaco_api::{model::NodeId, pb};
use tokio::time::Instant;

/// How often a node gives a sign of life.
pub const HEARTBEAT: Duration = Duration::from_secs(1);
/// A node that is not heard of for so long is down.
pub const LEASE: Duration = Duration::from_secs(4);

/// How long before the end of its lease a node stops what must not run twice: time enough to kill it.
const MARGIN: Duration = Duration::from_secs(1);

/// What this node was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// When the sign of life was sent that was answered last.
    pub granted: Instant,
    /// What the leader had committed then: what this node owns is certain once it has applied that.
    pub commit: u64,
}

impl Lease {
    /// The lease of a node that has just started: what runs there runs on for now.
    #[must_use]
    pub fn at_start() -> Self {
        Self { granted: Instant::now(), commit: 0 }
    }

    /// When what must not run twice is to be stopped, and what this node knows may be out of date.
    #[must_use]
    pub fn fence_at(&self) -> Instant {
        self.granted + LEASE - MARGIN
    }
}

/// The latest sign of life of one node.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// When it came.
    pub heard: Instant,
    /// What the node was loaded with.
    pub load: pb::NodeLoad,
}

/// The sessions of every node with this one. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Sessions {
    latest: Arc<Mutex<BTreeMap<NodeId, Session>>>,
}

impl Sessions {
    /// A node has given a sign of life.
    pub fn heard(&self, node: NodeId, load: pb::NodeLoad) {
        self.lock().insert(node, Session { heard: Instant::now(), load });
    }

    /// The latest sign of life of a node.
    #[must_use]
    pub fn of(&self, node: NodeId) -> Option<Session> {
        self.lock().get(&node).cloned()
    }

    /// When a node was last heard of.
    #[must_use]
    pub fn heard_at(&self, node: NodeId) -> Option<Instant> {
        self.lock().get(&node).map(|session| session.heard)
    }

    /// Every session.
    #[must_use]
    pub fn all(&self) -> BTreeMap<NodeId, Session> {
        self.lock().clone()
    }

    /// Forgets nodes that are no members any more.
    pub fn keep(&self, member: impl Fn(NodeId) -> bool) {
        self.lock().retain(|node, _| member(*node));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Session>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

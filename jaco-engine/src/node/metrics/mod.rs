//! What can be seen of a node from outside: numbers, and whether it is ready.
//!
//! In: what the parts of the node know anyway. Out: a [`Reading`] at one moment, as text for Prometheus, and the
//! answer to whether the node does its work, with the reason when it does not. It is only looked at: nothing here
//! changes a node, and nobody waits for it longer than a device may take to answer.

mod ingress;
mod ready;
mod serve;
#[cfg(test)]
mod tests;
mod text;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jaco_api::model::{MeshStatus, NodeName, ReplicaState};
use jaco_ingress::proxy::{RouteKey, RouteStats};
use jaco_net::dns::{QueryOutcome, Tally};
use prometheus_client::metrics::histogram::Histogram;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

pub use ready::NotReady;
pub(super) use serve::{Listener, serve};

use self::ready::{Sight, check};
use super::{mesh_end::MeshSlot, readiness::Readiness, served::Served};
use crate::rpc::Membership;

/// How long the device of the mesh may take to answer.
const DEVICE: Duration = Duration::from_secs(2);

/// What the parts of a node count.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// How often the firewall's rules had been changed by others.
    pub(crate) repairs: AtomicU64,
    /// What became of the questions of containers.
    pub(crate) queries: Arc<Tally>,
}

/// A node at one moment, as numbers.
#[derive(Debug)]
struct Reading {
    version: &'static str,
    ready: bool,
    repairs: u64,
    queries: BTreeMap<&'static str, u64>,
    /// What was counted of each route.
    routes: BTreeMap<RouteKey, RouteStats>,
    /// Absent while the node has none, or its device does not answer.
    mesh: Option<MeshStatus>,
    /// Absent while the node belongs to no cluster.
    member: Option<MemberReading>,
}

/// What there is only of a member.
#[derive(Debug)]
struct MemberReading {
    term: u64,
    commit: u64,
    applied: u64,
    leads: bool,
    commits: Histogram,
    replicas: BTreeMap<&'static str, u64>,
    /// When the certificate of each domain ends, in seconds of Unix time.
    certificates: BTreeMap<String, u64>,
}

/// Looks at a node.
pub(crate) struct Observer {
    pub(crate) node: NodeName,
    pub(crate) version: &'static str,
    pub(crate) membership: watch::Receiver<Option<Arc<Membership>>>,
    /// How far the node has come since its start.
    pub(crate) readiness: watch::Receiver<Readiness>,
    pub(crate) mesh: MeshSlot,
    pub(crate) counters: Arc<Counters>,
    pub(crate) served: Served,
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observer({})", self.node)
    }
}

impl Observer {
    /// The numbers of this moment, for Prometheus.
    pub(crate) async fn text(&self) -> String {
        text::text(self.read().await)
    }

    /// Whether the node does its work.
    pub(crate) fn check_ready(&self) -> Result<(), NotReady> {
        let membership = self.membership.borrow().clone();
        let Some(membership) = membership else { return Err(NotReady::NoCluster) };
        let raft = membership.raft.status().borrow().clone();
        let state = membership.state.newest();
        let heard = Instant::now() < membership.lease.borrow().fence_at();
        check(&Sight {
            start: &self.readiness.borrow(),
            raft: &raft,
            node: state.node(membership.id).map(|node| &**node),
            heard,
        })
    }

    async fn read(&self) -> Reading {
        let end = self.mesh.borrow().clone();
        let mesh = match end {
            None => None,
            Some(end) => match timeout(DEVICE, end.status()).await {
                Ok(Ok(status)) => Some(status),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "the mesh does not say how it is");
                    None
                }
                Err(_) => None,
            },
        };
        let queries = &self.counters.queries;
        Reading {
            version: self.version,
            ready: self.check_ready().is_ok(),
            repairs: self.counters.repairs.load(Ordering::Relaxed),
            queries: QueryOutcome::ALL.map(|o| (o.as_str(), queries.of(o))).into(),
            routes: self.served.ingress.stats(),
            mesh,
            member: self.membership.borrow().as_deref().map(member),
        }
    }
}

fn member(membership: &Membership) -> MemberReading {
    let raft = membership.raft.status().borrow().clone();
    let state = membership.state.newest();
    // A state in which there is no replica is told, too: a series that comes and goes is no series.
    let mut replicas: BTreeMap<_, _> = ReplicaState::ALL.map(|state| (state.as_str(), 0)).into();
    for replica in state.replicas_on(membership.id) {
        *replicas.entry(replica.observed.state.as_str()).or_default() += 1;
    }
    MemberReading {
        term: raft.term,
        commit: raft.commit,
        applied: raft.applied,
        leads: raft.is_leader,
        commits: membership.submitter.commits(),
        replicas,
        certificates: (state.certificates().iter())
            .map(|(domain, certificate)| (domain.to_string(), certificate.not_after.0 / 1000))
            .collect(),
    }
}

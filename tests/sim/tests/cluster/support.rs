//! A cluster in a directory of its own, and bounded waiting.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use jaco_api::{
    error::ErrorCode,
    model::{Actor, AuditKind, NodeStatus},
};
use jaco_engine::{
    command::{Command, RecordAudit},
    raft::voters::voters_of,
    state::{State, snapshot},
    testing::{Cluster, Host},
};
use jaco_sim::{
    scenario::{Deployment, Recipe},
    world::manifest::manifest,
};
use tokio::time::Instant;

/// How long anything may take, by the cluster's own clock.
const BOUND: Duration = Duration::from_secs(120);

pub(crate) struct Sim {
    cluster: Cluster,
    _dir: tempfile::TempDir,
}

impl Deref for Sim {
    type Target = Cluster;
    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}
impl DerefMut for Sim {
    fn deref_mut(&mut self) -> &mut Cluster {
        &mut self.cluster
    }
}

impl Sim {
    /// A cluster of so many members, which all are ready, with the voters it is to have.
    pub(crate) async fn of(size: usize) -> Self {
        Self::with(size, |cluster| cluster).await
    }

    /// The same, of a cluster that is changed before it forms.
    pub(crate) async fn with(size: usize, change: impl FnOnce(Cluster) -> Cluster) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cluster = change(Cluster::new(dir.path(), 1)).with_members(size).await;
        let sim = Self { cluster, _dir: dir };
        sim.formed(size).await;
        sim
    }

    /// Waits until so many nodes are members, ready, and as many vote as are to vote.
    pub(crate) async fn formed(&self, size: usize) {
        self.until("the cluster to form", |sim| {
            let leader = sim.leader()?;
            let (status, state) = (sim.host(leader).status()?, sim.host(leader).state()?);
            let ready = state.nodes().all(|n| n.status == NodeStatus::Ready);
            let all = (status.members.len(), status.voters().count(), state.nodes().count());
            (ready && all == (size, voters_of(size), size)).then_some(())
        })
        .await;
    }

    /// Waits until a question has an answer.
    pub(crate) async fn until<T>(&self, what: &str, ask: impl Fn(&Self) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(answer) = ask(self) {
                return answer;
            }
            let line = |h: &Host| (h.name().clone(), h.status());
            let shown = || self.hosts().iter().map(line).collect::<Vec<_>>();
            assert!(began.elapsed() < BOUND, "{what} did not happen: {:#?}", shown());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The newest state of a host's node.
    pub(crate) fn state(&self, at: usize) -> Arc<State> {
        self.host(at).state().expect("it is a member")
    }

    /// Waits until all these nodes hold the same state, byte by byte.
    pub(crate) async fn same_on(&self, hosts: &[usize]) {
        self.until("the same state everywhere", |sim| {
            let newest = hosts.iter().map(|at| sim.state(*at).index()).max()?;
            hosts.iter().all(|at| sim.state(*at).index() == newest).then_some(())
        })
        .await;
        let written = |at: usize| snapshot::write(&self.state(at));
        hosts.iter().for_each(|at| assert_eq!(written(*at), written(hosts[0])));
    }

    /// Applies a deployment and waits until all its replicas run.
    pub(crate) async fn deploy(&self, deployment: Deployment, replicas: u32) {
        let apply = manifest(deployment, &Recipe::good(1, replicas), self.hosts().len());
        self.client(0).apply(apply).await.unwrap();
        let name = deployment.name().parse().unwrap();
        self.until("every replica to run", |sim| {
            let running = sim.state(0).replicas_of(&name).filter(|r| r.is_running()).count();
            (running == replicas as usize).then_some(())
        })
        .await;
    }

    /// How many containers run on a host.
    pub(crate) fn running_on(&self, at: usize) -> usize {
        let all = self.host(at).engine().containers();
        all.iter().filter(|c| c.status.is_alive()).count()
    }
}

/// A write that changes nothing but the audit log.
pub(crate) fn mark() -> Command {
    let payload = std::collections::BTreeMap::new();
    Command::RecordAudit(RecordAudit { kind: AuditKind::UpgradeSucceeded, payload })
}

/// Writes through the node of a host.
pub(crate) async fn write(sim: &Sim, at: usize) -> Result<(), ErrorCode> {
    let membership = sim.host(at).membership().expect("it is a member");
    let written = membership.submitter.submit(Actor::system(None), None, mark()).await;
    written.map(drop).map_err(|e| e.code)
}

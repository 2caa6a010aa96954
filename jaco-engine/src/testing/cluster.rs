//! A cluster in this process: whole nodes on simulated hosts.
//!
//! In: hosts, what is to become of them, faults. Out: clients of the nodes, their states, and what is
//! left on their hosts. Everything runs on the caller's runtime; with tokio's time paused, hours pass
//! in moments. Nothing of a host but files in its data directory exists outside of the process.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use jaco_api::model::{Identity, NodeId, NodeName, Timestamp};
use jaco_client::Client;
use jaco_runtime::testing::FakeRuntime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    SimulatedClock, SimulatedDisk, SimulatedNetwork,
    engine::{EngineLink, Nobody, Onlooker},
};
use crate::{
    Node, NodeConfig, NodeError,
    raft::{RaftStatus, RaftStorage, RaftTiming},
    rpc::Membership,
    state::State,
};

/// What the clocks of simulated hosts show at first.
pub const EPOCH: Timestamp = Timestamp(1_800_000_000_000);

/// Whole nodes on simulated hosts.
pub struct Cluster {
    root: PathBuf,
    seed: u64,
    timing: RaftTiming,
    onlooker: Arc<dyn Onlooker>,
    network: SimulatedNetwork,
    hosts: Vec<Host>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// One simulated host: what stays there whatever happens to its node.
pub struct Host {
    name: NodeName,
    data: PathBuf,
    address: SocketAddr,
    engine: FakeRuntime,
    disk: SimulatedDisk,
    clock: SimulatedClock,
    hangs: watch::Sender<bool>,
    life: Option<Life>,
}

/// One life of a node, from its start to its end.
struct Life {
    node: Node,
    ended: CancellationToken,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lives = self.life.is_some();
        f.debug_struct("Host").field("name", &self.name).field("lives", &lives).finish()
    }
}

impl Cluster {
    /// No hosts yet. Data directories are made under `root`; what is drawn follows from the seed.
    #[must_use]
    pub fn new(root: &Path, seed: u64) -> Self {
        Self {
            root: root.to_owned(),
            seed,
            timing: RaftTiming::default(),
            onlooker: Arc::new(Nobody),
            network: SimulatedNetwork::seeded(seed),
            hosts: Vec::new(),
        }
    }
    /// Nodes that are started from now on notice, and compact their logs, as quickly as this.
    #[must_use]
    pub fn timing(mut self, timing: RaftTiming) -> Self {
        self.timing = timing;
        self
    }
    /// Looks on while nodes that are started from now on act on their engines.
    #[must_use]
    pub fn onlooker(mut self, onlooker: Arc<dyn Onlooker>) -> Self {
        self.onlooker = onlooker;
        self
    }

    /// A cluster of this many nodes, called `a`, `b` …; the first one founded it, and the others have
    /// joined it.
    ///
    /// # Panics
    /// When a node does not start, or does not become a member.
    pub async fn of(root: &Path, size: usize) -> Self {
        Self::new(root, 0).with_members(size).await
    }

    /// This many nodes, the first one the founder, the others members.
    ///
    /// # Panics
    /// As [`Self::of`].
    pub async fn with_members(mut self, size: usize) -> Self {
        for at in 0..size {
            self.add_host();
            self.start(at).await.expect("a fresh node starts");
            if at == 0 {
                let holder: Identity = "admin".parse().expect("a valid name");
                self.node(0).expect("it lives").init(&holder).await.expect("it founds a cluster");
            } else {
                self.join(at, 0).await.expect("it is admitted");
            }
        }
        self
    }

    /// A further host, with an empty disk and engine and no node running; its place in the list.
    ///
    /// # Panics
    /// When there are too many to be told apart.
    pub fn add_host(&mut self) -> usize {
        let at = self.hosts.len();
        let number = u8::try_from(at + 1).expect("a handful of hosts");
        let name = host_name(at);
        self.hosts.push(Host {
            data: self.root.join(name.as_str()),
            address: SocketAddr::from(([10, 0, 0, number], 7_000)),
            engine: FakeRuntime::at(EPOCH),
            disk: SimulatedDisk::seeded(self.seed ^ (u64::from(number) << 32)),
            clock: SimulatedClock::at(EPOCH),
            hangs: watch::Sender::new(false),
            life: None,
            name,
        });
        at
    }

    /// The hosts, in the order in which they were added.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }
    /// A host.
    ///
    /// # Panics
    /// When there are not so many.
    #[must_use]
    pub fn host(&self, at: usize) -> &Host {
        &self.hosts[at]
    }
    /// The network between the hosts; a host's place is its name.
    #[must_use]
    pub fn network(&self) -> &SimulatedNetwork {
        &self.network
    }
    /// The node of a host, while it lives.
    #[must_use]
    pub fn node(&self, at: usize) -> Option<&Node> {
        self.hosts[at].life.as_ref().map(|life| &life.node)
    }

    /// Starts the node of a host where its disk left off; one that runs is left alone.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn start(&mut self, at: usize) -> Result<(), NodeError> {
        let host = &mut self.hosts[at];
        if host.life.is_some() {
            return Ok(());
        }
        let ended = CancellationToken::new();
        let mut config = NodeConfig::new(&host.data).named(host.name.clone());
        config.listen_addr = host.address;
        config.cluster_addr = SocketAddr::new(host.address.ip(), host.address.port() + 1);
        let link = EngineLink {
            host: host.name.to_string(),
            engine: host.engine.clone(),
            life: ended.clone(),
            hangs: host.hangs.subscribe(),
            onlooker: Arc::clone(&self.onlooker),
        };
        let disk = host.disk.clone();
        let node = Node::builder(config)
            .runtime(link)
            .open_storage(move |path| Ok(Arc::new(disk.open(path)?) as Arc<dyn RaftStorage>))
            .clock(Arc::new(host.clock.clone()))
            .transport(self.network.port(host.name.as_str()))
            .timing(self.timing.clone())
            .unmeasured()
            .start()
            .await?;
        host.life = Some(Life { node, ended });
        Ok(())
    }

    /// Stops the node of a host in order.
    pub async fn stop(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        let Some(life) = host.life.take() else { return };
        // One that does not stop in time is abandoned, and must not act any more.
        let _ = life.node.shutdown().await;
        life.ended.cancel();
        self.network.sever(host.name.as_str());
    }

    /// Ends the node of a host where it stands. Its containers run on; what its disk had not
    /// acknowledged is lost, or not.
    pub async fn crash(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        let Some(life) = host.life.take() else { return };
        life.ended.cancel();
        self.network.sever(host.name.as_str());
        host.disk.crash();
        life.node.kill().await;
    }

    /// Deletes what the node of a host, which is down, has on disk.
    ///
    /// # Panics
    /// When the node runs, or the directory cannot be deleted.
    pub fn wipe(&mut self, at: usize) {
        let host = &self.hosts[at];
        assert!(host.life.is_none(), "{} runs", host.name);
        if host.data.exists() {
            std::fs::remove_dir_all(&host.data).expect("a directory of our own can be deleted");
        }
    }

    /// Makes the node of a host a member, by a token and through the node of another one.
    ///
    /// # Errors
    /// The refusal.
    ///
    /// # Panics
    /// When one of the two nodes does not run.
    pub async fn join(&self, at: usize, through: usize) -> Result<(), jaco_client::Error> {
        let issued = self.client(through).issue_join_token(None).await?;
        self.client(at).join(&issued.peer, &issued.token).await.map(drop)
    }

    /// A client of the node of a host: it may do everything.
    ///
    /// # Panics
    /// When the node does not run.
    #[must_use]
    pub fn client(&self, at: usize) -> Client {
        self.node(at).expect("the node runs").client()
    }

    /// The host whose node leads, as far as it knows itself.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        let leads = |host: &Host| host.status().is_some_and(|s| s.is_leader);
        self.hosts.iter().position(leads)
    }
}

/// The name of the host at this place: `a` to `z`, then `host-27` and so on.
///
/// # Panics
/// Never: a letter, or a word with a number, is a node name.
#[must_use]
pub fn host_name(at: usize) -> NodeName {
    let letter = u8::try_from(at).ok().filter(|at| *at < 26).map(|at| char::from(b'a' + at));
    let text = letter.map_or_else(|| format!("host-{}", at + 1), String::from);
    NodeName::new(text).expect("a letter, or a word with a number, is a node name")
}

impl Host {
    /// Its name, and that of its node.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.name
    }
    /// Its container engine.
    #[must_use]
    pub fn engine(&self) -> &FakeRuntime {
        &self.engine
    }
    /// Its disk.
    #[must_use]
    pub fn disk(&self) -> &SimulatedDisk {
        &self.disk
    }
    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> &SimulatedClock {
        &self.clock
    }
    /// Puts the host's clock so many milliseconds ahead, or behind: for the node and its engine.
    pub fn set_clock_ahead(&self, milliseconds: i64) {
        self.clock.set_ahead(milliseconds);
        self.engine.set_clock_ahead(milliseconds);
    }
    /// The engine answers nothing while this is so.
    pub fn set_engine_hangs(&self, hangs: bool) {
        self.hangs.send_replace(hangs);
    }
    /// Whether the engine answers nothing.
    #[must_use]
    pub fn engine_hangs(&self) -> bool {
        *self.hangs.borrow()
    }
    /// Whether its node runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.life.is_some()
    }
    /// What its node works with, while it is a member.
    #[must_use]
    pub fn membership(&self) -> Option<Arc<Membership>> {
        self.life.as_ref()?.node.membership()
    }
    /// The number of its node, while that is a member and runs.
    #[must_use]
    pub fn member(&self) -> Option<NodeId> {
        self.membership().map(|m| m.id)
    }
    /// What its node knows of the raft group.
    #[must_use]
    pub fn status(&self) -> Option<RaftStatus> {
        self.membership().map(|m| m.raft.status().borrow().clone())
    }
    /// The newest state of its node.
    #[must_use]
    pub fn state(&self) -> Option<Arc<State>> {
        self.membership().map(|m| m.state.newest())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::state::snapshot;

    #[tokio::test(start_paused = true)]
    async fn a_cluster_forms_survives_a_crash_and_holds_one_state() {
        let dir = tempfile::tempdir().unwrap();
        let mut cluster = Cluster::of(dir.path(), 3).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        let leader = cluster.leader().expect("somebody leads");
        assert_eq!(cluster.host(leader).status().unwrap().voters().count(), 3);
        cluster.crash(leader).await;
        let other = (leader + 1) % 3;
        cluster.client(other).set_setting("revision_retention", "7").await.unwrap();
        cluster.start(leader).await.unwrap();
        tokio::time::sleep(Duration::from_secs(30)).await;
        let states: Vec<_> = cluster.hosts().iter().map(|h| h.state().unwrap()).collect();
        assert!(states.iter().all(|s| s.settings().revision_retention == 7));
        assert!(states.iter().all(|s| snapshot::write(s) == snapshot::write(&states[0])));
    }
}

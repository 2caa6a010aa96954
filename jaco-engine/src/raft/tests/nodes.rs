//! Members in one process, and what they write.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use jaco_api::{
    error::ApiError,
    model::{
        Actor, AuditKind, Availability, ClusterId, Digest, Identity, Node, NodeCondition,
        NodeFacts, NodeId, NodeName, NodeStatus, OperatorToken, Role, Sealed, Timestamp,
    },
};

use crate::{
    clock::SystemClock,
    command::{Command, InitCluster, Outcome, RecordAudit},
    raft::{
        Member, MemoryStorage, Peer, PeerTransport, Raft, RaftOptions, RaftStatus, RaftStorage,
        RaftTiming,
    },
    state::{State, snapshot},
    testing::SimulatedNetwork,
};

pub(super) fn member(id: u64) -> Member {
    let port = u16::try_from(id).unwrap();
    Member {
        name: NodeName::new(format!("node-{id}")).unwrap(),
        raft_addr: SocketAddr::from(([127, 0, 0, 1], 7_000 + port)),
        api_addr: SocketAddr::from(([127, 0, 0, 1], 8_000 + port)),
    }
}

pub(super) fn peer(id: u64) -> Peer {
    Peer { id: NodeId(id), member: member(id) }
}

pub(super) async fn start(
    id: u64,
    storage: Arc<dyn RaftStorage>,
    transport: Arc<dyn PeerTransport>,
    timing: RaftTiming,
) -> Raft {
    let clock = Arc::new(SystemClock);
    let options = RaftOptions {
        id: NodeId(id),
        storage,
        transport,
        clock,
        timing,
        desk: Arc::new(crate::raft::NoDesk),
    };
    Raft::start(options).await.unwrap()
}

/// The first entry of every cluster.
pub(super) fn init() -> Command {
    let Member { name, raft_addr, api_addr } = member(1);
    let facts = NodeFacts {
        api_addr,
        raft_addr,
        version: "0.1.0".to_owned(),
        engine: None,
        platform: "linux/amd64".to_owned(),
        cpu_millis: 1_000,
        memory_bytes: 1 << 30,
        mesh: None,
    };
    Command::InitCluster(Box::new(InitCluster {
        address_pools: None,
        cluster: ClusterId(uuid::Uuid::from_u128(1)),
        ca_pem: String::new(),
        ca_key: Sealed { key_id: 1, bytes: Arc::from([1_u8].as_slice()) },
        node: Node {
            id: NodeId(1),
            name,
            status: NodeStatus::Ready,
            condition: NodeCondition::Ready,
            condition_since: Timestamp(0),
            reason: None,
            availability: Availability::Active,
            forced: false,
            labels: BTreeMap::new(),
            facts,
            joined_at: Timestamp(0),
            mesh_address: None,
        },
        token: OperatorToken {
            identity: Identity::new("admin").unwrap(),
            hash: Some(Digest::of(b"token")),
            role: Role::Admin,
            deployments: Vec::new(),
            allow_privileged: true,
            issued_at: Timestamp(0),
            expires_at: None,
            revoked_at: None,
        },
    }))
}

/// A write that can be counted.
pub(super) fn mark(text: impl ToString) -> Command {
    let payload = BTreeMap::from([("mark".to_owned(), text.to_string())]);
    Command::RecordAudit(RecordAudit { kind: AuditKind::SettingsChanged, payload })
}

/// Every mark in a state, in the order of the log.
pub(super) fn marks(state: &State) -> Vec<String> {
    state.audit_after(0).filter_map(|e| e.payload.get("mark").cloned()).collect()
}

pub(super) async fn write(raft: &Raft, command: Command) -> Result<Outcome, ApiError> {
    raft.submitter().submit(Actor::system(None), None, command).await
}

/// A group on the simulated network.
pub(super) struct Nodes {
    pub(super) network: SimulatedNetwork,
    pub(super) rafts: Vec<Raft>,
    storages: Vec<MemoryStorage>,
    timing: RaftTiming,
}

impl Nodes {
    /// Three voters; the first one leads.
    pub(super) async fn three(timing: RaftTiming) -> Self {
        let network = SimulatedNetwork::default();
        let mut nodes = Self { network, rafts: Vec::new(), storages: Vec::new(), timing };
        for id in 1..=3 {
            nodes.storages.push(MemoryStorage::default());
            let raft = nodes.begin(id).await;
            nodes.rafts.push(raft);
        }
        let first = nodes.raft(1);
        first.initialize(member(1)).await.unwrap();
        nodes.until(1, |s| s.is_leader).await;
        write(first, init()).await.unwrap();
        for id in [2, 3] {
            first.add_learner(peer(id)).await.unwrap();
        }
        first.set_voters(BTreeSet::from([NodeId(1), NodeId(2), NodeId(3)])).await.unwrap();
        for id in 1..=3 {
            nodes.until(id, |s| s.voters().count() == 3 && s.leader == Some(NodeId(1))).await;
        }
        nodes
    }

    async fn begin(&self, id: u64) -> Raft {
        let storage = Arc::new(self.storages[usize::try_from(id).unwrap() - 1].clone());
        let transport = self.network.transport(NodeId(id));
        let raft = start(id, storage, transport, self.timing.clone()).await;
        self.network.plug(NodeId(id), raft.service());
        raft
    }

    /// The node dies and comes back with what it had stored.
    pub(super) async fn restart(&mut self, id: u64) {
        self.network.unplug(NodeId(id));
        self.raft(id).shutdown(Duration::from_secs(5)).await.unwrap();
        let raft = self.begin(id).await;
        self.rafts[usize::try_from(id).unwrap() - 1] = raft;
    }

    pub(super) fn raft(&self, id: u64) -> &Raft {
        &self.rafts[usize::try_from(id).unwrap() - 1]
    }

    /// Waits until a node's status satisfies a condition.
    pub(super) async fn until(&self, id: u64, holds: impl Fn(&RaftStatus) -> bool) -> RaftStatus {
        let mut status = self.raft(id).status();
        let reached = tokio::time::timeout(Duration::from_secs(30), status.wait_for(|s| holds(s)))
            .await
            .map(|s| s.unwrap().clone());
        match reached {
            Ok(status) => status,
            Err(_) => panic!("node {id}: {:#?}", status.borrow().clone()),
        }
    }

    /// Waits until one of these nodes leads; its number.
    pub(super) async fn leader_among(&self, ids: &[u64]) -> u64 {
        let leading = ids.iter().map(|id| {
            Box::pin(async move {
                self.until(*id, |s| s.is_leader).await;
                *id
            })
        });
        futures::future::select_all(leading).await.0
    }

    /// Waits until all nodes have applied as much as the first of them; that state must be the same
    /// everywhere, byte by byte.
    pub(super) async fn same_everywhere(&self) -> Arc<State> {
        let newest = self.rafts.iter().map(|r| r.state().newest().index()).max().unwrap();
        let mut states = Vec::new();
        for raft in &self.rafts {
            let mut watch = raft.state();
            let arrived =
                tokio::time::timeout(Duration::from_secs(30), watch.wait_for_index(newest));
            states.push(arrived.await.expect("every node gets there").unwrap());
        }
        for state in &states {
            assert_eq!(state.index(), newest);
            assert_eq!(snapshot::write(state), snapshot::write(&states[0]));
        }
        states.remove(0)
    }
}

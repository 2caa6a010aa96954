//! Streams of operators over two nodes: node-a is asked, node-b has the other half of the replicas.
//! The nodes share one state, which a test writes; each has an engine in memory.

mod copying;
mod diagnosing;
mod forwarding;
mod joined;
mod logs;
mod measuring;
mod permitted;
mod running;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use jaco_api::{
    error::ApiError,
    model::{
        ClusterId, ContainerSpec, Identity, Node, NodeId, NodeName, Observation, Principal,
        ReplicaId, ReplicaState,
    },
};
use jaco_client::{Client, ExecEvent, ReplicaTarget};
use jaco_ingress::Limits;
use jaco_net::NoFirewall;
use jaco_runtime::{
    ContainerRuntime,
    container::{ContainerRequest, NetworkJoin, NetworkRequest, label},
    testing::FakeRuntime,
};
use tokio::{
    io::DuplexStream,
    sync::{mpsc, watch as channel},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::transport::Channel;

use super::super::{
    containers::EngineContainers, doctor::NodeDoctor, mesh_end::NodeMesh, output::EngineOutput,
    served::Served,
};
use crate::{
    admission,
    clock::SystemClock,
    command::{Action, Command, Envelope, Outcome, Reconcile, RecordAudit},
    control::{Board, Lease},
    pki::{JoinSecret, PeerIdentity},
    raft::{GrpcTransport, MemoryStorage, NoDesk, PeerServer, Raft, RaftOptions, RaftTiming},
    rpc::{self, Api, Founded, Founder, Joined, Membership, Peers, Server},
    seal::Keyring,
    submit::{Applied, Failed, LogWriter, Submitter},
    testing::world::{World, name, seen, service},
    watch::{self, StatePublisher},
};

/// Nobody forms a cluster here.
struct NoFounder;

#[async_trait]
impl Founder for NoFounder {
    async fn found(&self, _: &Principal, _: Identity) -> Result<Founded, ApiError> {
        unreachable!("the cluster exists")
    }
    async fn join(&self, _: String, _: JoinSecret) -> Result<Joined, ApiError> {
        unreachable!("the cluster exists")
    }
}

/// Remembers what was proposed; everything is applied at once, to nothing.
#[derive(Default)]
struct Proposals(Mutex<Vec<Envelope>>);

#[async_trait]
impl LogWriter for Proposals {
    async fn propose(&self, envelope: Envelope) -> Result<Applied, Failed> {
        self.0.lock().unwrap().push(envelope);
        Ok(Applied { index: 0, outcome: Outcome::Done })
    }
    fn obstacle(&self) -> ApiError {
        unreachable!("everything is applied")
    }
    fn minority_since(&self) -> Option<tokio::time::Instant> {
        None
    }
    async fn look_around(&self) {}
}

/// The wire to node-b; pulling it breaks every connection.
#[derive(Default)]
struct Wire {
    dial: Mutex<Option<mpsc::Sender<DuplexStream>>>,
}

impl Peers for Wire {
    fn channel(&self, _: &Node) -> Result<Channel, ApiError> {
        let refuse = || mpsc::channel(1).0;
        Ok(rpc::client(self.dial.lock().unwrap().clone().unwrap_or_else(refuse)))
    }
}

/// Two nodes of one cluster.
struct Pair {
    world: World,
    publisher: Arc<StatePublisher>,
    engines: BTreeMap<&'static str, FakeRuntime>,
    proposals: Arc<Proposals>,
    wire: Arc<Wire>,
    far: Server,
    far_serves: Option<CancellationToken>,
    client: Client,
    stop: CancellationToken,
}

fn cluster(world: &World) -> ClusterId {
    world.state().cluster().unwrap().id
}

/// What one node serves.
async fn server(
    called: &str,
    id: u64,
    engine: &FakeRuntime,
    world: &World,
    publisher: &StatePublisher,
    proposals: Arc<Proposals>,
    peers: Arc<dyn Peers>,
) -> Server {
    let runtime: Arc<dyn ContainerRuntime> = Arc::new(engine.clone());
    let node: NodeName = name(called);
    let options = RaftOptions {
        id: NodeId(id),
        storage: Arc::new(MemoryStorage::default()),
        transport: Arc::new(GrpcTransport::new()),
        clock: Arc::new(SystemClock),
        timing: RaftTiming::default(),
        desk: Arc::new(NoDesk),
    };
    let raft = Raft::start(options).await.unwrap();
    let state = publisher.subscribe();
    let submitter = Submitter::new(proposals, Arc::new(SystemClock), state.clone());
    let membership = Membership {
        cluster: cluster(world),
        id: NodeId(id),
        others: Default::default(),
        name: node.clone(),
        state,
        submitter,
        raft: raft.clone(),
        keyring: Keyring::ephemeral(),
        board: Board::default(),
        lease: Arc::new(channel::Sender::new(Lease::at_start())),
    };
    let (_, membership) = channel::channel(Some(Arc::new(membership)));
    let api = Api {
        node: node.clone(),
        version: "0.0.0",
        membership,
        founder: Arc::new(NoFounder),
        logs: Arc::new(EngineOutput(Arc::clone(&runtime))),
        containers: Arc::new(EngineContainers(Arc::clone(&runtime))),
        doctor: Arc::new(NodeDoctor {
            runtime,
            firewall: Arc::new(NoFirewall::new()),
            mesh: None,
            plane: channel::channel(None).1,
        }),
        mesh: Arc::new(NodeMesh {
            node: node.clone(),
            meshed: false,
            end: channel::channel(None).1,
        }),
        serving: Arc::new(Served::new(Limits::default())),
        peers,
        clock: Arc::new(SystemClock),
        stopping: CancellationToken::new(),
        streams: TaskTracker::new(),
        attempts: Mutex::<admission::Attempts>::default(),
    };
    let peers = PeerServer::new(&raft, cluster(world), Arc::new(|_| None));
    Server::new(Arc::new(api)).unwrap().with_internal(&peers)
}

impl Pair {
    /// A service `shop/web` with a replica on each node, `shop.web.1` on node-a and `shop.web.2` on
    /// node-b.
    async fn new() -> Self {
        let mut world = World::new(&["node-a", "node-b"]);
        world.deploy("shop", &[("web", service(2), "web:1")]);
        let create = |node| Action::Create { service: name("web"), node: NodeId(node), slot: None };
        let deployment = world.state().deployment(&name("shop")).unwrap();
        let reconcile = Reconcile {
            deployment: name("shop"),
            version: deployment.version,
            actions: vec![create(1), create(2)],
        };
        assert_eq!(world.command(Command::Reconcile(reconcile)), Outcome::Done);
        let (publisher, _) = watch::channel(Arc::clone(world.state()));
        let engines = BTreeMap::from(["node-a", "node-b"].map(|n| (n, FakeRuntime::new())));
        let (proposals, wire) = (Arc::<Proposals>::default(), Arc::<Wire>::default());
        let near = server(
            "node-a",
            1,
            &engines["node-a"],
            &world,
            &publisher,
            Arc::clone(&proposals),
            Arc::<Wire>::clone(&wire),
        )
        .await;
        let nobody = Arc::<Proposals>::default();
        let far = server(
            "node-b",
            2,
            &engines["node-b"],
            &world,
            &publisher,
            nobody,
            Arc::<Wire>::default(),
        )
        .await;
        let stop = CancellationToken::new();
        let (dial, incoming) = mpsc::channel(4);
        tokio::spawn(near.serve(rpc::duplex(incoming), stop.clone()));
        let client = Client::from_channel(rpc::client(dial));
        let publisher = Arc::new(publisher);
        let mut pair = Self {
            world,
            publisher,
            engines,
            proposals,
            wire,
            far,
            far_serves: None,
            client,
            stop,
        };
        pair.plug();
        for (replica, node) in [("shop.web.1", "node-a"), ("shop.web.2", "node-b")] {
            assert_eq!(pair.node_of(replica), node, "{:?}", pair.world.replicas());
            pair.run_container(replica, "sleep infinity").await;
        }
        pair
    }

    fn node_of(&self, replica: &str) -> &'static str {
        let state = self.world.state();
        let node = state.replica(&id(replica)).unwrap().node;
        if node.0 == 1 { "node-a" } else { "node-b" }
    }

    fn engine_of(&self, replica: &str) -> &FakeRuntime {
        &self.engines[self.node_of(replica)]
    }

    fn container_of(&self, replica: &str) -> String {
        self.world.state().replica(&id(replica)).unwrap().observed.container.clone().unwrap()
    }

    /// A new container of a replica, with everything a node's agent gives it.
    async fn run_container(&mut self, replica: &str, script: &str) {
        let engine = self.engine_of(replica).clone();
        engine.add_image("web:1");
        let network = NetworkRequest { name: "front".to_owned(), ..NetworkRequest::default() };
        // The second container finds it there.
        let _ = engine.create_network(&network).await;
        let spec = ContainerSpec {
            image: "web:1".to_owned(),
            command: Some(["sh", "-c", script].map(str::to_owned).to_vec()),
            ..ContainerSpec::default()
        };
        let labels = [
            (label::CLUSTER, cluster(&self.world).to_string()),
            (label::REPLICA, replica.to_owned()),
        ];
        let count = engine.containers().len();
        let request = ContainerRequest {
            name: format!("{replica}-{count}"),
            labels: labels.map(|(k, v)| (k.to_owned(), v)).into(),
            spec: Arc::new(spec),
            networks: vec![NetworkJoin { network: "front".to_owned(), ..NetworkJoin::default() }],
            files: Vec::new(),
            lead: None,
        };
        let container = engine.create(&request).await.unwrap();
        engine.start(&container).await.unwrap();
        self.observe(replica, ReplicaState::Running, Some(container), 0);
    }

    fn observe(
        &mut self,
        replica: &str,
        state: ReplicaState,
        container: Option<String>,
        restarts: u32,
    ) {
        self.world.observe(replica, Observation { container, restarts, ..seen(state, "") });
        self.publisher.publish(Arc::clone(self.world.state()));
    }

    /// node-b answers.
    fn plug(&mut self) {
        let (dial, incoming) = mpsc::channel(4);
        let member = member(cluster(&self.world), "node-a", 1);
        self.serve_far(incoming, member);
        *self.wire.dial.lock().unwrap() = Some(dial);
    }

    fn serve_far(&mut self, incoming: mpsc::Receiver<DuplexStream>, member: PeerIdentity) {
        let serves = CancellationToken::new();
        let (far, ended) = (self.far.clone(), serves.clone());
        // Dropped as a whole, so that its connections break as those of a killed process do.
        let serving = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let served = far.serve(rpc::from_member(incoming, member), CancellationToken::new());
        serving.spawn(served);
        tokio::spawn(async move {
            ended.cancelled().await;
            serving.shutdown_background();
        });
        self.far_serves = Some(serves);
    }

    /// node-b does not answer any more, and its connections break.
    fn pull(&mut self) {
        *self.wire.dial.lock().unwrap() = None;
        if let Some(serves) = self.far_serves.take() {
            serves.cancel();
        }
    }

    /// What was noted in the audit log: identity, node and payload.
    fn noted(&self) -> Vec<(String, String, BTreeMap<String, String>)> {
        let all = self.proposals.0.lock().unwrap();
        let audits = all.iter().filter_map(|envelope| match &envelope.command {
            Command::RecordAudit(RecordAudit { payload, .. }) => {
                let actor = &envelope.actor;
                let node = actor.node.as_ref().map(NodeName::to_string).unwrap_or_default();
                Some((actor.identity.to_string(), node, payload.clone()))
            }
            _ => None,
        });
        audits.collect()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.stop.cancel();
        self.pull();
    }
}

fn member(cluster: ClusterId, node: &str, number: u64) -> PeerIdentity {
    PeerIdentity { cluster, node: name(node), member: NodeId(number) }
}

fn id(replica: &str) -> ReplicaId {
    replica.parse().unwrap()
}

fn target(replica: &str) -> ReplicaTarget {
    ReplicaTarget::Replica(id(replica))
}

fn web() -> ReplicaTarget {
    ReplicaTarget::Service("shop".parse().unwrap(), "web".parse().unwrap())
}

/// Fails a test instead of hanging it.
fn soon<T>(what: &str, work: impl Future<Output = T>) -> impl Future<Output = T> {
    let work = tokio::time::timeout(super::BOUND, Box::pin(work));
    async move {
        match work.await {
            Ok(value) => value,
            Err(_) => panic!("{what} did not happen in time"),
        }
    }
}

/// The text a command wrote, and its exit code or error.
async fn to_the_end(
    mut output: impl futures::Stream<Item = Result<ExecEvent, jaco_client::Error>> + Unpin,
) -> (String, Result<i32, jaco_client::Error>) {
    use futures::StreamExt as _;
    let mut text = String::new();
    let read = async {
        loop {
            match output.next().await {
                Some(Ok(ExecEvent::Stdout(b) | ExecEvent::Stderr(b))) => {
                    text.push_str(&String::from_utf8_lossy(&b));
                }
                Some(Ok(ExecEvent::Exited(code))) => return Ok(code),
                Some(Err(error)) => return Err(error),
                None => panic!("the output ended without an exit code"),
            }
        }
    };
    let end = soon("the end of a command", read).await;
    (text, end)
}

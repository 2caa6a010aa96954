//! Puts a node together: every seam may be replaced.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex},
};

use jaco_api::model::NodeName;
use jaco_ingress::{CertStore, MemoryCertStore};
use jaco_net::{Bridges, EngineChains, Firewall, NoFirewall};
use jaco_runtime::ContainerRuntime;
use tokio::{
    net::UnixListener,
    sync::{mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Node, NodeConfig, NodeError,
    containers::EngineContainers,
    directory::{DataDirectory, MemberFile},
    doctor::NodeDoctor,
    found::{Doorbell, Request},
    host_name,
    keeper::Keeper,
    mesh_end::NodeMesh,
    metrics::{self, Counters, Listener, Observer},
    output::EngineOutput,
    plane::{Mesh, Naming},
    ports::Reserved,
    readiness::Readiness,
    seams::{IngressOptions, Seams},
    served::Served,
};
use crate::{
    admission::Attempts,
    clock::{Clock, SystemClock},
    control::AcmeOptions,
    raft::{
        DiskStorage, GrpcTransport, PeerTransport, RaftStorage, RaftTiming, storage::StorageError,
    },
    rpc::{self, Api, Peers, Server, UnixSocket},
};

/// A node that is not started yet.
#[must_use = "a builder does nothing before `start`"]
pub struct Builder {
    config: NodeConfig,
    runtime: Option<Arc<dyn ContainerRuntime>>,
    open_storage: OpenStorage,
    clock: Arc<dyn Clock>,
    transport: Option<Arc<dyn PeerTransport>>,
    peers: Option<Arc<dyn Peers>>,
    timing: RaftTiming,
    firewall: Arc<dyn Firewall>,
    chains: Option<EngineChains>,
    bridges: Option<Bridges>,
    mesh: Option<Mesh>,
    names: Option<Naming>,
    ingress: Option<IngressOptions>,
    acme: Option<AcmeOptions>,
    certs: Arc<dyn CertStore>,
    measured: bool,
    repairs: bool,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Builder {
    pub(super) fn new(config: NodeConfig) -> Self {
        Self {
            config,
            runtime: None,
            open_storage: Arc::new(on_disk),
            clock: Arc::new(SystemClock),
            transport: None,
            peers: None,
            timing: RaftTiming::default(),
            firewall: Arc::new(NoFirewall::new()),
            chains: None,
            bridges: None,
            mesh: None,
            names: None,
            ingress: None,
            acme: None,
            certs: Arc::new(MemoryCertStore::default()),
            measured: true,
            repairs: true,
        }
    }

    /// Runs containers with this engine.
    pub fn runtime(mut self, runtime: impl ContainerRuntime) -> Self {
        self.runtime = Some(Arc::new(runtime));
        self
    }
    /// Runs containers with this engine, which others may hold too.
    pub fn shared_runtime(mut self, runtime: Arc<dyn ContainerRuntime>) -> Self {
        self.runtime = Some(runtime);
        self
    }
    /// Keeps the log here instead of in the data directory. A node that leaves its cluster can join
    /// another one only after it was given an empty storage: see [`Self::open_storage`].
    pub fn storage(self, storage: impl RaftStorage) -> Self {
        self.shared_storage(Arc::new(storage))
    }
    /// Keeps the log here instead of in the data directory; others may hold it too.
    pub fn shared_storage(self, storage: Arc<dyn RaftStorage>) -> Self {
        self.open_storage(move |_| Ok(Arc::clone(&storage)))
    }
    /// Keeps the log in what `open` opens, given the directory where it is kept otherwise. Called when
    /// the node starts, and again once it has left its cluster: that directory is gone then, and what
    /// is opened must be empty.
    pub fn open_storage(
        mut self,
        open: impl Fn(&Path) -> Result<Arc<dyn RaftStorage>, StorageError> + Send + Sync + 'static,
    ) -> Self {
        self.open_storage = Arc::new(open);
        self
    }
    /// Takes the time from here.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
    /// Reaches other members this way instead of over mutual TLS.
    pub fn transport(mut self, transport: Arc<dyn PeerTransport>) -> Self {
        self.transport = Some(transport);
        self
    }
    /// Passes streams of operators on to other members this way instead of over mutual TLS.
    pub fn peers(mut self, peers: Arc<dyn Peers>) -> Self {
        self.peers = Some(peers);
        self
    }
    /// Notices lost members and compacts the log as quickly as this.
    pub fn timing(mut self, timing: RaftTiming) -> Self {
        self.timing = timing;
        self
    }
    /// Keeps deployments apart with this firewall; without one, they are not kept apart.
    pub fn firewall(mut self, firewall: impl Firewall + 'static) -> Self {
        self.firewall = Arc::new(firewall);
        self
    }
    /// Keeps deployments apart with this firewall, which others may hold too.
    pub fn shared_firewall(mut self, firewall: Arc<dyn Firewall>) -> Self {
        self.firewall = firewall;
        self
    }
    /// Sees to it that the container engine drops nothing that the firewall lets pass.
    pub fn engine_chains(mut self, chains: EngineChains) -> Self {
        self.chains = Some(chains);
        self
    }
    /// Keeps the bridges that the container engine makes as they must be, and repairs what others damage.
    pub fn bridges(mut self, bridges: Bridges) -> Self {
        self.bridges = Some(bridges);
        self
    }
    /// Reaches containers on other nodes through this mesh; without one, they are not reached.
    pub fn mesh(mut self, mesh: Mesh) -> Self {
        self.mesh = Some(mesh);
        self
    }
    /// Answers the names that containers ask for, and asks forwarders for all that is none of the
    /// cluster's. Without it the engine answers, and knows its own containers only.
    pub fn names(mut self, naming: impl Into<Naming>) -> Self {
        self.names = Some(naming.into());
        self
    }
    /// Serves routes and published ports to visitors. Without it, only containers reach containers.
    pub fn ingress(mut self, options: IngressOptions) -> Self {
        self.ingress = Some(options);
        self
    }
    /// Leaves what others change in the kernel as it is until the doctor is asked to repair it, so that it
    /// can be looked at.
    pub fn unrepaired(mut self) -> Self {
        self.repairs = false;
        self
    }
    /// Tells the leader nothing of the machine's load: for nodes that share one, as simulated hosts do.
    pub fn unmeasured(mut self) -> Self {
        self.measured = false;
        self
    }
    /// Obtains certificates for the domains of routes while this node leads.
    pub fn acme(mut self, options: AcmeOptions) -> Self {
        self.acme = Some(options);
        self
    }
    /// Keeps what was obtained of a CA here as well: a cluster that has lost its state takes it from there
    /// instead of ordering it anew.
    pub fn certs(mut self, certs: impl CertStore + 'static) -> Self {
        self.certs = Arc::new(certs);
        self
    }

    /// Starts the node: what can be in use is taken first, then the disk is looked at, then the
    /// node takes its part in its cluster, if it has one, then the local listeners open.
    ///
    /// # Errors
    /// [`NodeError`]; then nothing is left running.
    pub async fn start(self) -> Result<Node, NodeError> {
        let Assembly { mut keeper, requests, member, socket, observer, looking } =
            self.assemble().await?;
        let metrics_addr = looking.as_ref().map(|listener| listener.address);
        if let Some(listener) = looking {
            let until = keeper.stop.child_token();
            keeper.listeners.spawn(metrics::serve(listener, Arc::clone(&observer), until));
        }
        if let Err(error) = keeper.resume(member).await {
            keeper.wind_down().await;
            return Err(error);
        }
        let (dial, incoming) = mpsc::channel(16);
        keeper.serve(keeper.server.clone(), rpc::duplex(incoming), &keeper.stop);
        if let Some((file, listener)) = socket {
            keeper.socket = Some(file);
            keeper.serve(keeper.server.clone(), rpc::local(listener), &keeper.stop);
        }
        let (name, api_addr) = (keeper.name.clone(), keeper.addresses.0);
        let client = jaco_client::Client::from_channel(rpc::client(dial));
        let stop = keeper.stop.clone();
        let membership = keeper.membership.subscribe();
        let readiness = keeper.seams.readiness.subscribe();
        let keeper = tokio::spawn(keeper.run(requests));
        tracing::info!(node = %name, "node started");
        let guard = stop.clone().drop_guard();
        Ok(Node {
            name,
            api_addr,
            metrics_addr,
            client,
            keeper,
            stop,
            membership,
            readiness,
            observer,
            _stop_when_dropped: guard,
        })
    }

    /// Everything that the node is made of, with nothing running yet.
    pub(super) async fn assemble(self) -> Result<Assembly, NodeError> {
        let Self {
            config,
            runtime,
            open_storage,
            clock,
            transport,
            peers,
            timing,
            firewall,
            chains,
            bridges,
            mesh,
            names,
            ingress,
            acme,
            certs,
            measured,
            repairs,
        } = self;
        let runtime = runtime.ok_or(NodeError::NoRuntime)?;
        let needs_ports = transport.as_ref().is_none_or(|t| t.needs_ports());
        let ports = if needs_ports { Some(Reserved::both(&config).await?) } else { None };
        let socket = match &config.unix_socket {
            Some(path) => Some(UnixSocket::bind(path, config.socket_group.as_deref()).await?),
            None => None,
        };
        let looking = match config.metrics_addr {
            Some(address) => Some(Listener::bind(address).await?),
            None => None,
        };
        let directory = DataDirectory::open(&config.data_dir)?;
        let member = directory.member()?;
        let name = node_name(&config, member.as_ref())?;
        certs.domains().await.map_err(NodeError::Certificates)?;
        let storage = open_storage(&directory.raft()).map_err(NodeError::Storage)?;
        let bound = match &ports {
            Some((api, raft)) => (api.address(), raft.address()),
            None => (config.listen_addr, config.cluster_addr),
        };
        let addresses = (config.advertised(bound.0), config.advertised(bound.1));
        let stop = CancellationToken::new();
        let (membership, watch) = watch::channel(None);
        let (bell, requests) = mpsc::channel(1);
        let tls = GrpcTransport::new();
        let (plane, published) = watch::channel(None);
        let doctor = NodeDoctor {
            runtime: Arc::clone(&runtime),
            firewall: Arc::clone(&firewall),
            mesh: mesh.as_ref().map(|mesh| Arc::clone(&mesh.device)),
            plane: published,
        };
        let (mesh_end, kept) = watch::channel(None);
        let counters = Arc::<Counters>::default();
        let readiness = watch::Sender::new(Readiness::default());
        let limits = ingress.as_ref().map(|options| options.limits.clone()).unwrap_or_default();
        let served = Served::new(limits);
        let observer = Observer {
            readiness: readiness.subscribe(),
            node: name.clone(),
            version: VERSION,
            membership: watch.clone(),
            mesh: kept.clone(),
            counters: Arc::clone(&counters),
            served: served.clone(),
        };
        let own_mesh = NodeMesh { node: name.clone(), meshed: mesh.is_some(), end: kept };
        let api = Arc::new(Api {
            node: name.clone(),
            version: VERSION,
            membership: watch,
            founder: Arc::new(Doorbell(bell)),
            logs: Arc::new(EngineOutput(Arc::clone(&runtime))),
            containers: Arc::new(EngineContainers(Arc::clone(&runtime))),
            doctor: Arc::new(doctor),
            mesh: Arc::new(own_mesh),
            serving: Arc::new(served.clone()),
            peers: peers.unwrap_or_else(|| Arc::new(tls.clone())),
            clock: Arc::clone(&clock),
            stopping: stop.child_token(),
            streams: TaskTracker::new(),
            attempts: Mutex::<Attempts>::default(),
        });
        let keeper = Keeper {
            name,
            version: VERSION,
            directory,
            seams: Seams {
                runtime,
                clock,
                transport,
                tls,
                timing,
                firewall,
                chains,
                bridges,
                mesh,
                names,
                ingress,
                served,
                acme,
                certs,
                measured,
                repairs,
                plane,
                readiness,
                mesh_end,
                counters,
            },
            storage,
            addresses,
            ports,
            ports_open: stop.child_token(),
            config,
            open_storage,
            server: Server::new(Arc::clone(&api)).map_err(NodeError::Services)?,
            api,
            membership,
            consensus: None,
            part: None,
            listeners: TaskTracker::new(),
            socket: None,
            stop,
        };
        let observer = Arc::new(observer);
        Ok(Assembly { keeper, requests, member, socket, observer, looking })
    }
}

/// A node that is put together and not yet running.
pub(super) struct Assembly {
    pub(super) keeper: Keeper,
    requests: mpsc::Receiver<Request>,
    member: Option<MemberFile>,
    socket: Option<(UnixSocket, UnixListener)>,
    observer: Arc<Observer>,
    /// Where the node is looked at over HTTP.
    looking: Option<Listener>,
}

/// Opens the storage of the log.
pub(crate) type OpenStorage =
    Arc<dyn Fn(&Path) -> Result<Arc<dyn RaftStorage>, StorageError> + Send + Sync>;

fn on_disk(directory: &Path) -> Result<Arc<dyn RaftStorage>, StorageError> {
    Ok(Arc::new(DiskStorage::open(directory)?))
}

/// JACO version of this build.
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn node_name(config: &NodeConfig, member: Option<&MemberFile>) -> Result<NodeName, NodeError> {
    match (&config.name, member) {
        (Some(configured), Some(member)) if *configured != member.name => {
            Err(NodeError::Renamed { member: member.name.clone(), configured: configured.clone() })
        }
        (_, Some(member)) => Ok(member.name.clone()),
        (Some(configured), None) => Ok(configured.clone()),
        (None, None) => host_name().map_err(NodeError::HostName),
    }
}

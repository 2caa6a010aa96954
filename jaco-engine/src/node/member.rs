//! The part a node takes in its cluster: its TLS ports, its agents and, while it leads, the
//! leader's tasks.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jaco_api::{
    model::{Assignment, ClusterId, NodeName},
    pb,
};
use jaco_runtime::{
    ContainerRuntime,
    reconcile::{AgentOptions, RuntimeAgent},
};
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    NodeError,
    agents::{self, Draining, Standing},
    certificate::{Renewal, Shown},
    keeper::Keeper,
    network::{self, Network},
    readiness::Readiness,
    seams::Seams,
};
use crate::{
    admission::Peer,
    control::{Control, ControlOptions, Issuer, Proposer, Ways},
    pki::{self, ClientAuth, NodeFiles, PeerIdentity},
    raft::{Member, Peer as GroupPeer, PeerServer},
    retry::Backoff,
    rpc::{self, ClusterKeys, Gate, Membership},
};

/// Reports of the runtime agent that wait.
const REPORTS: usize = 16;

/// The part a node takes in its cluster.
pub(crate) struct Part {
    control: Control,
    agent: RuntimeAgent,
    duties: TaskTracker,
    stop: CancellationToken,
    /// Cancelled when the node is told that it is no member any more.
    pub(crate) removed: CancellationToken,
    /// What the agent brings about; taken over by whoever ends the membership.
    pub(crate) assignments: Arc<watch::Sender<Option<Arc<Assignment>>>>,
}

impl Part {
    /// Opens the ports, then starts the agents, then what the leader does.
    pub(crate) fn take(
        keeper: &mut Keeper,
        membership: Arc<Membership>,
        shown: Shown,
    ) -> Result<Self, NodeError> {
        keeper.seams.tls.trust(&shown.ca_pem, shown.credentials.clone());
        open_ports(keeper, &membership, &shown)?;
        keeper
            .seams
            .readiness
            .send_replace(Readiness::Waiting("its agents are starting".to_owned()));
        let (stop, duties) = (keeper.stop.child_token(), TaskTracker::new());
        let (key, address) = (keeper.directory.mesh_key(), keeper.addresses.0.ip());
        let network = Network::prepare(&keeper.seams, key, address, &membership.name)?;
        let (caught_up, catching_up) = watch::channel(false);
        let (in_force, reaches) = watch::channel(agents::InForce::default());
        let (assignments, assigned) = watch::channel(None);
        let assignments = Arc::new(assignments);
        let lease = Arc::clone(&membership.lease);
        let leased = lease.subscribe();
        let (measured, load) = watch::channel(pb::NodeLoad::default());
        let removed = CancellationToken::new();
        let (reports, reported) = mpsc::channel(REPORTS);
        let runtime = Arc::clone(&keeper.seams.runtime);
        let mut options = AgentOptions::new(runtime, assigned, reports)
            .at(keeper.seams.clock.now())
            .keeping(keeper.directory.agent());
        options.underlay = network.underlay(&keeper.seams);
        let agent = RuntimeAgent::start(options);
        let standing = Standing {
            api_addr: keeper.addresses.0,
            raft_addr: keeper.addresses.1,
            version: keeper.version,
            mesh: network.told(),
            engine: agent.engine(),
            isolation: network.isolation(),
            proof: network.proof(),
            caught_up: catching_up.clone(),
            readiness: keeper.seams.readiness.clone(),
            holds: agent.holds(),
        };
        let renewal = Renewal {
            membership: Arc::clone(&membership),
            files: NodeFiles::at(keeper.directory.node()),
            credentials: shown.credentials,
            clock: Arc::clone(&keeper.seams.clock),
        };
        let m = || Arc::clone(&membership);
        let duty = Duty { stop: &stop, tasks: &duties };
        network.keep(&keeper.seams, &membership, agent.engine(), catching_up.clone(), &duty);
        duty.spawn(agents::catch_up(m(), caught_up));
        duty.spawn(agents::keep_keys(m()));
        if keeper.seams.measured {
            let runtime = Arc::clone(&keeper.seams.runtime);
            duty.spawn(agents::keep_measured(m(), runtime, measured));
        }
        let tidied = agent.tidied();
        let served = keeper.seams.served.clone();
        let confirmed = move |load: pb::NodeLoad| {
            let in_force = *reaches.borrow();
            let networks = in_force.confirmed(tidied.borrow().as_ref().map(|a| a.index));
            pb::NodeLoad { networks, served: *served.index.borrow(), ..load }
        };
        duty.spawn(agents::keep_session(m(), lease, load, confirmed, removed.clone()));
        let sender = Arc::clone(&assignments);
        let serving = Arc::new(keeper.seams.served.clone());
        let draining = Draining { serving, peers: Arc::clone(&keeper.api.peers) };
        duty.spawn(agents::keep_assigned(m(), draining, catching_up, leased, sender, in_force));
        duty.spawn(agents::forward(m(), reported));
        duty.spawn(agents::keep_standing(m(), standing));
        duty.spawn(renewal.keep());
        attach(keeper, &membership);
        let control = lead(keeper, &membership);
        Ok(Self { control, agent, duties, stop, removed, assignments })
    }

    /// Stops in reverse. Containers run on.
    pub(crate) async fn stop(self) {
        self.control.shutdown().await;
        self.agent.shutdown().await;
        self.stop.cancel();
        self.duties.close();
        self.duties.wait().await;
    }

    /// Stops and removes every container and network of the cluster on this node, then stops.
    /// Returns after `patience` whatever is left.
    pub(crate) async fn clear(
        self,
        seams: &Seams,
        cluster: ClusterId,
        node: NodeName,
        patience: Duration,
    ) {
        // Nobody assigns or leads any more.
        self.control.shutdown().await;
        self.stop.cancel();
        self.duties.close();
        self.duties.wait().await;
        self.assignments.send_replace(Some(Arc::new(nothing(cluster, node))));
        let mut holds = self.agent.holds();
        let empty = holds.wait_for(|holds| holds.as_ref().is_some_and(BTreeSet::is_empty));
        if tokio::time::timeout(patience, empty).await.is_err() {
            tracing::error!("containers of the cluster are left on this node");
        }
        let gone = networks_gone(&*seams.runtime, cluster);
        if tokio::time::timeout(patience, gone).await.is_err() {
            tracing::error!("networks of the cluster are left on this node");
        }
        network::remove(seams).await;
        self.agent.shutdown().await;
    }
}

/// The agent removes networks that nothing uses; this waits until it has.
async fn networks_gone(runtime: &dyn ContainerRuntime, cluster: ClusterId) {
    let labels = jaco_runtime::spec::cluster_labels(cluster);
    let mut pauses = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
    while !runtime.networks(&labels).await.is_ok_and(|networks| networks.is_empty()) {
        tokio::time::sleep(pauses.pause()).await;
    }
}

/// An assignment of nothing: what there is goes.
fn nothing(cluster: ClusterId, node: NodeName) -> Assignment {
    Assignment {
        cluster,
        node,
        index: u64::MAX,
        caught_up: true,
        replicas: Default::default(),
        networks: Default::default(),
        remove_volumes: Default::default(),
    }
}

/// Transports that need no port learn that this node answers now.
fn attach(keeper: &Keeper, membership: &Arc<Membership>) {
    let (api_addr, raft_addr) = keeper.addresses;
    let member = Member { name: membership.name.clone(), raft_addr, api_addr };
    let me = GroupPeer { id: membership.id, member };
    let clock = Arc::clone(&keeper.seams.clock);
    let gate = Arc::new(Gate { membership: Arc::clone(membership), clock });
    keeper.seams.transport().attached(&me, membership.raft.service(), gate);
}

/// Spawns duties that end with the part.
pub(super) struct Duty<'a> {
    stop: &'a CancellationToken,
    tasks: &'a TaskTracker,
}

impl Duty<'_> {
    pub(super) fn spawn(&self, duty: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(duty).await;
        });
    }
}

fn lead(keeper: &Keeper, membership: &Arc<Membership>) -> Control {
    let sessions = keeper.consensus.as_ref().map(|c| c.sessions.clone()).unwrap_or_default();
    let options = ControlOptions {
        node: membership.name.clone(),
        id: membership.id,
        group: Arc::new(membership.raft.clone()),
        sessions,
        keys: Arc::new(ClusterKeys(Arc::clone(membership))),
        issuer: issuer(keeper, membership),
        board: membership.board.clone(),
        state: membership.state.clone(),
        propose: Arc::new(Proposer::new(membership.submitter.clone(), membership.name.clone())),
        clock: Arc::clone(&keeper.seams.clock),
    };
    Control::spawn(options, membership.raft.status(), |status| {
        status.is_leader.then_some(status.term)
    })
}

/// What obtains certificates while this node leads; absent where it is not to serve visitors.
fn issuer(keeper: &Keeper, membership: &Membership) -> Option<Arc<Issuer>> {
    let (served, options) = (keeper.seams.ingress.as_ref()?, keeper.seams.acme.clone()?);
    Some(Arc::new(Issuer {
        options,
        ways: Ways { http: served.http.is_some(), https: served.https.is_some() },
        keyring: membership.keyring.clone(),
        cache: Arc::clone(&keeper.seams.certs),
    }))
}

/// Whom the certificate of a connection names.
fn certificate_of(connection: &tonic::Extensions) -> Option<PeerIdentity> {
    match connection.get::<Peer>()? {
        Peer::Remote { certificate, .. } => certificate.clone(),
        Peer::InProcess | Peer::Local { .. } => None,
    }
}

/// The ports open for the first time when there is a certificate to show.
fn open_ports(
    keeper: &mut Keeper,
    membership: &Membership,
    shown: &Shown,
) -> Result<(), NodeError> {
    let Some((api, raft)) = keeper.ports.take() else { return Ok(()) };
    let config = |clients| pki::server_config(&shown.ca_pem, &shown.credentials, clients);
    let (api_config, raft_config) = (config(ClientAuth::Optional)?, config(ClientAuth::Required)?);
    let (api, raft) = (api.listen()?, raft.listen()?);
    let peers = PeerServer::new(&membership.raft, membership.cluster, Arc::new(certificate_of));
    let with_internal = keeper.server.clone().with_internal(&peers);
    let raft_only = keeper.server.raft_only(&peers);
    let stop = &keeper.ports_open;
    keeper.serve(with_internal, rpc::remote(pki::incoming(api, api_config)), stop);
    keeper.serve(raft_only, rpc::remote(pki::incoming(raft, raft_config)), stop);
    Ok(())
}

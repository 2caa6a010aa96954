//! The part a node takes in its cluster: its TLS ports, its agents and, while it leads, the
//! leader's tasks.

use std::sync::Arc;

use jaco_runtime::reconcile::{AgentOptions, RuntimeAgent};
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    NodeError,
    agents::{self, Isolation, Standing},
    certificate::{Renewal, Shown},
    keeper::Keeper,
};
use crate::{
    admission::Peer,
    control::{Control, ControlOptions, Proposer},
    pki::{self, ClientAuth, NodeFiles, PeerIdentity},
    raft::PeerServer,
    rpc::{self, Membership},
};

/// Reports of the runtime agent that wait.
const REPORTS: usize = 16;

/// The part a node takes in its cluster.
pub(crate) struct Part {
    control: Control,
    agent: RuntimeAgent,
    duties: TaskTracker,
    stop: CancellationToken,
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
        let (stop, duties) = (keeper.stop.child_token(), TaskTracker::new());
        let (isolation, isolated) = watch::channel(Isolation::default());
        let (caught_up, catching_up) = watch::channel(false);
        let (assignments, assigned) = watch::channel(None);
        let (reports, reported) = mpsc::channel(REPORTS);
        let runtime = Arc::clone(&keeper.seams.runtime);
        let agent = RuntimeAgent::start(AgentOptions::new(runtime, assigned, reports));
        let standing = Standing {
            api_addr: keeper.addresses.0,
            raft_addr: keeper.addresses.1,
            version: keeper.version,
            engine: agent.engine(),
            isolation: isolated,
        };
        let renewal = Renewal {
            membership: Arc::clone(&membership),
            files: NodeFiles::at(keeper.directory.node()),
            credentials: shown.credentials,
            address: keeper.addresses.0.ip(),
            clock: Arc::clone(&keeper.seams.clock),
        };
        let m = || Arc::clone(&membership);
        let duty = Duty { stop: &stop, tasks: &duties };
        duty.spawn(agents::isolate(Arc::clone(&keeper.seams.firewall), isolation));
        duty.spawn(agents::catch_up(m(), caught_up));
        duty.spawn(agents::keep_assigned(m(), catching_up.clone(), assignments));
        duty.spawn(agents::forward(m(), reported));
        duty.spawn(agents::keep_standing(m(), standing));
        duty.spawn(renewal.keep());
        if let Some(mesh) = &keeper.seams.mesh {
            duty.spawn(agents::keep_meshed(Arc::clone(mesh), m(), catching_up));
        }
        let control = lead(keeper, &membership);
        Ok(Self { control, agent, duties, stop })
    }

    /// Stops in reverse. Containers run on.
    pub(crate) async fn stop(self) {
        self.control.shutdown().await;
        self.agent.shutdown().await;
        self.stop.cancel();
        self.duties.close();
        self.duties.wait().await;
    }
}

/// Spawns duties that end with the part.
struct Duty<'a> {
    stop: &'a CancellationToken,
    tasks: &'a TaskTracker,
}

impl Duty<'_> {
    fn spawn(&self, duty: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(duty).await;
        });
    }
}

fn lead(keeper: &Keeper, membership: &Membership) -> Control {
    let options = ControlOptions {
        node: membership.name.clone(),
        state: membership.state.clone(),
        propose: Arc::new(Proposer::new(membership.submitter.clone(), membership.name.clone())),
        clock: Arc::clone(&keeper.seams.clock),
    };
    Control::spawn(options, membership.raft.status(), |status| {
        status.is_leader.then_some(status.term)
    })
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
    keeper.serve(with_internal, rpc::remote(pki::incoming(api, api_config)));
    keeper.serve(raft_only, rpc::remote(pki::incoming(raft, raft_config)));
    Ok(())
}

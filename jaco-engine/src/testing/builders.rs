//! A state to test with: an initialised cluster that commands are applied to, one after the other.
//!
//! Deterministic: time moves only when it is told to, and equal calls give equal states.

use std::{collections::BTreeMap, net::SocketAddr};

use jaco_api::model::{
    Actor, Availability, CertificateSource, ClusterId, ContainerSpec, DeploymentName, Digest,
    Identity, Intent, NetworkName, NetworkSpec, Node, NodeCondition, NodeFacts, NodeId, NodeName,
    NodeStatus, Observation, OperatorToken, Replica, ReplicaId, ReplicaReport, ReplicaState,
    Report, Role, RouteOptions, RouteSpec, Sealed, ServiceName, ServiceSchedule, Slot, Span,
    StoredCertificate, Timestamp, TlsMode, UpdateConfig, VolumeName, VolumeSpec,
};

use crate::{
    command::{Action, ApplyDeployment, Command, Envelope, InitCluster, Outcome, Reconcile},
    state::{State, Transaction},
};

/// What [`Stack`] puts into a container's environment: no log entry or snapshot may hold it.
pub const SENTINEL: &str = "hunter2-in-the-clear";

/// A name, which must be valid.
///
/// # Panics
/// When it is not.
pub fn name<N: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> N {
    text.parse().expect("a valid name")
}

/// The n-th replica of a service.
#[must_use]
pub fn replica_id(deployment: &str, service: &str, index: u32) -> ReplicaId {
    ReplicaId { deployment: name(deployment), service: name(service), slot: Slot::Index(index) }
}

/// A ready node with this number, called `node-<number>`.
#[must_use]
pub fn node(number: u64) -> Node {
    let port = u16::try_from(7000 + number * 2 % 1000).expect("a port");
    let address = |port| SocketAddr::from(([10, 0, 0, 1], port));
    Node {
        id: NodeId(number),
        name: name(&format!("node-{number}")),
        status: NodeStatus::Ready,
        condition: NodeCondition::Ready,
        condition_since: Timestamp(0),
        reason: None,
        availability: Availability::Active,
        forced: false,
        labels: BTreeMap::new(),
        facts: NodeFacts {
            api_addr: address(port),
            raft_addr: address(port + 1),
            version: "0.1.0".into(),
            engine: Some("docker 27.0".into()),
            platform: "linux/amd64".into(),
            cpu_millis: 4000,
            memory_bytes: 8 << 30,
            mesh: None,
        },
        joined_at: Timestamp(0),
        mesh_address: None,
    }
}

/// A token of this holder; its hash follows from `secret`.
#[must_use]
pub fn token(holder: &str, secret: &str) -> OperatorToken {
    OperatorToken {
        identity: name(holder),
        hash: Some(Digest::of(secret.as_bytes())),
        role: Role::Admin,
        deployments: Vec::new(),
        allow_privileged: false,
        issued_at: Timestamp(0),
        expires_at: None,
        revoked_at: None,
    }
}

/// Not encryption: what a sealed value looks like from outside.
#[must_use]
pub fn sealed(plain: &[u8]) -> Sealed {
    Sealed { key_id: 1, bytes: Digest::of(plain).0.as_slice().into() }
}

/// A certificate that every field of is set; its chain and key are not read by the state.
#[must_use]
pub fn certificate(domain: &str, source: CertificateSource) -> StoredCertificate {
    StoredCertificate {
        domain: domain.to_owned(),
        source,
        chain: "-----BEGIN CERTIFICATE-----".into(),
        key: sealed(b"key"),
        names: vec![domain.to_owned()],
        issuer: "CN=Example CA".to_owned(),
        not_before: Timestamp(0),
        not_after: Timestamp(90 * 24 * 3_600_000),
        fingerprint: Digest::of(domain.as_bytes()),
        stored_at: Timestamp(0),
    }
}

/// A service's schedule with the defaults of a stateless service, on the network `default`.
#[must_use]
pub fn schedule(image: &str, replicas: u32) -> ServiceSchedule {
    ServiceSchedule {
        image: image.to_owned(),
        replicas,
        placement: None,
        constraints: Vec::new(),
        max_replicas_per_node: 0,
        mode: Default::default(),
        restart: Default::default(),
        update: UpdateConfig::default_for(false),
        rollback: None,
        depends_on: BTreeMap::new(),
        volumes: Vec::new(),
        stateful: false,
        files: Default::default(),
        ports: Vec::new(),
        platform: None,
        singleton: false,
        reschedule_after: None,
        spread_over: Vec::new(),
        service_labels: BTreeMap::new(),
        reserved_cpu_millis: 0,
        reserved_memory_bytes: 0,
        cron: None,
        beside: None,
        networks: [NetworkName::default_network()].into(),
        networks_beside: Default::default(),
        endpoint: Default::default(),
    }
}

/// The content of a deployment, to be applied.
#[derive(Debug, Clone)]
pub struct Stack {
    command: ApplyDeployment,
}

impl Stack {
    /// A deployment without services.
    #[must_use]
    pub fn new(deployment: &str) -> Self {
        Self {
            command: ApplyDeployment {
                deployment: name(deployment),
                services: BTreeMap::new(),
                networks: BTreeMap::from([(
                    NetworkName::default_network(),
                    NetworkSpec::default(),
                )]),
                volumes: BTreeMap::new(),
                routes: Vec::new(),
                acme_email: None,
                documents: BTreeMap::new(),
                privileged: BTreeMap::new(),
            },
        }
    }
    /// With a stateless service.
    #[must_use]
    pub fn service(self, service: &str, image: &str, replicas: u32) -> Self {
        self.scheduled(service, schedule(image, replicas))
    }
    /// With a service of this schedule; its container follows from the image.
    #[must_use]
    pub fn scheduled(mut self, service: &str, schedule: ServiceSchedule) -> Self {
        let environment = BTreeMap::from([("SECRET".to_owned(), Some(SENTINEL.to_owned()))]);
        let spec =
            ContainerSpec { image: schedule.image.clone(), environment, ..Default::default() };
        let digest = spec.digest();
        self.command.documents.insert(digest, sealed(&spec.to_canonical()));
        self.command.services.insert(name(service), (schedule, digest));
        self
    }
    /// With a service that keeps its data in a volume of its own name.
    #[must_use]
    pub fn stateful(mut self, service: &str, image: &str) -> Self {
        let (deployment, volume) = (self.command.deployment.clone(), name::<VolumeName>(service));
        let engine_name = VolumeSpec::engine_name(&deployment, &volume);
        let volumes = vec![engine_name.clone()];
        let spec = VolumeSpec { engine_name, ..VolumeSpec::default() };
        self.command.volumes.insert(volume, spec);
        let update = UpdateConfig { monitor: Span(0), ..UpdateConfig::default_for(true) };
        self.scheduled(
            service,
            ServiceSchedule { volumes, stateful: true, update, ..schedule(image, 1) },
        )
    }
    /// With a service that is given secrets and configs of the cluster.
    #[must_use]
    pub fn using(self, service: &str, image: &str, files: &[&str]) -> Self {
        let files = files.iter().map(|id| name(id)).collect();
        self.scheduled(service, ServiceSchedule { files, ..schedule(image, 1) })
    }
    /// With a route.
    #[must_use]
    pub fn route(mut self, domain: &str, path: &str, service: &str) -> Self {
        self.command.routes.push(RouteSpec {
            domain: domain.into(),
            path: path.into(),
            service: name(service),
            port: 80,
            tls: TlsMode::Auto,
            options: RouteOptions::default(),
        });
        self
    }
    /// With these options for the route that was added last.
    #[must_use]
    pub fn options(mut self, options: RouteOptions) -> Self {
        if let Some(route) = self.command.routes.last_mut() {
            route.options = options;
        }
        self
    }
    /// The command, to change what the other methods do not reach.
    #[must_use]
    pub fn command(self) -> ApplyDeployment {
        self.command
    }
}

impl From<Stack> for Command {
    fn from(stack: Stack) -> Self {
        Self::ApplyDeployment(Box::new(stack.command))
    }
}

/// An initialised cluster and the log that made it.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The state after the last command.
    pub state: State,
    /// Every entry since the cluster was made, with its index.
    pub log: Vec<(u64, Envelope)>,
    /// The time of the next command.
    pub now: Timestamp,
}

impl Default for Scenario {
    fn default() -> Self {
        Self::new()
    }
}

impl Scenario {
    /// A cluster of one ready node, `node-1`, with the token `admin`.
    #[must_use]
    pub fn new() -> Self {
        let mut scenario =
            Self { state: State::default(), log: Vec::new(), now: Timestamp(1_700_000_000_000) };
        let outcome = scenario.run(Command::InitCluster(Box::new(InitCluster {
            address_pools: None,
            cluster: name::<ClusterId>("0190b5f4-6d1c-7c3a-9a52-4a86d3b1f0e1"),
            ca_pem: "-----BEGIN CERTIFICATE-----".into(),
            ca_key: sealed(b"ca key"),
            node: node(1),
            token: token("admin", "first"),
        })));
        assert_eq!(outcome, Outcome::Done, "a cluster can be initialised");
        scenario
    }

    /// The same cluster with further ready nodes up to this number; its log starts there.
    #[must_use]
    pub fn with_nodes(mut self, count: u64) -> Self {
        let actor = Actor::system(None);
        let mut tx = Transaction::begin(&self.state, self.state.index(), self.now, &actor);
        for number in 2..=count {
            tx.put_node(node(number));
        }
        self.state = tx.commit();
        self.log.clear();
        self
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Span) {
        self.now = Timestamp(self.now.0 + time.0);
    }

    /// Applies a command as `tester`.
    pub fn run(&mut self, command: impl Into<Command>) -> Outcome {
        self.run_as(None, command)
    }

    /// Applies a command with a request id.
    pub fn run_as(&mut self, request: Option<&str>, command: impl Into<Command>) -> Outcome {
        let envelope = Envelope {
            at: self.now,
            actor: Actor {
                identity: name::<Identity>("tester"),
                uid: Some(1000),
                node: Some(name::<NodeName>("node-1")),
            },
            request_id: request.map(str::to_owned),
            command: command.into(),
        };
        let index = self.state.index() + 1;
        let (state, outcome) = self.state.apply(index, &envelope);
        self.state = state;
        self.log.push((index, envelope));
        outcome
    }

    /// Applies a scheduler's batch made from the present version.
    pub fn reconcile(&mut self, deployment: &str, actions: Vec<Action>) -> Outcome {
        let deployment: DeploymentName = name(deployment);
        let version = self.state.deployment(&deployment).map_or(0, |d| d.version);
        self.run(Command::Reconcile(Reconcile { deployment, version, actions }))
    }

    /// Creates replicas of a service on `node-1` and returns them.
    pub fn create(&mut self, deployment: &str, service: &str, count: usize) -> Vec<ReplicaId> {
        let known: Vec<_> = self.replicas(deployment).into_iter().map(|r| r.id).collect();
        let create = Action::Create { service: name(service), node: NodeId(1), slot: None };
        let outcome = self.reconcile(deployment, vec![create; count]);
        assert_eq!(outcome, Outcome::Done, "replicas can be created");
        let all = self.replicas(deployment).into_iter().map(|r| r.id);
        all.filter(|id| !known.contains(id)).collect()
    }

    /// Reports a state of the present generation of a replica from the node that owns it.
    pub fn observe(&mut self, id: &ReplicaId, state: ReplicaState) -> Outcome {
        let generation = self.replica(id).generation;
        self.report(id, Some(Observation { generation, state, ..Observation::default() }))
    }

    /// Reports what is seen of one replica; nothing means that its container is gone.
    pub fn report(&mut self, id: &ReplicaId, observation: Option<Observation>) -> Outcome {
        let node = self.replica(id).node;
        let part = ReplicaReport { id: id.clone(), observation, prepared: None, log_tail: None };
        self.run(Command::Report(Report {
            node,
            replicas: vec![part],
            removed_volumes: Vec::new(),
        }))
    }

    /// A replica, which must exist.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn replica(&self, id: &ReplicaId) -> Replica {
        Replica::clone(self.state.replica(id).expect("the replica exists"))
    }

    /// The replicas of a deployment.
    #[must_use]
    pub fn replicas(&self, deployment: &str) -> Vec<Replica> {
        self.state.replicas_of(&name(deployment)).map(|r| Replica::clone(r)).collect()
    }

    /// Applies a stack, creates its replicas on `node-1` and reports them running.
    pub fn deploy(&mut self, stack: Stack) -> Vec<ReplicaId> {
        let deployment = stack.command.deployment.clone();
        let services: Vec<(ServiceName, u32)> =
            stack.command.services.iter().map(|(n, (s, _))| (n.clone(), s.replicas)).collect();
        let outcome = self.run(stack);
        assert!(matches!(outcome, Outcome::Revision { .. }), "the stack is accepted: {outcome:?}");
        for (service, count) in services {
            self.create(deployment.as_ref(), service.as_ref(), count as usize);
        }
        let ids: Vec<_> = self.replicas(deployment.as_ref()).into_iter().map(|r| r.id).collect();
        for id in &ids {
            if self.replica(id).intent == Intent::Run {
                self.observe(id, ReplicaState::Running);
            }
        }
        ids
    }
}

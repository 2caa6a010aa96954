//! A cluster without nodes: state, time and agents that do what a test says. For tests of deciding
//! code and for its benches.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use jaco_api::model::{
    Actor, Availability, ClusterId, DependencyCondition, DeploymentName, Digest, Health, Identity,
    Intent, Node, NodeCondition, NodeFacts, NodeId, NodeName, NodeStatus, Observation,
    OperatorToken, PlannedService, Reason, Replica, ReplicaId, ReplicaReport, ReplicaState, Report,
    RestartPolicy, Role, RouteSpec, Sealed, ServiceName, ServiceSchedule, Span, Timestamp,
    UpdateConfig,
};

use crate::{
    assignment,
    command::{
        Action, ApplyDeployment, Command, Envelope, InitCluster, Outcome, Reconcile, RemoveNode,
        RolloutEnd, SetAvailability, UpdateNode,
    },
    scheduler::{Plan, Readings, plan_with},
    state::State,
};

/// A name that is known to be one.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn name<N: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> N {
    text.parse().expect("a valid name")
}

/// A stateless service of so many replicas; change the fields that matter to the test.
#[must_use]
pub fn service(replicas: u32) -> ServiceSchedule {
    ServiceSchedule {
        image: "app:1".to_owned(),
        replicas,
        placement: None,
        constraints: Vec::new(),
        max_replicas_per_node: 0,
        mode: jaco_api::model::Mode::Service,
        restart: RestartPolicy::default(),
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
        networks: Default::default(),
        networks_beside: Default::default(),
        endpoint: Default::default(),
    }
}

/// A service whose containers live beside those of another one.
#[must_use]
pub fn companion(lead: &str) -> ServiceSchedule {
    ServiceSchedule {
        beside: Some(name(lead)),
        depends_on: [(name(lead), DependencyCondition::Started)].into(),
        update: UpdateConfig::default_for(true),
        ..service(1)
    }
}

/// A service with one volume.
#[must_use]
pub fn stateful(replicas: u32, volume: &str) -> ServiceSchedule {
    ServiceSchedule {
        volumes: vec![volume.to_owned()],
        stateful: true,
        update: UpdateConfig::default_for(true),
        ..service(replicas)
    }
}

/// The state of a cluster, its time, and a transcript of what was planned.
#[derive(Debug, Clone)]
pub struct World {
    state: Arc<State>,
    now: Timestamp,
    readings: Readings,
    transcript: String,
}

impl World {
    /// A cluster with these nodes, all ready.
    ///
    /// # Panics
    /// When the state machine refuses it.
    #[must_use]
    pub fn new(nodes: &[&str]) -> Self {
        let now = Timestamp(1_000_000);
        let token = OperatorToken {
            identity: name("root"),
            hash: Some(Digest::of(b"token")),
            role: Role::Admin,
            deployments: Vec::new(),
            allow_privileged: true,
            issued_at: now,
            expires_at: None,
            revoked_at: None,
        };
        let first = nodes.first().expect("a cluster has a node");
        let init = InitCluster {
            address_pools: None,
            cluster: ClusterId(uuid::Uuid::from_u128(7)),
            ca_pem: "pem".to_owned(),
            ca_key: sealed(),
            node: node(1, first),
            token,
        };
        let (state, readings, transcript) = Default::default();
        let mut world = Self { state, now, readings, transcript };
        let outcome = world.command(Command::InitCluster(Box::new(init)));
        assert!(!matches!(outcome, Outcome::Rejected(_)), "{outcome:?}");
        world.set_node(first, |_| {});
        for added in &nodes[1..] {
            world.add_node(added);
        }
        world
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }
    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }
    /// What the leader measures itself: nothing, unless a test says so.
    pub fn readings(&mut self) -> &mut Readings {
        &mut self.readings
    }
    /// What was planned and said so far.
    #[must_use]
    pub fn transcript(&self) -> &str {
        &self.transcript
    }
    /// A line of the transcript.
    pub fn say(&mut self, line: &str) {
        let _ = writeln!(self.transcript, "{line}");
    }
    /// Lets time pass.
    pub fn pass_time(&mut self, span: Span) {
        self.now = self.now.after(span.to_std());
        self.say(&format!("... {span} pass"));
    }

    /// Adds a ready node.
    pub fn add_node(&mut self, added: &str) {
        let id = self.state.nodes().map(|n| n.id.0).max().unwrap_or(0) + 1;
        self.edit_nodes(|state| {
            let row = node(id, added);
            state.node_names.insert(row.name.clone(), row.id);
            state.nodes.put(row.id, Arc::new(row));
        });
    }

    /// Changes the row of a node that is ready otherwise, as no command would: nothing follows from
    /// it but its status.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn set_node(&mut self, named: &str, change: impl FnOnce(&mut Node)) {
        let mut row = Node::clone(self.state.node_named(&name(named)).expect("a known node"));
        row.condition = NodeCondition::Ready;
        (row.availability, row.forced) = (Availability::Active, false);
        change(&mut row);
        self.edit_nodes(|state| {
            state.nodes.put(row.id, Arc::new(row.settled()));
        });
    }

    /// Rows that no command writes yet.
    fn edit_nodes(&mut self, change: impl FnOnce(&mut State)) {
        let mut state = State::clone(&self.state);
        state.index += 1;
        change(&mut state);
        self.state = Arc::new(state);
    }

    /// Applies a command at the present time.
    pub fn command(&mut self, command: Command) -> Outcome {
        let actor = Actor { identity: Identity::local(), uid: None, node: None };
        let envelope = Envelope { at: self.now, actor, request_id: None, command };
        let (state, outcome) = self.state.apply(self.state.index() + 1, &envelope);
        self.state = Arc::new(state);
        outcome
    }

    /// Applies a deployment: services with their schedule and a text that stands for their content.
    ///
    /// # Panics
    /// When it is refused.
    pub fn deploy(&mut self, deployment: &str, services: &[(&str, ServiceSchedule, &str)]) {
        self.deploy_with(deployment, services, Vec::new());
    }

    /// The same with routes.
    pub fn deploy_with(
        &mut self,
        deployment: &str,
        services: &[(&str, ServiceSchedule, &str)],
        routes: Vec<RouteSpec>,
    ) {
        let contents = services.iter().map(|(service, schedule, content)| {
            let schedule = ServiceSchedule { image: (*content).to_owned(), ..schedule.clone() };
            (name(service), (schedule, Digest::of(content.as_bytes())))
        });
        let apply = ApplyDeployment {
            deployment: name(deployment),
            services: contents.collect(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            routes,
            acme_email: None,
            documents: services.iter().map(|s| (Digest::of(s.2.as_bytes()), sealed())).collect(),
            privileged: BTreeMap::new(),
        };
        let outcome = self.command(Command::ApplyDeployment(Box::new(apply)));
        assert!(matches!(outcome, Outcome::Revision { .. }), "{outcome:?}");
    }

    /// Plans every deployment, without carrying it out.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let all = self.state.deployments().map(|d| d.name.clone()).collect();
        plan_with(&self.state, &all, self.now, &self.readings)
    }

    /// Plans and carries out, once; says whether there was anything to do.
    ///
    /// # Panics
    /// When the state machine refuses a batch.
    pub fn step(&mut self) -> bool {
        self.carry_out(&self.plan())
    }

    /// As [`Self::step`], for one deployment.
    pub fn step_of(&mut self, deployment: &str) -> bool {
        let one = [name(deployment)].into();
        self.carry_out(&plan_with(&self.state, &one, self.now, &self.readings))
    }

    fn carry_out(&mut self, plan: &Plan) -> bool {
        for batch in &plan.batches {
            let lines: Vec<_> = batch.actions.iter().map(|a| self.describe(batch, a)).collect();
            let outcome = self.command(Command::Reconcile(batch.clone()));
            assert_eq!(outcome, Outcome::Done, "{lines:?}\n{}", self.transcript);
            lines.iter().for_each(|line| self.say(&format!("  {line}")));
        }
        if let Some(at) = plan.wake_at() {
            let span = Span::from(at.since(self.now));
            self.say(&format!("  (again in {span})"));
        }
        !plan.batches.is_empty()
    }

    fn describe(&self, batch: &Reconcile, action: &Action) -> String {
        let deployment = &batch.deployment;
        let node =
            |id: NodeId| self.state.node(id).map_or_else(|| id.to_string(), |n| n.name.to_string());
        match action {
            Action::Create { service, node: on, slot: None } => {
                format!("create {deployment}.{service} on {}", node(*on))
            }
            Action::Create { service, slot: Some(slot), .. } => {
                format!("create {deployment}.{service}.{slot}")
            }
            Action::Address { service } => format!("address {deployment}.{service}"),
            Action::Accompany { service, lead } => format!("accompany {lead} by {service}"),
            Action::Prepare { replica } => format!("prepare {replica}"),
            Action::Advance { replica } => format!("advance {replica}"),
            Action::Remove { replica } => format!("remove {replica}"),
            Action::Move { replica, to, reason } => {
                format!("move {replica} to {}: {reason}", node(*to))
            }
            Action::Unplaced { service, reason: Some(reason) } => {
                format!("{deployment}.{service} cannot be placed: {reason}")
            }
            Action::Unplaced { service, reason: None } => {
                format!("{deployment}.{service} is placed")
            }
            Action::StartRun { service, tick, node: on } => {
                format!("run {deployment}.{service} of {tick} on {}", node(*on))
            }
            Action::CancelRun { service, tick, reason } => {
                format!("cancel {deployment}.{service} of {tick}: {reason}")
            }
            Action::DropRun { service, tick } => {
                format!("drop {deployment}.{service} of {tick}")
            }
            Action::CountFailure { reason, .. } => format!("failure: {reason}"),
            Action::EndRollout(RolloutEnd::Completed) => "rollout completed".to_owned(),
            Action::EndRollout(RolloutEnd::Paused { reason }) => format!("pause: {reason}"),
            Action::EndRollout(RolloutEnd::RolledBack { reason }) => format!("roll back: {reason}"),
            Action::EndRollout(RolloutEnd::Failed { reason }) => format!("give up: {reason}"),
        }
    }

    /// Reports of one replica.
    ///
    /// # Panics
    /// When there is no such replica.
    pub fn report(&mut self, id: &ReplicaId, part: ReplicaReport) {
        let node = self.state.replica(id).expect("a known replica").node;
        let report = Report { node, replicas: vec![part], removed_volumes: Vec::new() };
        let outcome = self.command(Command::Report(report));
        assert_eq!(outcome, Outcome::Done);
    }

    /// What the node of a replica sees of it; the generation is filled in.
    ///
    /// # Panics
    /// When there is no such replica.
    pub fn observe(&mut self, replica: &str, seen: Observation) {
        let id: ReplicaId = name(replica);
        let generation = self.state.replica(&id).expect("a known replica").generation;
        let observation = Some(Observation { generation, ..seen });
        self.report(
            &id,
            ReplicaReport { id: id.clone(), observation, prepared: None, log_tail: None },
        );
    }

    /// A replica in a state, with a reason.
    pub fn enter(&mut self, replica: &str, state: ReplicaState, reason: &str) {
        self.say(format!("{replica} {state} {reason}").trim_end());
        self.observe(replica, seen(state, reason));
    }

    /// The outcome of fetching the image of a replica's next generation.
    pub fn prepared(&mut self, replica: &str, result: Result<(), &str>) {
        self.say(&format!("{replica} prepared {result:?}"));
        let id: ReplicaId = name(replica);
        let result = result.map_err(|m| Reason { code: None, message: m.to_owned() });
        let row = self.state.replica(&id);
        let asked = row.and_then(|r| r.preparation.as_ref()).map(|p| p.container);
        let prepared = asked.map(|of| (of, result));
        let observation = row.map(|r| r.observed.clone());
        self.report(&id, ReplicaReport { id: id.clone(), observation, prepared, log_tail: None });
    }

    /// Every agent that is heard of does what it is to do at once: images are fetched, containers run
    /// unless they wait for a dependency, what is to go is gone. Replicas of a content in `broken`
    /// stay as they are.
    pub fn agents(&mut self, broken: &[&str]) {
        let broken: Vec<_> = broken.iter().map(|c| Digest::of(c.as_bytes())).collect();
        let rows: Vec<_> = self.state.replicas().cloned().collect();
        for row in rows {
            if let Some(part) = self.agent(&row, &broken) {
                self.report(&row.id, part);
            }
        }
    }

    fn agent(&self, row: &Replica, broken: &[Digest]) -> Option<ReplicaReport> {
        let part = |observation, prepared| {
            Some(ReplicaReport { id: row.id.clone(), observation, prepared, log_tail: None })
        };
        if self.state.node(row.node).is_none_or(|n| !n.condition.holds_replicas()) {
            return None;
        }
        if row.intent == Intent::Remove {
            return part(None, None);
        }
        if let Some(preparation) = row.preparation.as_ref().filter(|p| p.result.is_none())
            && !broken.contains(&preparation.container)
        {
            return part(Some(row.observed.clone()), Some((preparation.container, Ok(()))));
        }
        let waits = !assignment::waiting_on(&self.state, row).is_empty();
        if row.is_running() || waits || broken.contains(&row.container) {
            return None;
        }
        if row.observed.state == ReplicaState::Completed || !row.takes_room() {
            return None;
        }
        let generation = row.generation;
        part(Some(Observation { generation, ..seen(ReplicaState::Running, "") }), None)
    }

    /// Plans, carries out and lets the agents act until nothing is left to do.
    ///
    /// # Panics
    /// When there is no end to it.
    pub fn settle(&mut self, broken: &[&str]) {
        for _ in 0..200 {
            let before = self.state.index();
            self.step();
            self.agents(broken);
            if self.state.index() == before {
                return;
            }
        }
        panic!("no end to it:\n{}", self.transcript);
    }

    /// A line per replica: `shop.web.1 on a: running, generation 1, revision 1`.
    #[must_use]
    pub fn replicas(&self) -> Vec<String> {
        let line = |r: &Arc<Replica>| {
            let node = self.state.node(r.node).map(|n| n.name.to_string()).unwrap_or_default();
            let (state, generation, revision) = (r.observed.state, r.generation, r.revision);
            let going = if r.intent == Intent::Remove { ", going" } else { "" };
            let id = &r.id;
            format!("{id} on {node}: {state}, generation {generation}, revision {revision}{going}")
        };
        self.state.replicas().map(line).collect()
    }

    /// Adds the replicas to the transcript.
    pub fn show(&mut self) {
        for line in self.replicas() {
            self.say(&format!("= {line}"));
        }
    }

    /// The service of the revision in force.
    #[must_use]
    pub fn planned(&self, deployment: &str, service: &str) -> Option<&PlannedService> {
        let (deployment, service): (DeploymentName, ServiceName) =
            (name(deployment), name(service));
        self.state.service(&deployment, &service)
    }

    /// Changes a node's condition by command.
    pub fn node_condition(&mut self, named: &str, condition: NodeCondition) {
        let node = self.node_id(named);
        self.say(&format!("{named} is {condition:?}"));
        let update = UpdateNode { node, facts: None, condition: Some((condition, None)) };
        self.command(Command::UpdateNode(update));
    }

    /// Ends the membership of a node that is leaving.
    ///
    /// # Panics
    /// When it is to stay.
    pub fn remove_node(&mut self, named: &str) {
        let node = self.node_id(named);
        self.say(&format!("{named} is removed"));
        let outcome = self.command(Command::RemoveNode(RemoveNode { node }));
        assert_eq!(outcome, Outcome::Done);
    }

    /// Changes what operators want of a node.
    pub fn node_availability(&mut self, named: &str, availability: Availability, forced: bool) {
        let node = self.node_id(named);
        self.say(&format!("{named} is to be {availability:?}"));
        self.command(Command::SetAvailability(SetAvailability { node, availability, forced }));
    }

    /// The number of a node; of one that is not there, none that is given out.
    #[must_use]
    pub fn node_id(&self, named: &str) -> NodeId {
        self.state.node_named(&name(named)).map(|n| n.id).unwrap_or_default()
    }
}

/// An observation with this state and, unless it is empty, this reason.
#[must_use]
pub fn seen(state: ReplicaState, reason: &str) -> Observation {
    Observation {
        state,
        health: Health::None,
        reason: (!reason.is_empty()).then(|| Reason { code: None, message: reason.to_owned() }),
        ..Observation::default()
    }
}

fn sealed() -> Sealed {
    Sealed { key_id: 1, bytes: Arc::from(&b"sealed"[..]) }
}

fn node(id: u64, named: &str) -> Node {
    let address = ([127, 0, 0, 1], 7000).into();
    Node {
        id: NodeId(id),
        name: name::<NodeName>(named),
        status: NodeStatus::Ready,
        condition: NodeCondition::Ready,
        condition_since: Timestamp(0),
        reason: None,
        availability: Availability::Active,
        forced: false,
        labels: BTreeMap::new(),
        facts: NodeFacts {
            api_addr: address,
            raft_addr: address,
            version: "0.1.0".to_owned(),
            engine: Some("fake 1".to_owned()),
            platform: "linux/amd64".to_owned(),
            cpu_millis: 4_000,
            memory_bytes: 8 << 30,
            mesh: None,
        },
        joined_at: Timestamp(0),
        mesh_address: None,
    }
}

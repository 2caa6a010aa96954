//! What the engine in memory has, and what goes on in it by itself.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, Ipv4Addr},
    sync::MutexGuard,
    time::Duration,
};

use jaco_api::model::{Health, Healthcheck, Timestamp, overlap};
use tokio::{sync::broadcast, time::Instant};

use super::{
    super::program::{Action, OnStop, Program},
    Call, FakeRuntime, Op, Usage,
    tree::Tree,
};
use crate::container::{
    Container, ContainerRequest, ContainerStatus, EngineEvent, EventAction, Labels, LogLine,
    Network, NetworkRequest, RuntimeError, Volume,
};

pub(super) struct World {
    pub(super) down: bool,
    /// Milliseconds the host's clock is ahead.
    pub(super) ahead: i64,
    pub(super) serial: u64,
    pub(super) images: BTreeMap<String, Image>,
    pub(super) pulls: BTreeMap<String, VecDeque<Pull>>,
    pub(super) networks: BTreeMap<String, Network>,
    /// What each network was made from, by id.
    pub(super) requests: BTreeMap<String, NetworkRequest>,
    pub(super) volumes: BTreeMap<String, Volume>,
    pub(super) containers: BTreeMap<String, Fake>,
    /// Programs that can be run in any container, with their scripts.
    pub(super) programs: BTreeMap<String, String>,
    pub(super) delays: BTreeMap<Op, Duration>,
    pub(super) refusals: BTreeMap<Op, VecDeque<RuntimeError>>,
    pub(super) calls: Vec<Call>,
    pub(super) events: broadcast::Sender<EngineEvent>,
}

#[derive(Clone, Default)]
pub(super) struct Image {
    pub(super) present: bool,
    /// When it was last fetched.
    pub(super) fetched_at: Option<Timestamp>,
    pub(super) script: Option<String>,
    pub(super) health: Option<Healthcheck>,
}

pub(super) struct Pull {
    pub(super) takes: Duration,
    pub(super) result: Result<(), RuntimeError>,
}

pub(super) struct Fake {
    pub(super) request: ContainerRequest,
    pub(super) seen: Container,
    pub(super) program: Program,
    pub(super) health: Option<Healthcheck>,
    /// Counts starts; what belongs to an earlier one is over.
    pub(super) run: u64,
    pub(super) logs: Vec<LogLine>,
    pub(super) tree: Tree,
    pub(super) usage: Usage,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            down: false,
            ahead: 0,
            serial: 0,
            images: BTreeMap::new(),
            pulls: BTreeMap::new(),
            networks: BTreeMap::new(),
            requests: BTreeMap::new(),
            volumes: BTreeMap::new(),
            containers: BTreeMap::new(),
            programs: BTreeMap::new(),
            delays: BTreeMap::new(),
            refusals: BTreeMap::new(),
            calls: Vec::new(),
            events: broadcast::channel(4096).0,
        }
    }
    pub(super) fn reachable(&self) -> Result<(), RuntimeError> {
        if !self.down {
            return Ok(());
        }
        let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        Err(RuntimeError::Unreachable { endpoint: "memory".to_owned(), source: source.into() })
    }
    pub(super) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
    pub(super) fn find_mut(&mut self, id: &str) -> Option<&mut Fake> {
        self.containers.values_mut().find(|f| f.seen.id == id || f.seen.name == id)
    }
    pub(super) fn container(&mut self, id: &str) -> Result<&mut Fake, RuntimeError> {
        self.find_mut(id)
            .ok_or_else(|| RuntimeError::NotFound { message: format!("No such container: {id}") })
    }
    pub(super) fn emit(&mut self, id: &str, action: EventAction) {
        if let Some(fake) = self.containers.get(id) {
            let labels = fake.request.labels.clone();
            // Nobody listening is fine.
            let _ = self.events.send(EngineEvent { container: id.to_owned(), labels, action });
        }
    }
    pub(super) fn has_network(&self, name: &str) -> bool {
        self.networks.values().any(|n| n.name == name)
    }
    /// As the engine does: no two networks have an address or the name of a bridge in common.
    pub(super) fn refuse_taken(&self, request: &NetworkRequest) -> Result<(), RuntimeError> {
        let Some((subnet, _)) = request.addresses else { return Ok(()) };
        let taken = |message: &str| {
            Err(RuntimeError::AddressesTaken { subnet, message: message.to_owned() })
        };
        for other in self.requests.values() {
            if other.addresses.is_some_and(|(theirs, _)| overlap(theirs, subnet)) {
                return taken("Pool overlaps with other one on this address space");
            }
            let bridge =
                |r: &NetworkRequest| r.driver_opts.get(NetworkRequest::BRIDGE_NAME).cloned();
            if bridge(other).is_some() && bridge(other) == bridge(request) {
                return taken("networks have same bridge name");
            }
        }
        Ok(())
    }
    /// The lowest address of a network that nobody has; absent when the network has no addresses of
    /// its own.
    pub(super) fn free_address(&self, network: &str) -> Option<IpAddr> {
        let (subnet, gateway) =
            self.requests.values().find(|r| r.name == network).and_then(|r| r.addresses)?;
        let has = |f: &Fake, address: &IpAddr| f.seen.addresses.get(network) == Some(address);
        let taken = |a: &IpAddr| *a == gateway || self.containers.values().any(|f| has(f, a));
        subnet.hosts().find(|address| !taken(address))
    }
}

/// Whether all these labels are among those.
pub(super) fn matches(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(k, v)| labels.get(k) == Some(v))
}

impl Fake {
    pub(super) fn new(
        request: &ContainerRequest,
        image: &Image,
        serial: u64,
        now: Timestamp,
    ) -> Self {
        let spec = &request.spec;
        let health = match &spec.healthcheck {
            Some(Healthcheck::Disabled) => None,
            Some(Healthcheck::Check { test, .. }) if test.is_empty() => image.health.clone(),
            Some(check) => Some(check.clone()),
            None => image.health.clone(),
        };
        let address = |i: usize| {
            let [_, _, hi, lo] = u32::try_from(serial).unwrap_or(0).to_be_bytes();
            IpAddr::V4(Ipv4Addr::new(172, 18 + u8::try_from(i).unwrap_or(0), hi, lo))
        };
        let joined = request.networks.iter().enumerate();
        let mut fake = Self {
            program: Program {
                actions: Vec::new(),
                on_stop: OnStop::Ignore,
                ports: BTreeSet::new(),
            },
            seen: Container {
                id: format!("fake{serial:08}"),
                name: request.name.clone(),
                labels: request.labels.clone(),
                status: ContainerStatus::Created,
                health: Health::None,
                health_output: None,
                exit_code: None,
                oom_killed: false,
                error: None,
                created_at: Some(now),
                started_at: None,
                finished_at: None,
                addresses: joined.map(|(i, n)| (n.network.clone(), address(i))).collect(),
            },
            request: request.clone(),
            health,
            run: 0,
            logs: Vec::new(),
            tree: Tree::default(),
            usage: Usage { memory_bytes: 1 << 20, ..Usage::default() },
        };
        for file in &request.files {
            fake.tree.put(&file.target, &file.content.0, (file.uid, file.gid, file.mode));
        }
        fake.program = match (&image.script, fake.argv().as_slice()) {
            (Some(script), []) => Program::script(script),
            (_, argv) => Program::of(argv),
        };
        fake
    }

    /// Entry point and command.
    pub(super) fn argv(&self) -> Vec<String> {
        let spec = &self.request.spec;
        spec.entrypoint.iter().chain(&spec.command).flatten().cloned().collect()
    }
}

impl FakeRuntime {
    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
    pub(super) fn now(&self) -> Timestamp {
        let now = self.epoch.0.after(self.epoch.1.elapsed());
        Timestamp(now.0.saturating_add_signed(self.lock().ahead))
    }
    pub(super) fn running(&self) -> Vec<String> {
        let world = self.lock();
        let alive = world.containers.values().filter(|f| f.seen.status.is_alive());
        alive.map(|f| f.seen.id.clone()).collect()
    }

    /// Every request passes here: it is noted, takes its time, and fails if it was told to.
    pub(super) async fn request(&self, op: Op, subject: &str) -> Result<(), RuntimeError> {
        let delay = {
            let mut world = self.lock();
            world.reachable()?;
            world.calls.push(Call { op, subject: subject.to_owned() });
            world.delays.get(&op).copied()
        };
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        let mut world = self.lock();
        world.reachable()?;
        world.refusals.get_mut(&op).and_then(VecDeque::pop_front).map_or(Ok(()), Err)
    }

    pub(super) fn write(&self, id: &str, stderr: bool, text: &str) {
        let at = self.now();
        if let Some(fake) = self.lock().find_mut(id) {
            fake.logs.push(LogLine { at, stderr, text: text.to_owned() });
        }
        self.output.send_modify(|n| *n += 1);
    }

    /// Ends a container's present run; of another run than `run` it is already over.
    pub(super) fn finish(&self, id: &str, run: Option<u64>, code: i64, oom: bool) {
        let at = self.now();
        let mut world = self.lock();
        let Some(fake) = world.find_mut(id) else { return };
        if !fake.seen.status.is_alive() || run.is_some_and(|r| r != fake.run) {
            return;
        }
        fake.run += 1;
        fake.seen.status = ContainerStatus::Exited;
        fake.seen.health = Health::None;
        fake.seen.exit_code = Some(code);
        fake.seen.oom_killed = oom;
        fake.seen.finished_at = Some(at);
        let id = fake.seen.id.clone();
        if oom {
            world.emit(&id, EventAction::OutOfMemory);
        }
        world.emit(&id, EventAction::Died);
        let inside = |f: &&Fake| {
            let pid = f.request.spec.beside.as_ref().is_some_and(|b| b.pid);
            pid && f.request.lead.as_ref() == Some(&id)
        };
        let inside: Vec<_> =
            world.containers.values().filter(inside).map(|f| f.seen.id.clone()).collect();
        drop(world);
        // The first process takes all others of its namespace with it.
        inside.iter().for_each(|other| self.finish(other, None, 137, false));
        self.output.send_modify(|n| *n += 1);
    }

    /// Stops a container; one that does not listen is killed when its time, or this one, is over.
    pub(super) async fn end(&self, id: &str, most: Option<Duration>) -> Result<(), RuntimeError> {
        self.request(Op::Stop, id).await?;
        let (run, on_stop, grace) = {
            let mut world = self.lock();
            let fake = world.container(id)?;
            if !fake.seen.status.is_alive() {
                return Ok(());
            }
            (fake.run, fake.program.on_stop, fake.request.spec.grace().to_std())
        };
        match on_stop {
            OnStop::Exit(code) => self.finish(id, Some(run), code, false),
            OnStop::Ignore => {
                tokio::time::sleep(most.unwrap_or(grace)).await;
                self.lock().reachable()?;
                self.finish(id, Some(run), 137, false);
            }
        }
        Ok(())
    }

    /// Runs a started container's program.
    pub(super) async fn play(self, id: String, run: u64, program: Program) {
        for action in program.actions {
            match action {
                Action::Echo { stderr, text } => self.write(&id, stderr, &text),
                Action::Sleep(time) => tokio::time::sleep(time).await,
                Action::Exit(code) => return self.finish(&id, Some(run), code, false),
                Action::Forever => return,
            }
            if self.lock().find_mut(&id).is_none_or(|f| f.run != run) {
                return;
            }
        }
        self.finish(&id, Some(run), 0, false);
    }

    /// Runs a started container's health check.
    pub(super) async fn check(self, id: String, run: u64, check: Healthcheck) {
        let Healthcheck::Check { test, interval, start_period, retries, .. } = check else {
            return;
        };
        let interval = interval.map_or(Duration::from_secs(30), |s| s.to_std());
        let grace = Instant::now() + start_period.map_or(Duration::ZERO, |s| s.to_std());
        let code = Program::check(&test);
        let mut failed = 0;
        loop {
            tokio::time::sleep(interval).await;
            let mut world = self.lock();
            let Some(fake) = world.find_mut(&id).filter(|f| f.run == run && f.health.is_some())
            else {
                return;
            };
            failed = if code == 0 || Instant::now() < grace { 0 } else { failed + 1 };
            let verdict = match () {
                () if code == 0 => Health::Healthy,
                () if failed >= retries.unwrap_or(3) => Health::Unhealthy,
                () => fake.seen.health,
            };
            fake.seen.health_output = Some(format!("check ended with {code}"));
            if verdict != fake.seen.health {
                fake.seen.health = verdict;
                world.emit(&id, EventAction::Health(verdict));
            }
        }
    }
}

//! A container engine in memory.
//!
//! It keeps real state (images, networks, volumes, containers that run small programs on tokio's
//! clock, health checks, logs) and tells the truth about it: nothing succeeds that a real engine
//! would refuse, and every change has its event. Clones share the engine. What should go wrong is
//! scripted from outside.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use jaco_api::model::{Health, Healthcheck, MountSource, Timestamp};
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};

use super::program::{Action, OnStop, Program};
use crate::container::{
    Container, ContainerRequest, ContainerRuntime, ContainerStatus, ContainerSummary, Credential,
    EngineEvent, EngineVersion, EventAction, EventStream, ImageRef, Labels, LogLine, LogQuery,
    LogStream, Network, NetworkRequest, PullProgress, RuntimeError, Stats, Volume, VolumeRequest,
};

/// What an engine can be asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// Is it there?
    Ping,
    /// Is the image there?
    ImagePresent,
    /// Fetch an image.
    Pull,
    /// List networks.
    Networks,
    /// Make a network.
    CreateNetwork,
    /// Remove a network.
    RemoveNetwork,
    /// Make a volume.
    CreateVolume,
    /// Remove a volume.
    RemoveVolume,
    /// List containers.
    List,
    /// Look at a container.
    Inspect,
    /// Make a container.
    Create,
    /// Start a container.
    Start,
    /// Stop a container.
    Stop,
    /// Remove a container.
    Remove,
    /// Read a container's output.
    Logs,
    /// Subscribe to events.
    Events,
}

/// Something the engine was asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What.
    pub op: Op,
    /// To what: a name or id; empty for lists.
    pub subject: String,
}

/// A container engine in memory. See the module's documentation.
#[derive(Clone)]
pub struct FakeRuntime {
    world: Arc<Mutex<World>>,
    /// Changes whenever a line is written or a container ends.
    output: watch::Sender<u64>,
    epoch: (Timestamp, Instant),
}

impl std::fmt::Debug for FakeRuntime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeRuntime").finish_non_exhaustive()
    }
}

struct World {
    down: bool,
    serial: u64,
    images: BTreeMap<String, Image>,
    pulls: BTreeMap<String, VecDeque<Pull>>,
    networks: BTreeMap<String, Network>,
    volumes: BTreeMap<String, Volume>,
    containers: BTreeMap<String, Fake>,
    delays: BTreeMap<Op, Duration>,
    refusals: BTreeMap<Op, VecDeque<RuntimeError>>,
    calls: Vec<Call>,
    events: broadcast::Sender<EngineEvent>,
}

#[derive(Clone, Default)]
struct Image {
    present: bool,
    script: Option<String>,
    health: Option<Healthcheck>,
}

struct Pull {
    takes: Duration,
    result: Result<(), RuntimeError>,
}

struct Fake {
    request: ContainerRequest,
    seen: Container,
    program: Program,
    health: Option<Healthcheck>,
    /// Counts starts; what belongs to an earlier one is over.
    run: u64,
    logs: Vec<LogLine>,
}

impl Default for FakeRuntime {
    fn default() -> Self {
        Self::new()
    }
}

/// Script of what happens, and what can be seen from outside.
impl FakeRuntime {
    /// An empty engine. Every image can be fetched at once and runs until it is stopped.
    #[must_use]
    pub fn new() -> Self {
        let world = World {
            down: false,
            serial: 0,
            images: BTreeMap::new(),
            pulls: BTreeMap::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            containers: BTreeMap::new(),
            delays: BTreeMap::new(),
            refusals: BTreeMap::new(),
            calls: Vec::new(),
            events: broadcast::channel(4096).0,
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            output: watch::Sender::new(0),
            epoch: (Timestamp::from_system_time(std::time::SystemTime::now()), Instant::now()),
        }
    }

    /// The engine has this image already.
    pub fn add_image(&self, name: &str) -> &Self {
        self.lock().images.entry(name.to_owned()).or_default().present = true;
        self
    }
    /// The engine has this image no more.
    pub fn drop_image(&self, name: &str) -> &Self {
        self.lock().images.entry(name.to_owned()).or_default().present = false;
        self
    }
    /// What containers of this image do that have no command: a script as in [`Self`]'s module.
    pub fn image_runs(&self, name: &str, script: &str) -> &Self {
        self.lock().images.entry(name.to_owned()).or_default().script = Some(script.to_owned());
        self
    }
    /// The health check of the image itself.
    pub fn image_checks(&self, name: &str, check: Healthcheck) -> &Self {
        self.lock().images.entry(name.to_owned()).or_default().health = Some(check);
        self
    }
    /// What the next pull of this image does; further ones succeed at once.
    pub fn next_pull(
        &self,
        name: &str,
        takes: Duration,
        result: Result<(), RuntimeError>,
    ) -> &Self {
        self.lock().pulls.entry(name.to_owned()).or_default().push_back(Pull { takes, result });
        self
    }
    /// Every pull of this image answers that it does not exist.
    pub fn no_such_image(&self, name: &str) -> &Self {
        for _ in 0..1000 {
            let result = Err(RuntimeError::ImageNotFound {
                image: name.to_owned(),
                message: format!("manifest for {name} not found: manifest unknown"),
            });
            self.next_pull(name, Duration::ZERO, result);
        }
        self
    }
    /// From now on such requests take this long.
    pub fn delay(&self, op: Op, takes: Duration) -> &Self {
        self.lock().delays.insert(op, takes);
        self
    }
    /// The next such request that is not yet answered by an earlier script fails like this.
    pub fn fail_next(&self, op: Op, error: RuntimeError) -> &Self {
        self.lock().refusals.entry(op).or_default().push_back(error);
        self
    }
    /// The engine does not answer any more; its containers run on.
    pub fn disconnect(&self) -> &Self {
        let mut world = self.lock();
        world.down = true;
        world.events = broadcast::channel(4096).0;
        self
    }
    /// The engine answers again.
    pub fn reconnect(&self) -> &Self {
        self.lock().down = false;
        self
    }
    /// The engine ends, and all its containers with it.
    pub fn stop_engine(&self) -> &Self {
        self.disconnect();
        let running: Vec<_> = self.running();
        for id in running {
            self.finish(&id, None, 137, false);
        }
        self
    }
    /// A running container ends by itself. `id` is an id or a name.
    pub fn exit(&self, id: &str, code: i64) -> &Self {
        self.finish(id, None, code, false);
        self
    }
    /// The kernel kills a running container for lack of memory.
    pub fn out_of_memory(&self, id: &str) -> &Self {
        self.finish(id, None, 137, true);
        self
    }
    /// The health check of a running container has this verdict from now on.
    pub fn set_health(&self, id: &str, health: Health) -> &Self {
        let mut world = self.lock();
        if let Some(fake) = world.find_mut(id).filter(|f| f.seen.status.is_alive()) {
            let id = fake.seen.id.clone();
            fake.health = None;
            fake.seen.health = health;
            world.emit(&id, EventAction::Health(health));
        }
        drop(world);
        self
    }
    /// A container writes a line.
    pub fn write_line(&self, id: &str, text: &str) -> &Self {
        self.write(id, false, text);
        self
    }
    /// Somebody else's container, network or volume: `request` is made as it is.
    pub async fn foreign(&self, request: ContainerRequest) -> Result<String, RuntimeError> {
        self.add_image(&request.spec.image.clone());
        self.create(&request).await
    }
    /// Somebody removes a container behind everybody's back.
    pub fn remove_behind(&self, id: &str) -> &Self {
        let id = self.lock().find_mut(id).map(|f| f.seen.id.clone());
        if let Some(id) = id {
            self.finish(&id, None, 137, false);
            let mut world = self.lock();
            world.emit(&id, EventAction::Removed);
            world.containers.remove(&id);
        }
        self
    }
    /// All containers, ordered by name.
    #[must_use]
    pub fn containers(&self) -> Vec<Container> {
        let mut all: Vec<_> = self.lock().containers.values().map(|f| f.seen.clone()).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
    /// Names of all networks.
    #[must_use]
    pub fn network_names(&self) -> Vec<String> {
        self.lock().networks.values().map(|n| n.name.clone()).collect()
    }
    /// Names of all volumes.
    #[must_use]
    pub fn volume_names(&self) -> Vec<String> {
        self.lock().volumes.keys().cloned().collect()
    }
    /// What it was asked so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }
    /// How often it was asked this so far.
    #[must_use]
    pub fn count(&self, op: Op) -> usize {
        self.lock().calls.iter().filter(|c| c.op == op).count()
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
    fn now(&self) -> Timestamp {
        self.epoch.0.after(self.epoch.1.elapsed())
    }
    fn running(&self) -> Vec<String> {
        let world = self.lock();
        let alive = world.containers.values().filter(|f| f.seen.status.is_alive());
        alive.map(|f| f.seen.id.clone()).collect()
    }

    /// Every request passes here: it is noted, takes its time, and fails if it was told to.
    async fn request(&self, op: Op, subject: &str) -> Result<(), RuntimeError> {
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

    fn write(&self, id: &str, stderr: bool, text: &str) {
        let at = self.now();
        if let Some(fake) = self.lock().find_mut(id) {
            fake.logs.push(LogLine { at, stderr, text: text.to_owned() });
        }
        self.output.send_modify(|n| *n += 1);
    }

    /// Ends a container's present run; of another run than `run` it is already over.
    fn finish(&self, id: &str, run: Option<u64>, code: i64, oom: bool) {
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
        drop(world);
        self.output.send_modify(|n| *n += 1);
    }

    /// Runs a started container's program.
    async fn play(self, id: String, run: u64, program: Program) {
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
    async fn check(self, id: String, run: u64, check: Healthcheck) {
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

impl World {
    fn reachable(&self) -> Result<(), RuntimeError> {
        if !self.down {
            return Ok(());
        }
        let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        Err(RuntimeError::Unreachable { endpoint: "memory".to_owned(), source: source.into() })
    }
    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
    fn find_mut(&mut self, id: &str) -> Option<&mut Fake> {
        self.containers.values_mut().find(|f| f.seen.id == id || f.seen.name == id)
    }
    fn container(&mut self, id: &str) -> Result<&mut Fake, RuntimeError> {
        self.find_mut(id)
            .ok_or_else(|| RuntimeError::NotFound { message: format!("No such container: {id}") })
    }
    fn emit(&mut self, id: &str, action: EventAction) {
        if let Some(fake) = self.containers.get(id) {
            let labels = fake.request.labels.clone();
            // Nobody listening is fine.
            let _ = self.events.send(EngineEvent { container: id.to_owned(), labels, action });
        }
    }
    fn has_network(&self, name: &str) -> bool {
        self.networks.values().any(|n| n.name == name)
    }
}

fn matches(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(k, v)| labels.get(k) == Some(v))
}

#[async_trait]
impl ContainerRuntime for FakeRuntime {
    async fn ping(&self) -> Result<(), RuntimeError> {
        self.request(Op::Ping, "").await
    }

    async fn version(&self) -> Result<EngineVersion, RuntimeError> {
        self.request(Op::Ping, "").await?;
        Ok(EngineVersion {
            name: "Fake".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api: "1.41".to_owned(),
            platform: "linux/amd64".to_owned(),
            cpus: 4,
            memory_bytes: 8 << 30,
        })
    }

    async fn image_present(&self, image: &ImageRef) -> Result<bool, RuntimeError> {
        self.request(Op::ImagePresent, &image.name).await?;
        Ok(self.lock().images.get(&image.name).is_some_and(|i| i.present))
    }

    async fn pull(
        &self,
        image: &ImageRef,
        _credential: Option<&Credential>,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), RuntimeError> {
        self.request(Op::Pull, &image.name).await?;
        let script = self.lock().pulls.get_mut(&image.name).and_then(VecDeque::pop_front);
        progress(PullProgress { status: format!("Pulling {image}"), ..Default::default() });
        if let Some(pull) = script {
            tokio::time::sleep(pull.takes).await;
            pull.result?;
        }
        self.lock().reachable()?;
        self.add_image(&image.name);
        Ok(())
    }

    async fn networks(&self, labels: &Labels) -> Result<Vec<Network>, RuntimeError> {
        self.request(Op::Networks, "").await?;
        let world = self.lock();
        Ok(world.networks.values().filter(|n| matches(&n.labels, labels)).cloned().collect())
    }

    async fn create_network(&self, request: &NetworkRequest) -> Result<(), RuntimeError> {
        self.request(Op::CreateNetwork, &request.name).await?;
        let mut world = self.lock();
        if world.has_network(&request.name) {
            let message = format!("network with name {} already exists", request.name);
            return Err(RuntimeError::Conflict { message });
        }
        let id = format!("net{:08}", world.next_serial());
        let labels = request.labels.clone();
        world.networks.insert(id.clone(), Network { id, name: request.name.clone(), labels });
        Ok(())
    }

    async fn remove_network(&self, id: &str) -> Result<(), RuntimeError> {
        self.request(Op::RemoveNetwork, id).await?;
        let mut world = self.lock();
        let Some(network) = world.networks.get(id).cloned() else {
            return Err(RuntimeError::NotFound { message: format!("network {id} not found") });
        };
        let uses = |f: &Fake| {
            f.seen.status.is_alive() && f.request.networks.iter().any(|n| n.network == network.name)
        };
        if world.containers.values().any(uses) {
            let message = format!("network {} has active endpoints", network.name);
            return Err(RuntimeError::Conflict { message });
        }
        world.networks.remove(id);
        Ok(())
    }

    async fn volume(&self, name: &str) -> Result<Option<Volume>, RuntimeError> {
        let world = self.lock();
        world.reachable()?;
        Ok(world.volumes.get(name).cloned())
    }

    async fn create_volume(&self, request: &VolumeRequest) -> Result<(), RuntimeError> {
        self.request(Op::CreateVolume, &request.name).await?;
        let volume = Volume { name: request.name.clone(), labels: request.labels.clone() };
        self.lock().volumes.entry(request.name.clone()).or_insert(volume);
        Ok(())
    }

    async fn remove_volume(&self, name: &str) -> Result<(), RuntimeError> {
        self.request(Op::RemoveVolume, name).await?;
        let mut world = self.lock();
        let mounts = |f: &Fake| {
            f.request.spec.mounts.iter().any(
                |m| matches!(&m.source, MountSource::Volume { name: mounted, .. } if mounted == name),
            )
        };
        if world.containers.values().any(mounts) {
            return Err(RuntimeError::Conflict { message: format!("volume {name} is in use") });
        }
        match world.volumes.remove(name) {
            Some(_) => Ok(()),
            None => Err(RuntimeError::NotFound { message: format!("no such volume: {name}") }),
        }
    }

    async fn list(&self, labels: &Labels) -> Result<Vec<ContainerSummary>, RuntimeError> {
        self.request(Op::List, "").await?;
        let world = self.lock();
        let found = world.containers.values().filter(|f| matches(&f.request.labels, labels));
        Ok(found
            .map(|f| ContainerSummary {
                id: f.seen.id.clone(),
                name: f.seen.name.clone(),
                labels: f.request.labels.clone(),
                status: f.seen.status,
            })
            .collect())
    }

    async fn inspect(&self, id: &str) -> Result<Container, RuntimeError> {
        self.request(Op::Inspect, id).await?;
        self.lock().container(id).map(|f| f.seen.clone())
    }

    async fn create(&self, request: &ContainerRequest) -> Result<String, RuntimeError> {
        self.request(Op::Create, &request.name).await?;
        let now = self.now();
        let mut world = self.lock();
        if let Some(other) = world.find_mut(&request.name) {
            let message = format!(
                "The container name \"/{}\" is already in use by container \"{}\"",
                request.name, other.seen.id
            );
            return Err(RuntimeError::Conflict { message });
        }
        let image = world.images.get(&request.spec.image).cloned().unwrap_or_default();
        if !image.present {
            let name = request.spec.image.clone();
            let message = format!("No such image: {name}");
            return Err(RuntimeError::ImageNotFound { image: name, message });
        }
        let missing = request.networks.iter().find(|n| !world.has_network(&n.network));
        if let Some(missing) = missing {
            let message = format!("network {} not found", missing.network);
            return Err(RuntimeError::NotFound { message });
        }
        let serial = world.next_serial();
        let fake = Fake::new(request, &image, serial, now);
        let id = fake.seen.id.clone();
        world.containers.insert(id.clone(), fake);
        world.emit(&id, EventAction::Created);
        Ok(id)
    }

    async fn start(&self, id: &str) -> Result<(), RuntimeError> {
        self.request(Op::Start, id).await?;
        let now = self.now();
        let mut world = self.lock();
        let missing = {
            let networks: Vec<_> =
                world.container(id)?.request.networks.iter().map(|n| n.network.clone()).collect();
            networks.into_iter().find(|n| !world.has_network(n))
        };
        if let Some(missing) = missing {
            let message = format!("network {missing} not found");
            return Err(RuntimeError::NotFound { message });
        }
        let fake = world.container(id)?;
        if fake.seen.status.is_alive() {
            return Ok(());
        }
        if let Some(program) = fake.argv().first().filter(|a| a.starts_with("/nonexistent")) {
            let message = format!("exec: \"{program}\": stat {program}: no such file or directory");
            fake.seen.exit_code = Some(127);
            fake.seen.error = Some(message.clone());
            return Err(RuntimeError::Refused { status: 400, message });
        }
        fake.run += 1;
        fake.seen.status = ContainerStatus::Running;
        // Two runs never begin at the same time.
        fake.seen.started_at = fake.seen.started_at.map(|t| Timestamp(t.0 + 1)).max(Some(now));
        fake.seen.finished_at = None;
        fake.seen.exit_code = None;
        fake.seen.oom_killed = false;
        fake.seen.error = None;
        fake.seen.health = if fake.health.is_some() { Health::Starting } else { Health::None };
        let (id, run) = (fake.seen.id.clone(), fake.run);
        let (program, health) = (fake.program.clone(), fake.health.clone());
        world.emit(&id, EventAction::Started);
        drop(world);
        if let Some(check) = health {
            tokio::spawn(self.clone().check(id.clone(), run, check));
        }
        if program.actions.first() != Some(&Action::Forever) {
            tokio::spawn(self.clone().play(id, run, program));
        }
        Ok(())
    }

    async fn stop(&self, id: &str) -> Result<(), RuntimeError> {
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
                tokio::time::sleep(grace).await;
                self.lock().reachable()?;
                self.finish(id, Some(run), 137, false);
            }
        }
        Ok(())
    }

    async fn remove(&self, id: &str) -> Result<(), RuntimeError> {
        self.request(Op::Remove, id).await?;
        self.lock().container(id)?;
        self.remove_behind(id);
        self.output.send_modify(|n| *n += 1);
        Ok(())
    }

    async fn logs(&self, id: &str, query: &LogQuery) -> Result<LogStream, RuntimeError> {
        self.request(Op::Logs, id).await?;
        let since = query.since.unwrap_or_default();
        let (id, old) = {
            let mut world = self.lock();
            let fake = world.container(id)?;
            (fake.seen.id.clone(), fake.logs.clone())
        };
        let next = old.len();
        let mut old: Vec<_> = old.into_iter().filter(|l| l.at >= since).collect();
        if let Some(tail) = query.tail {
            old.drain(..old.len().saturating_sub(tail as usize));
        }
        let old = stream::iter(old.into_iter().map(Ok));
        if !query.follow {
            return Ok(old.boxed());
        }
        let follow = stream::unfold(
            (self.clone(), self.output.subscribe(), id, next),
            |(fake, mut output, id, next)| async move {
                loop {
                    output.mark_unchanged();
                    let (line, alive) = {
                        let mut world = fake.lock();
                        let found = world.find_mut(&id)?;
                        (found.logs.get(next).cloned(), found.seen.status.is_alive())
                    };
                    if let Some(line) = line {
                        return Some((Ok(line), (fake, output, id, next + 1)));
                    }
                    if !alive || output.changed().await.is_err() {
                        return None;
                    }
                }
            },
        );
        Ok(old.chain(follow).boxed())
    }

    async fn events(&self, labels: &Labels) -> Result<EventStream, RuntimeError> {
        self.request(Op::Events, "").await?;
        let (events, labels) = (self.lock().events.subscribe(), labels.clone());
        let all = stream::unfold(events, |mut events| async move {
            loop {
                match events.recv().await {
                    Ok(event) => return Some((Ok(event), events)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        let wanted = move |e: &Result<EngineEvent, RuntimeError>| {
            futures::future::ready(e.as_ref().map_or(true, |e| matches(&e.labels, &labels)))
        };
        Ok(all.filter(wanted).boxed())
    }

    async fn stats(&self, id: &str) -> Result<Stats, RuntimeError> {
        self.request(Op::Inspect, id).await?;
        let mut world = self.lock();
        let alive = world.container(id)?.seen.status.is_alive();
        let memory_bytes = if alive { 1 << 20 } else { 0 };
        Ok(Stats { memory_bytes, ..Stats::default() })
    }
}

impl Fake {
    fn new(request: &ContainerRequest, image: &Image, serial: u64, now: Timestamp) -> Self {
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
            program: Program { actions: Vec::new(), on_stop: OnStop::Ignore },
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
        };
        fake.program = match (&image.script, fake.argv().as_slice()) {
            (Some(script), []) => Program::script(script),
            (_, argv) => Program::of(argv),
        };
        fake
    }

    /// Entry point and command.
    fn argv(&self) -> Vec<String> {
        let spec = &self.request.spec;
        spec.entrypoint.iter().chain(&spec.command).flatten().cloned().collect()
    }
}

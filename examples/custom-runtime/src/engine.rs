//! An engine whose containers are processes. Networks and volumes are names without substance.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use jaco_api::model::{Health, Timestamp};
use jaco_runtime::{
    ContainerRuntime, RuntimeError,
    container::{
        Container, ContainerRequest, ContainerStatus, ContainerSummary, Credential, EngineEvent,
        EngineVersion, EventAction, EventStream, ImageRef, Labels, LogLine, LogQuery, LogStream,
        Network, NetworkRequest, PullProgress, Stats, Volume, VolumeRequest,
    },
};
use tokio::sync::{broadcast, oneshot, watch};

use crate::process;

/// Runs processes. Clones are the same engine.
#[derive(Clone, Default)]
pub(crate) struct ProcessRuntime {
    world: Arc<Mutex<World>>,
}

struct World {
    serial: u64,
    containers: BTreeMap<String, Entry>,
    networks: BTreeMap<String, Network>,
    volumes: BTreeMap<String, Volume>,
    events: broadcast::Sender<EngineEvent>,
}

struct Entry {
    request: ContainerRequest,
    seen: Container,
    logs: Vec<LogLine>,
    stop: Option<oneshot::Sender<Duration>>,
    ended: watch::Sender<bool>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            serial: 0,
            containers: BTreeMap::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            events: broadcast::channel(1024).0,
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from_system_time(SystemTime::now())
}

fn not_found(what: &str) -> RuntimeError {
    RuntimeError::NotFound { message: format!("there is no {what}") }
}

fn carries(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

impl World {
    fn entry(&mut self, id: &str) -> Result<&mut Entry, RuntimeError> {
        let entry = self.containers.values_mut().find(|e| e.seen.id == id || e.seen.name == id);
        entry.ok_or_else(|| not_found(id))
    }

    fn tell(&self, entry: &str, action: EventAction) {
        if let Some(entry) = self.containers.get(entry) {
            let labels = entry.seen.labels.clone();
            // Nobody may be listening.
            let _ =
                self.events.send(EngineEvent { container: entry.seen.id.clone(), labels, action });
        }
    }
}

impl ProcessRuntime {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, id: &str, stderr: bool, text: String) {
        if let Ok(entry) = self.world().entry(id) {
            entry.logs.push(LogLine { at: now(), stderr, text });
        }
    }

    /// Lives as long as the process: keeps its output and tells when it ended.
    async fn attend(
        self,
        id: String,
        mut child: tokio::process::Child,
        stop: oneshot::Receiver<Duration>,
    ) {
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (_, _, code) = tokio::join!(
            process::read_lines(out, |line| self.write(&id, false, line)),
            process::read_lines(err, |line| self.write(&id, true, line)),
            process::until_ended(child, stop),
        );
        let mut world = self.world();
        if let Ok(entry) = world.entry(&id) {
            entry.seen.status = ContainerStatus::Exited;
            entry.seen.exit_code = Some(code);
            entry.seen.finished_at = Some(now());
            entry.ended.send_replace(true);
        }
        world.tell(&id, EventAction::Died);
    }
}

#[async_trait]
impl ContainerRuntime for ProcessRuntime {
    async fn ping(&self) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn version(&self) -> Result<EngineVersion, RuntimeError> {
        Ok(EngineVersion {
            name: "processes".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api: "none".to_owned(),
            platform: format!("linux/{}", std::env::consts::ARCH),
            cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
            memory_bytes: 1 << 30,
        })
    }

    async fn image_present(&self, _: &ImageRef) -> Result<bool, RuntimeError> {
        Ok(true)
    }

    async fn pull(
        &self,
        _: &ImageRef,
        _: Option<&Credential>,
        _: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn networks(&self, labels: &Labels) -> Result<Vec<Network>, RuntimeError> {
        let world = self.world();
        Ok(world.networks.values().filter(|n| carries(&n.labels, labels)).cloned().collect())
    }

    async fn create_network(&self, request: &NetworkRequest) -> Result<(), RuntimeError> {
        let (id, name) = (request.name.clone(), request.name.clone());
        let network = Network { id, name, labels: request.labels.clone() };
        match self.world().networks.insert(request.name.clone(), network) {
            None => Ok(()),
            Some(_) => Err(RuntimeError::Conflict { message: format!("{} exists", request.name) }),
        }
    }

    async fn remove_network(&self, id: &str) -> Result<(), RuntimeError> {
        self.world().networks.remove(id).map(drop).ok_or_else(|| not_found(id))
    }

    async fn volume(&self, name: &str) -> Result<Option<Volume>, RuntimeError> {
        Ok(self.world().volumes.get(name).cloned())
    }

    async fn create_volume(&self, request: &VolumeRequest) -> Result<(), RuntimeError> {
        let volume = Volume { name: request.name.clone(), labels: request.labels.clone() };
        self.world().volumes.entry(request.name.clone()).or_insert(volume);
        Ok(())
    }

    async fn remove_volume(&self, name: &str) -> Result<(), RuntimeError> {
        self.world().volumes.remove(name).map(drop).ok_or_else(|| not_found(name))
    }

    async fn list(&self, labels: &Labels) -> Result<Vec<ContainerSummary>, RuntimeError> {
        let world = self.world();
        let mine = world.containers.values().map(|entry| &entry.seen);
        Ok(mine
            .filter(|container| carries(&container.labels, labels))
            .map(|container| ContainerSummary {
                id: container.id.clone(),
                name: container.name.clone(),
                labels: container.labels.clone(),
                status: container.status,
            })
            .collect())
    }

    async fn inspect(&self, id: &str) -> Result<Container, RuntimeError> {
        self.world().entry(id).map(|entry| entry.seen.clone())
    }

    async fn create(&self, request: &ContainerRequest) -> Result<String, RuntimeError> {
        if !request.files.is_empty() {
            return Err(RuntimeError::Unsupported { operation: "keep files in memory" });
        }
        let mut world = self.world();
        if world.entry(&request.name).is_ok() {
            return Err(RuntimeError::Conflict { message: format!("{} exists", request.name) });
        }
        world.serial += 1;
        let id = format!("process-{}", world.serial);
        let seen = Container {
            id: id.clone(),
            name: request.name.clone(),
            labels: request.labels.clone(),
            status: ContainerStatus::Created,
            health: Health::None,
            health_output: None,
            exit_code: None,
            oom_killed: false,
            error: None,
            created_at: Some(now()),
            started_at: None,
            finished_at: None,
            addresses: BTreeMap::new(),
        };
        let (request, logs, ended) = (request.clone(), Vec::new(), watch::Sender::new(false));
        world.containers.insert(id.clone(), Entry { request, seen, logs, stop: None, ended });
        world.tell(&id, EventAction::Created);
        Ok(id)
    }

    async fn start(&self, id: &str) -> Result<(), RuntimeError> {
        let mut world = self.world();
        let entry = world.entry(id)?;
        if entry.seen.status == ContainerStatus::Running {
            return Ok(());
        }
        let child = process::spawn(&entry.request.spec)
            .map_err(|e| RuntimeError::Refused { status: 400, message: e.to_string() })?;
        let (stop, stopped) = oneshot::channel();
        entry.stop = Some(stop);
        entry.ended.send_replace(false);
        entry.seen.status = ContainerStatus::Running;
        entry.seen.started_at = Some(now());
        let id = entry.seen.id.clone();
        world.tell(&id, EventAction::Started);
        tokio::spawn(self.clone().attend(id, child, stopped));
        Ok(())
    }

    async fn stop(&self, id: &str) -> Result<(), RuntimeError> {
        let (stop, mut ended) = {
            let mut world = self.world();
            let entry = world.entry(id)?;
            (entry.stop.take(), entry.ended.subscribe())
        };
        if let Some(stop) = stop {
            // It may have ended by itself since.
            let _ = stop.send(Duration::ZERO);
            let _ = ended.wait_for(|ended| *ended).await;
        }
        Ok(())
    }

    async fn remove(&self, id: &str) -> Result<(), RuntimeError> {
        self.stop(id).await?;
        let mut world = self.world();
        let id = world.entry(id)?.seen.id.clone();
        world.tell(&id, EventAction::Removed);
        world.containers.remove(&id);
        Ok(())
    }

    async fn logs(&self, id: &str, query: &LogQuery) -> Result<LogStream, RuntimeError> {
        // What there is; a real engine would go on when `query.follow` asks for it.
        let lines = self.world().entry(id)?.logs.clone();
        let skip = query.tail.map_or(0, |tail| lines.len().saturating_sub(tail as usize));
        let since = query.since;
        let wanted = lines.into_iter().skip(skip).filter(move |l| since.is_none_or(|s| l.at >= s));
        Ok(stream::iter(wanted.map(Ok)).boxed())
    }

    async fn events(&self, labels: &Labels) -> Result<EventStream, RuntimeError> {
        let (events, labels) = (self.world().events.subscribe(), labels.clone());
        // A listener that fell behind looks again; one event is as good as all it missed.
        let events = tokio_stream::wrappers::BroadcastStream::new(events);
        let mine = events.filter_map(move |event| {
            let event = event.ok().filter(|event| carries(&event.labels, &labels));
            async move { event.map(Ok) }
        });
        Ok(mine.boxed())
    }

    async fn stats(&self, id: &str) -> Result<Stats, RuntimeError> {
        self.world().entry(id).map(|_| Stats::default())
    }
}

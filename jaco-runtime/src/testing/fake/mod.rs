//! A container engine in memory.
//!
//! It keeps real state (images, networks, volumes, containers that run small programs on tokio's
//! clock, health checks, logs, files, commands that are run in them) and tells the truth about it: nothing succeeds that a real engine
//! would refuse, and every change has its event. Clones share the engine. What should go wrong is
//! scripted from outside.

mod engine;
mod exec;
mod shell;
mod tree;
mod world;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use jaco_api::model::{Health, Healthcheck, Timestamp};
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};

use self::world::{Pull, World};
use crate::container::{Container, ContainerRequest, ContainerRuntime, EventAction, RuntimeError};

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
    /// Measure a container.
    Stats,
    /// Run a command in a container.
    Exec,
    /// Signal a command.
    Signal,
    /// Look at a path in a container.
    Path,
    /// Copy out of a container.
    CopyOut,
    /// Copy into a container.
    CopyIn,
    /// Connect to a port of a container.
    Connect,
}

/// What a container uses all the time while it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Thousandths of one processor.
    pub cpu_permille: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Bytes received in a second.
    pub received: u64,
    /// Bytes sent in a second.
    pub sent: u64,
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
        Self::at(Timestamp::from_system_time(std::time::SystemTime::now()))
    }
    /// An empty engine on a host whose clock shows this now.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            world: Arc::new(Mutex::new(World::new())),
            output: watch::Sender::new(0),
            epoch: (now, Instant::now()),
        }
    }
    /// The host's clock is so many milliseconds ahead of what it would show, from now on; behind, when
    /// it is less than nothing.
    pub fn set_clock_ahead(&self, milliseconds: i64) -> &Self {
        self.lock().ahead = milliseconds;
        self
    }

    /// The engine has this image already.
    pub fn add_image(&self, name: &str) -> &Self {
        let now = self.now();
        let mut world = self.lock();
        let image = world.images.entry(name.to_owned()).or_default();
        (image.present, image.fetched_at) = (true, Some(now));
        drop(world);
        self
    }
    /// The engine does not say any more when it fetched this image.
    pub fn forget_age(&self, name: &str) -> &Self {
        self.lock().images.entry(name.to_owned()).or_default().fetched_at = None;
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
    /// Such a program can be run in every container: a script of `echo`, `cat`, `read`, `sleep`,
    /// `exit` and their like.
    pub fn program(&self, name: &str, script: &str) -> &Self {
        self.lock().programs.insert(name.to_owned(), script.to_owned());
        self
    }
    /// A container has this file.
    pub fn put_file(&self, id: &str, path: &str, content: &[u8]) -> &Self {
        if let Some(fake) = self.lock().find_mut(id) {
            fake.tree.make_directory(path.rsplit_once('/').map_or("/", |(parent, _)| parent));
            // A directory of that name stays what it is.
            let _ = fake.tree.write(path, content, false);
        }
        self
    }
    /// The content of a file of a container.
    #[must_use]
    pub fn file(&self, id: &str, path: &str) -> Option<Vec<u8>> {
        self.lock().find_mut(id).and_then(|fake| fake.tree.read(path))
    }
    /// A container answers at this port from now on, with what it is sent.
    pub fn listen(&self, id: &str, port: u16) -> &Self {
        if let Some(fake) = self.lock().find_mut(id) {
            fake.program.ports.insert(port);
        }
        self
    }
    /// A container uses this much from now on.
    pub fn uses(&self, id: &str, usage: Usage) -> &Self {
        if let Some(fake) = self.lock().find_mut(id) {
            fake.usage = usage;
        }
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
    /// The networks that have addresses of their own, by name.
    #[must_use]
    pub fn subnets(&self) -> Vec<(String, ipnet::IpNet)> {
        let world = self.lock();
        let own = world.requests.values().filter_map(|r| Some((r.name.clone(), r.addresses?.0)));
        own.collect()
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
}

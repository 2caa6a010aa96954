//! Keeps one worker per replica and tells each when to look again.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use jaco_api::model::{Assignment, ReplicaId, Timestamp};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::{
    EngineStatus,
    diff::{self, Order},
    engine::Engine,
    housekeeping,
    memory::doubled,
    report::{AgentReport, Board, Reporter},
    underlay::UnderlayWatch,
    worker::{Bell, Worker, replica_of},
};
use crate::{
    container::{
        ContainerRuntime, ContainerSummary, Credentials, EngineEvent, EventStream, NoCredentials,
        RuntimeError,
    },
    spec,
};

/// Everything is looked at this often even when no event asks for it.
const FULL_PASS: Duration = Duration::from_secs(30);
/// First and longest pause between two attempts to reach the engine.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// An engine that takes longer to say who it is counts as away.
const PATIENCE: Duration = Duration::from_secs(20);

/// What an agent needs.
pub struct AgentOptions {
    /// The engine.
    pub runtime: Arc<dyn ContainerRuntime>,
    /// The newest assignment; none before the node knows its cluster.
    pub assignments: watch::Receiver<Option<Arc<Assignment>>>,
    /// Where reports go.
    pub reports: mpsc::Sender<AgentReport>,
    /// Logins at registries.
    pub credentials: Arc<dyn Credentials>,
    /// What the clock of the engine's host shows.
    pub now: Timestamp,
    /// Where the agent keeps what must outlive it: which hooks of containers have ended, and
    /// when images were fetched.
    pub directory: Option<PathBuf>,
    /// What the node does for its containers; absent means that the engine does it all.
    pub underlay: Option<UnderlayWatch>,
}

impl AgentOptions {
    /// Options with anonymous pulls.
    #[must_use]
    pub fn new(
        runtime: Arc<dyn ContainerRuntime>,
        assignments: watch::Receiver<Option<Arc<Assignment>>>,
        reports: mpsc::Sender<AgentReport>,
    ) -> Self {
        let now = Timestamp::from_system_time(std::time::SystemTime::now());
        let (credentials, directory, underlay) = (Arc::new(NoCredentials), None, None);
        Self { runtime, assignments, reports, credentials, now, directory, underlay }
    }
    /// The same options where the clock shows this.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }
    /// The same options with a directory of the agent's own.
    #[must_use]
    pub fn keeping(mut self, directory: PathBuf) -> Self {
        self.directory = Some(directory);
        self
    }
    /// The same options on a node that makes a network for its containers.
    #[must_use]
    pub fn over(mut self, underlay: UnderlayWatch) -> Self {
        self.underlay = Some(underlay);
        self
    }
    /// The same options with these logins.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Arc<dyn Credentials>) -> Self {
        self.credentials = credentials;
        self
    }
}

impl std::fmt::Debug for AgentOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentOptions").finish_non_exhaustive()
    }
}

/// The runtime agent of a node. Dropping it stops it; containers run on either way.
#[derive(Debug)]
pub struct RuntimeAgent {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    status: watch::Receiver<EngineStatus>,
    holds: watch::Receiver<Option<BTreeSet<String>>>,
    tidied: watch::Receiver<Option<Arc<Assignment>>>,
}

impl RuntimeAgent {
    /// Starts the agent. It does nothing before there is an assignment.
    #[must_use]
    pub fn start(options: AgentOptions) -> Self {
        let stop = CancellationToken::new();
        let (status, seen) = watch::channel(EngineStatus::Connecting);
        let (holding, holds) = watch::channel(None);
        let AgentOptions { runtime, credentials, assignments, directory, underlay, .. } = options;
        let engine = Engine::new(runtime, credentials, assignments, directory).over(underlay);
        let engine = Arc::new(engine);
        let tidied = engine.tidied.subscribe();
        let agent = Agent {
            board: Arc::default(),
            workers: BTreeMap::new(),
            tasks: JoinSet::new(),
            actual: BTreeSet::new(),
            beside: BTreeMap::new(),
            events: None,
            attempts: 0,
            connect_at: Instant::now(),
            began: (Instant::now(), options.now),
            seen: None,
            engine,
            holding,
        };
        let task = tokio::spawn(agent.run(options.reports, status, stop.clone()));
        Self { stop, task, status: seen, holds, tidied }
    }

    /// The replicas, by the text of their id, that are cared for or have containers here; none while
    /// that is not known, because the engine was not looked at yet.
    #[must_use]
    pub fn holds(&self) -> watch::Receiver<Option<BTreeSet<String>>> {
        self.holds.clone()
    }

    /// The newest assignment by which this node has no network too many: every network of the cluster is
    /// one that it needs, with the addresses that it has there. None before the engine was looked at.
    #[must_use]
    pub fn tidied(&self) -> watch::Receiver<Option<Arc<Assignment>>> {
        self.tidied.clone()
    }

    /// How the engine is.
    #[must_use]
    pub fn engine(&self) -> watch::Receiver<EngineStatus> {
        self.status.clone()
    }

    /// Stops the agent; returns when nothing of it is left. Containers run on.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        // A panic was reported by the runtime already.
        let _ = (&mut self.task).await;
    }
}

impl Drop for RuntimeAgent {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Handle {
    orders: watch::Sender<Order>,
    bell: Arc<Bell>,
}

struct Agent {
    engine: Arc<Engine>,
    board: Arc<Board>,
    workers: BTreeMap<String, Handle>,
    tasks: JoinSet<String>,
    /// Replicas that had containers at the last full pass.
    actual: BTreeSet<String>,
    /// Replicas whose containers live beside that of another one, by that one.
    beside: BTreeMap<String, Vec<String>>,
    events: Option<EventStream>,
    attempts: u32,
    connect_at: Instant,
    began: (Instant, Timestamp),
    /// The assignment that was acted on last.
    seen: Option<Arc<Assignment>>,
    holding: watch::Sender<Option<BTreeSet<String>>>,
}

impl Agent {
    async fn run(
        mut self,
        reports: mpsc::Sender<AgentReport>,
        status: watch::Sender<EngineStatus>,
        stop: CancellationToken,
    ) {
        let mut helpers = JoinSet::new();
        let (engine, board) = (self.engine.clone(), self.board.clone());
        helpers.spawn(Reporter { engine, board, reports }.run());
        helpers.spawn(housekeeping::run(self.engine.clone(), self.board.clone()));
        // Whatever is under way is dropped with the future: tasks are aborted by their sets.
        let _ = stop.run_until_cancelled(self.work(&status)).await;
        self.tasks.shutdown().await;
        helpers.shutdown().await;
    }

    async fn work(&mut self, status: &watch::Sender<EngineStatus>) {
        let mut assignments = self.engine.assignment.clone();
        let mut link = self.engine.link();
        let mut pass = tokio::time::interval(FULL_PASS);
        pass.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.engine.marks.load();
        self.engine.fetched.load();
        self.assigned();
        loop {
            tokio::select! {
                changed = assignments.changed() => match changed {
                    Ok(()) => self.assigned(),
                    // Nobody assigns any more: everything stays as it is.
                    Err(_) => std::future::pending().await,
                },
                event = next(&mut self.events) => self.happened(event),
                () = tokio::time::sleep_until(self.connect_at),
                    if self.events.is_none() && self.seen.is_some() => self.connect().await,
                _ = pass.tick(), if self.events.is_some() => self.full_pass().await,
                Some(ended) = self.tasks.join_next() => self.ended(ended),
                Ok(()) = link.changed() => {
                    let now = link.borrow_and_update().status.clone();
                    if matches!(now, EngineStatus::Down { .. }) && self.events.take().is_some() {
                        self.connect_at = Instant::now() + RECONNECT.0;
                        self.tell_holdings();
                    }
                    status.send_replace(now);
                }
            }
        }
    }

    /// There is a new assignment, or the set of containers is another.
    fn assigned(&mut self) {
        let Some(assignment) = self.engine.newest() else { return };
        let mut known = self.actual.clone();
        known.extend(self.workers.keys().cloned());
        for (key, order) in diff::orders(&assignment, &known) {
            match self.workers.get(&key) {
                Some(worker) => {
                    worker.orders.send_if_modified(|old| {
                        let differs = old.differs(&order);
                        *old = order;
                        differs
                    });
                }
                None => self.hire(key, order),
            }
        }
        self.beside.clear();
        for (id, replica) in &assignment.replicas {
            if let Some(beside) = &replica.beside {
                self.beside.entry(beside.replica.to_string()).or_default().push(id.to_string());
            }
        }
        let needs = |a: &Assignment| (a.caught_up, a.networks.clone(), a.remove_volumes.clone());
        self.engine.assigned(&assignment);
        let earlier = self.seen.replace(assignment.clone());
        if earlier.as_deref().map(needs) != Some(needs(&assignment)) {
            self.engine.freed.notify_one();
        }
        self.tell_holdings();
        if earlier.is_some_and(|earlier| earlier.cluster != assignment.cluster) {
            // The stream of events is of the other cluster's containers.
            self.events = None;
            self.connect_at = Instant::now();
        }
    }

    /// Told while the engine is looked at: between two looks, its events keep it true.
    fn tell_holdings(&self) {
        let holds = self.events.is_some().then(|| {
            let mut holds = self.actual.clone();
            holds.extend(self.workers.keys().cloned());
            holds
        });
        self.holding.send_if_modified(|told| {
            let news = *told != holds;
            *told = holds;
            news
        });
    }

    fn hire(&mut self, key: String, order: Order) {
        let (orders, receiver) = watch::channel(order);
        let bell = Arc::new(Bell::default());
        let (engine, board) = (self.engine.clone(), self.board.clone());
        let worker = Worker::new(key.clone(), receiver, bell.clone(), engine, board, self.began);
        self.workers.insert(key.clone(), Handle { orders, bell });
        self.tasks.spawn(async move {
            worker.run().await;
            key
        });
    }

    /// A worker has nothing left to care for; an order that came too late for it gets a new one.
    fn ended(&mut self, ended: Result<String, tokio::task::JoinError>) {
        match ended {
            Ok(key) => {
                self.workers.remove(&key);
                self.actual.remove(&key);
                if let Ok(id) = key.parse::<ReplicaId>() {
                    self.board.forget(&id);
                }
            }
            Err(error) => {
                tracing::error!(%error, "a replica's worker broke off");
                let lost: Vec<String> = self
                    .workers
                    .iter()
                    .filter(|(_, worker)| worker.orders.is_closed())
                    .map(|(key, _)| key.clone())
                    .collect();
                lost.iter().for_each(|key| drop(self.workers.remove(key)));
            }
        }
        self.assigned();
    }

    /// The event stream has news, or has ended.
    fn happened(&mut self, event: Option<Result<EngineEvent, RuntimeError>>) {
        let event = match event {
            Some(Ok(event)) => event,
            Some(Err(error)) => return self.disconnected(&error.to_string()),
            None => return self.disconnected("the stream of events has ended"),
        };
        let Some(key) = replica_of(&event.labels) else { return };
        let lead = self.beside.iter().find(|(_, all)| all.iter().any(|c| c == key)).map(|(l, _)| l);
        for other in self.beside.get(key).into_iter().flatten().chain(lead) {
            if let Some(worker) = self.workers.get(other) {
                worker.bell.ring.notify_one();
            }
        }
        match self.workers.get(key) {
            Some(worker) => worker.bell.ring.notify_one(),
            None => {
                self.actual.insert(key.to_owned());
                self.assigned();
            }
        }
    }

    fn disconnected(&mut self, reason: &str) {
        self.events = None;
        self.tell_holdings();
        self.connect_at = Instant::now() + RECONNECT.0;
        self.engine.lost(reason);
    }

    /// Finds the engine (again), listens, then looks: nothing can fall in between.
    async fn connect(&mut self) {
        let Some(assignment) = self.engine.newest() else { return };
        let runtime = self.engine.runtime.clone();
        let labels = spec::cluster_labels(assignment.cluster);
        let reached = tokio::time::timeout(PATIENCE, async {
            let version = runtime.version().await?;
            Ok::<_, RuntimeError>((version, runtime.events(&labels).await?))
        });
        let reached = reached.await.unwrap_or(Err(RuntimeError::TimedOut { operation: "version" }));
        match reached {
            Ok((version, events)) => {
                self.attempts = 0;
                self.events = Some(events);
                self.engine.up(version);
                self.full_pass().await;
            }
            Err(error) => {
                self.engine.lost(&error.to_string());
                self.connect_at = Instant::now() + doubled(RECONNECT.0, self.attempts, RECONNECT.1);
                self.attempts += 1;
            }
        }
    }

    /// Looks at everything of this cluster, and wakes the workers that saw something else.
    async fn full_pass(&mut self) {
        let Some(assignment) = self.engine.newest() else { return };
        let labels = spec::cluster_labels(assignment.cluster);
        // Those that are made meanwhile are not among them.
        let mut marked = self.engine.marks.containers();
        let listed = tokio::time::timeout(PATIENCE, self.engine.runtime.list(&labels)).await;
        let containers = match listed {
            Ok(Ok(containers)) => containers,
            Ok(Err(error)) => return self.disconnected(&error.to_string()),
            Err(_) => return self.disconnected("listing containers takes too long"),
        };
        marked.retain(|id| containers.iter().all(|c| c.id != *id));
        self.engine.marks.forget(marked);
        let mut by_replica: BTreeMap<String, Vec<&ContainerSummary>> = BTreeMap::new();
        for container in &containers {
            if let Some(key) = replica_of(&container.labels) {
                by_replica.entry(key.to_owned()).or_default().push(container);
            }
        }
        for (key, worker) in &self.workers {
            let now: BTreeMap<_, _> = by_replica
                .get(key)
                .into_iter()
                .flatten()
                .map(|c| (c.id.clone(), c.status))
                .collect();
            let seen = worker.bell.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.checked || seen.statuses != now {
                worker.bell.ring.notify_one();
            }
        }
        self.actual = by_replica.into_keys().collect();
        self.assigned();
        self.engine.freed.notify_one();
    }
}

/// The next event; without a stream there is none.
async fn next(events: &mut Option<EventStream>) -> Option<Result<EngineEvent, RuntimeError>> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

//! The actor of one replica: looks, decides, takes one step, looks again.

mod hooks;
mod steps;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use jaco_api::model::{AssignedReplica, Health, Observation, ReplicaId, ReplicaState, Timestamp};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    EngineStatus,
    beside::Ground,
    diff::Order,
    engine::{Engine, Link},
    hooks::run_of,
    memory::{Memory, Now},
    observe,
    report::{Board, Sight, at},
    step,
};
use crate::{
    container::{Container, ContainerStatus, ImageRef, LogQuery, RuntimeError, label},
    spec,
};

/// So many of the last lines of output are kept of a container that failed.
const TAIL: u32 = 20;
/// Reading them may take so long.
const TAIL_PATIENCE: Duration = Duration::from_secs(3);

/// What a worker saw last, for whoever wonders whether it should look again.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Status by container id.
    pub(crate) statuses: BTreeMap<String, ContainerStatus>,
    /// Whether there is more to see than a list shows: the verdict of a health check, or the container
    /// that it lives beside.
    pub(crate) checked: bool,
}

/// Shared between a worker and the agent.
#[derive(Default)]
pub(crate) struct Bell {
    /// Rung when the containers may have changed.
    pub(crate) ring: Notify,
    /// What the worker saw last.
    pub(crate) seen: Mutex<Seen>,
}

/// The actor of one replica.
pub(crate) struct Worker {
    key: String,
    orders: watch::Receiver<Order>,
    bell: Arc<Bell>,
    engine: Arc<Engine>,
    board: Arc<Board>,
    link: watch::Receiver<Link>,
    memory: Option<Memory>,
    session: u64,
    fetch: Option<(ImageRef, AbortOnDropHandle<Result<(), RuntimeError>>)>,
    /// Hooks that are being run.
    hooks: Option<hooks::Running>,
    /// What was assigned last, for the time when it is not any more.
    last: Option<Arc<AssignedReplica>>,
    tail: Option<Vec<String>>,
    /// The container that the engine says it has removed last.
    removed: Option<String>,
    /// Since when its container is to go.
    leaving_since: Option<Duration>,
    began: (Instant, Timestamp),
}

/// What a turn came to.
enum Turn {
    /// Look again at once.
    Again,
    /// Look again when something happens, or then.
    Wait(Option<Duration>),
    /// There is nothing left to care for.
    Over,
}

impl Worker {
    pub(crate) fn new(
        key: String,
        orders: watch::Receiver<Order>,
        bell: Arc<Bell>,
        engine: Arc<Engine>,
        board: Arc<Board>,
        began: (Instant, Timestamp),
    ) -> Self {
        let link = engine.link();
        let (session, memory, fetch, tail, removed) = (0, None, None, None, None);
        let (hooks, last) = (None, None);
        let leaving_since = None;
        Self {
            key,
            orders,
            bell,
            engine,
            board,
            link,
            memory,
            session,
            fetch,
            hooks,
            last,
            tail,
            removed,
            leaving_since,
            began,
        }
    }

    /// Works until its replica is not assigned any more and has no container.
    pub(crate) async fn run(mut self) {
        loop {
            if !self.wait_for_engine().await {
                return;
            }
            match self.turn().await {
                Ok(Turn::Again) => {}
                Ok(Turn::Wait(until)) => self.wait(until).await,
                Ok(Turn::Over) => return,
                Err(error) if error.is_unreachable() => self.engine.lost(&error.to_string()),
                Err(error) => {
                    let now = self.now().at;
                    let pause = self.memory.get_or_insert_default().pause(now);
                    tracing::warn!(replica = self.key, %error, ?pause, "trying again");
                    self.wait(Some(now + pause)).await;
                }
            }
        }
    }

    /// False when the agent is gone.
    async fn wait_for_engine(&mut self) -> bool {
        let up = |link: &Link| matches!(link.status, EngineStatus::Up(_));
        let Ok(session) = self.link.wait_for(up).await.map(|link| link.session) else {
            return false;
        };
        let other = std::mem::replace(&mut self.session, session) != session;
        if let Some(memory) = self.memory.as_mut().filter(|_| other) {
            memory.engine_was_away();
        }
        true
    }

    fn now(&self) -> Now {
        let at = self.began.0.elapsed();
        Now { at, wall: self.began.1.after(at) }
    }

    /// Looks, reports, takes one step.
    async fn turn(&mut self) -> Result<Turn, RuntimeError> {
        let order = self.orders.borrow_and_update().clone();
        let replica = order.replica.clone();
        match (&replica, &mut self.memory) {
            (Some(replica), None) => self.memory = Some(Memory::seeded(replica)),
            (Some(replica), Some(memory)) => {
                if memory.align(replica) {
                    self.tail = None;
                }
            }
            (None, _) => {}
        }
        let containers = self.look(&order).await?;
        let lead = self.look_beside(&order).await?;
        let ground = Ground::of(replica.as_deref(), lead.as_ref());
        let now = self.now();
        let generation = replica.as_ref().map_or(0, |r| r.generation);
        let (current, others) = step::split(generation, &format!("jaco.{}", self.key), &containers);
        let mut memory = self.memory.take().unwrap_or_default();
        if let Some(replica) = &replica {
            self.last = Some(replica.clone());
        }
        let last = self.last.clone();
        if let Some(replica) = replica.as_deref().filter(|_| order.caught_up) {
            let run = current.filter(|c| c.status.is_alive()).map(run_of);
            if let Some(run) = run.filter(|run| self.engine.marks.has(run)) {
                memory.hooks.recall(&run);
            }
            memory.look(replica, current, ground, now);
            self.call_off_fetch(replica, &mut memory);
            self.post(replica, current, (&others, ground), &memory, now.at).await;
        }
        let wanted = step::wanted(replica.as_deref(), last.as_deref(), order.caught_up);
        let next = step::next(wanted, current, &others, ground, &memory, now.at);
        if !memory.is_paused(now.at) {
            self.call_off_hooks(wanted, current, &next, &mut memory);
        }
        self.memory = Some(memory);
        if replica.is_none() && order.caught_up && containers.is_empty() {
            return Ok(Turn::Over);
        }
        self.take(&order, wanted, next, (&containers, lead.as_ref())).await
    }

    /// All containers of the replica, in full.
    async fn look(&self, order: &Order) -> Result<Vec<Container>, RuntimeError> {
        let runtime = &self.engine.runtime;
        let mut containers = Vec::new();
        for found in runtime.list(&spec::replica_labels(order.cluster, &self.key)).await? {
            match runtime.inspect(&found.id).await {
                Ok(container) => containers.push(container),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        *self.bell.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen {
            statuses: containers.iter().map(|c| (c.id.clone(), c.status)).collect(),
            checked: order.replica.as_deref().is_some_and(|r| r.beside.is_some())
                || containers.iter().any(|c| c.health != Health::None),
        };
        Ok(containers)
    }

    /// The container that this replica's lives beside, of the generation that is assigned.
    pub(super) async fn look_beside(
        &self,
        order: &Order,
    ) -> Result<Option<Container>, RuntimeError> {
        let Some(beside) = order.replica.as_deref().and_then(|r| r.beside.as_ref()) else {
            return Ok(None);
        };
        let key = beside.replica.to_string();
        let runtime = &self.engine.runtime;
        let mut found = Vec::new();
        for listed in runtime.list(&spec::replica_labels(order.cluster, &key)).await? {
            match runtime.inspect(&listed.id).await {
                Ok(container) => found.push(container),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        let (lead, _) = step::split(beside.generation, &format!("jaco.{key}"), &found);
        Ok(lead.cloned())
    }

    /// Shows what is seen.
    async fn post(
        &mut self,
        replica: &AssignedReplica,
        current: Option<&Container>,
        (others, ground): (&[&Container], Ground<'_>),
        memory: &Memory,
        at: Duration,
    ) {
        let observation = observe::observation(replica, current, others, ground, memory, at);
        let failed = |o: &Observation| o.state == ReplicaState::Failed && *o != replica.observed;
        if observation.as_ref().is_some_and(failed) && self.tail.is_none() {
            let read = async { self.read_tail(&current?.id).await.ok() };
            let tail = tokio::time::timeout(TAIL_PATIENCE, read).await;
            self.tail = Some(tail.ok().flatten().unwrap_or_default());
        }
        let prepared = observe::prepared(replica, memory);
        let sight = Sight {
            log_tail: match &observation {
                Some(o) if o.state == ReplicaState::Failed => self.tail.clone().unwrap_or_default(),
                _ => Vec::new(),
            },
            observation,
            prepared: replica.prepare.clone().zip(prepared),
        };
        self.board.post(&replica.id, sight);
    }

    async fn read_tail(&self, id: &str) -> Result<Vec<String>, RuntimeError> {
        let query = LogQuery { tail: Some(TAIL), ..LogQuery::default() };
        let mut lines = self.engine.runtime.logs(id, &query).await?;
        let mut tail = Vec::new();
        while let Some(line) = lines.next().await {
            tail.push(line?.text);
        }
        tail.drain(..tail.len().saturating_sub(TAIL as usize));
        Ok(tail)
    }

    /// Waits for an order, a bell, the end of a fetch or of hooks, the engine's going, or until then.
    async fn wait(&mut self, until: Option<Duration>) {
        let until = until.map(|at| self.began.0 + at);
        let fetched = async {
            match &mut self.fetch {
                Some((_, task)) => task.await,
                None => std::future::pending().await,
            }
        };
        let hooked = async {
            match &mut self.hooks {
                Some(running) => (&mut running.task).await,
                None => std::future::pending().await,
            }
        };
        let result = tokio::select! {
            changed = self.orders.changed() => {
                if changed.is_err() {
                    // The agent is gone; it ends this task.
                    std::future::pending::<()>().await;
                }
                return;
            }
            () = self.bell.ring.notified() => return,
            _ = self.link.changed() => return,
            () = at(until) => return,
            result = fetched => result,
            outcome = hooked => {
                let broke_off = |stopped: tokio::task::JoinError| RuntimeError::NotUnderstood {
                    operation: "running hooks",
                    source: stopped.into(),
                };
                return self.hooked(outcome.map_err(broke_off).flatten());
            }
        };
        match result {
            Ok(result) => self.fetched(result),
            Err(stopped) => self.fetched(Err(RuntimeError::NotUnderstood {
                operation: "fetching an image",
                source: stopped.into(),
            })),
        }
    }
}

/// The replica a container's labels name.
pub(crate) fn replica_of(labels: &BTreeMap<String, String>) -> Option<&str> {
    let text = labels.get(label::REPLICA)?;
    text.parse::<ReplicaId>().ok().map(|_| text.as_str())
}

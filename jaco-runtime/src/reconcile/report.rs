//! What the agent tells its owner: differences between what it sees and what state holds.
//!
//! Level-triggered: a difference is told at once and again, ever more slowly, until an assignment
//! shows that state has it. Nothing is told while there is no difference.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jaco_api::model::{
    AssignedReplica, Assignment, ContainerSpec, Digest, Intent, Observation, Reason, ReplicaId,
};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

use super::{engine::Engine, memory::doubled};
use crate::container::EngineVersion;

/// How the link to the engine is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum EngineStatus {
    /// Not asked yet.
    #[default]
    Connecting,
    /// Answers.
    Up(EngineVersion),
    /// Does not answer: nothing is done until it does.
    Down {
        /// Why.
        reason: String,
    },
}

/// One replica's part of an [`AgentReport`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentReplicaReport {
    /// The replica.
    pub id: ReplicaId,
    /// What is seen of it; absent when it was to go and is gone.
    pub observation: Option<Observation>,
    /// Result of fetching the image of the next generation, when that was asked for, with the digest
    /// of what was asked for.
    pub prepared: Option<(Digest, Result<(), Reason>)>,
    /// The last lines of output of a container that failed.
    pub log_tail: Vec<String>,
}

/// What differs from what the newest assignment says state holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentReport {
    /// Replicas that differ.
    pub replicas: Vec<AgentReplicaReport>,
    /// Volumes that were to be removed and are gone, by engine name.
    pub removed_volumes: Vec<String>,
    /// The engine, now.
    pub engine: EngineStatus,
}

/// Changes are gathered so long before they are told.
const GATHER: Duration = Duration::from_millis(20);
/// First and longest pause before a difference is told again.
const REPEAT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What one worker sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) observation: Option<Observation>,
    /// With what was asked for, so that an answer never passes for that of another question.
    pub(crate) prepared: Option<(Arc<ContainerSpec>, Result<(), Reason>)>,
    pub(crate) log_tail: Vec<String>,
}

/// What all workers see.
#[derive(Default)]
pub(crate) struct Board {
    sights: Mutex<BTreeMap<ReplicaId, Sight>>,
    volumes: Mutex<BTreeSet<String>>,
    changed: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board {
    /// A worker has looked.
    pub(crate) fn post(&self, id: &ReplicaId, sight: Sight) {
        let mut sights = lock(&self.sights);
        if sights.get(id) != Some(&sight) {
            sights.insert(id.clone(), sight);
            self.changed.notify_one();
        }
    }
    /// A replica is nobody's business any more.
    pub(crate) fn forget(&self, id: &ReplicaId) {
        lock(&self.sights).remove(id);
    }
    /// Volumes that were to be removed and are gone.
    pub(crate) fn post_volumes(&self, gone: BTreeSet<String>) {
        let mut volumes = lock(&self.volumes);
        if *volumes != gone {
            *volumes = gone;
            self.changed.notify_one();
        }
    }
}

/// What of a sight state does not hold yet. Pure.
fn difference(replica: &AssignedReplica, sight: &Sight) -> Option<AgentReplicaReport> {
    let prepared = match (&sight.prepared, &replica.prepare) {
        (Some((of, result)), Some(wanted)) if of == wanted => {
            (replica.prepared.as_ref() != Some(result)).then(|| (wanted.digest(), result.clone()))
        }
        _ => None,
    };
    let news = match &sight.observation {
        Some(seen) => seen.generation == replica.generation && *seen != replica.observed,
        None => replica.intent == Intent::Remove,
    };
    if !news && prepared.is_none() {
        return None;
    }
    let observation = match &sight.observation {
        // An older generation's: only the answer about the image is news.
        Some(seen) if seen.generation != replica.generation => Some(replica.observed.clone()),
        other => other.clone(),
    };
    let log_tail = if news { sight.log_tail.clone() } else { Vec::new() };
    Some(AgentReplicaReport { id: replica.id.clone(), observation, prepared, log_tail })
}

/// What was told and is not yet shown by state.
struct Told<T> {
    what: T,
    times: u32,
    again_at: Instant,
}

/// Keeps from telling the same thing at once again.
struct Repeats<K, T>(BTreeMap<K, Told<T>>);

impl<K: Ord + Clone, T: PartialEq + Clone> Repeats<K, T> {
    /// Of all differences, those to tell now.
    fn due(&mut self, differences: BTreeMap<K, T>, now: Instant) -> Vec<(K, T)> {
        self.0.retain(|key, _| differences.contains_key(key));
        differences
            .into_iter()
            .filter(|(key, what)| {
                self.0.get(key).is_none_or(|told| told.what != *what || told.again_at <= now)
            })
            .collect()
    }
    fn told(&mut self, key: K, what: T, now: Instant) {
        let times = self.0.get(&key).filter(|t| t.what == what).map_or(0, |t| t.times + 1);
        let again_at = now + doubled(REPEAT.0, times, REPEAT.1);
        self.0.insert(key, Told { what, times, again_at });
    }
    fn next(&self) -> Option<Instant> {
        self.0.values().map(|t| t.again_at).min()
    }
}

/// The task that tells.
pub(crate) struct Reporter {
    pub(crate) engine: Arc<Engine>,
    pub(crate) board: Arc<Board>,
    pub(crate) reports: mpsc::Sender<AgentReport>,
}

impl Reporter {
    /// Runs until nobody listens any more.
    pub(crate) async fn run(self) {
        let mut assignments = self.engine.assignment.clone();
        let mut link = self.engine.link();
        let mut replicas = Repeats(BTreeMap::new());
        let mut volumes = Repeats(BTreeMap::new());
        let mut status = EngineStatus::Connecting;
        loop {
            let now = Instant::now();
            let assignment = assignments.borrow_and_update().clone();
            let seen = link.borrow_and_update().status.clone();
            let due = replicas.due(self.differences(assignment.as_deref()), now);
            let gone = volumes.due(self.gone(assignment.as_deref()), now);
            if !due.is_empty() || !gone.is_empty() || seen != status {
                let Ok(slot) = self.reports.reserve().await else { return };
                slot.send(AgentReport {
                    replicas: due.iter().map(|(_, r)| r.clone()).collect(),
                    removed_volumes: gone.iter().map(|(v, ())| v.clone()).collect(),
                    engine: seen.clone(),
                });
                status = seen;
                due.into_iter().for_each(|(id, report)| replicas.told(id, report, now));
                gone.into_iter().for_each(|(name, ())| volumes.told(name, (), now));
            }
            let again = replicas.next().into_iter().chain(volumes.next()).min();
            tokio::select! {
                () = self.board.changed.notified() => tokio::time::sleep(GATHER).await,
                changed = assignments.changed() => if changed.is_err() { return },
                changed = link.changed() => if changed.is_err() { return },
                () = at(again) => {}
                () = self.reports.closed() => return,
            }
        }
    }

    fn differences(
        &self,
        assignment: Option<&Assignment>,
    ) -> BTreeMap<ReplicaId, AgentReplicaReport> {
        let Some(assignment) = assignment.filter(|a| a.caught_up) else { return BTreeMap::new() };
        let sights = lock(&self.board.sights);
        sights
            .iter()
            .filter_map(|(id, sight)| difference(assignment.replicas.get(id)?, sight))
            .map(|report| (report.id.clone(), report))
            .collect()
    }

    fn gone(&self, assignment: Option<&Assignment>) -> BTreeMap<String, ()> {
        let Some(assignment) = assignment.filter(|a| a.caught_up) else { return BTreeMap::new() };
        let volumes = lock(&self.board.volumes);
        volumes.intersection(&assignment.remove_volumes).map(|v| (v.clone(), ())).collect()
    }
}

/// Waits until then, or for ever.
pub(crate) async fn at(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}

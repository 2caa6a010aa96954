//! A node as the tests see it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jaco_api::model::*;
use jaco_runtime::{AgentOptions, AgentReport, ContainerRuntime, RuntimeAgent};
use tokio::sync::{mpsc, watch};

/// A node: an agent, its engine, and a stand-in for the replicated state that holds what is
/// reported, as the real one does.
pub(crate) struct Node<E> {
    pub(crate) engine: E,
    state: watch::Sender<Option<Arc<Assignment>>>,
    pub(crate) reports: mpsc::Receiver<AgentReport>,
    pub(crate) agent: Option<RuntimeAgent>,
    directory: Option<PathBuf>,
    pub(crate) log: Vec<AgentReport>,
    /// Longest wait for anything; on the paused clock an hour takes no time at all.
    pub(crate) patience: Duration,
}

impl<E: ContainerRuntime + Clone> Node<E> {
    pub(crate) fn start(engine: &E, assignment: Assignment) -> Self {
        Self::start_in(engine, assignment, None)
    }

    /// With a directory of the agent's own.
    pub(crate) fn start_in(engine: &E, assignment: Assignment, directory: Option<PathBuf>) -> Self {
        let state = watch::Sender::new(Some(Arc::new(assignment)));
        let (sender, reports) = mpsc::channel(16);
        let mut options = AgentOptions::new(Arc::new(engine.clone()), state.subscribe(), sender);
        options.directory = directory.clone();
        let agent = Some(RuntimeAgent::start(options));
        Self {
            directory,
            engine: engine.clone(),
            state,
            reports,
            agent,
            log: Vec::new(),
            patience: Duration::from_secs(3600),
        }
    }

    /// The agent ends and another one starts, as when the daemon is replaced.
    pub(crate) async fn restart(&mut self) {
        self.restart_with(|_| {}).await;
    }

    /// The same, and the cluster has decided something meanwhile.
    pub(crate) async fn restart_with(&mut self, meanwhile: impl FnOnce(&Self)) {
        self.agent.take().unwrap().shutdown().await;
        meanwhile(self);
        let log = std::mem::take(&mut self.log);
        let (patience, directory) = (self.patience, self.directory.clone());
        *self =
            Self { log, patience, ..Self::start_in(&self.engine, self.assignment(), directory) };
    }

    pub(crate) fn assignment(&self) -> Assignment {
        self.state.borrow().as_deref().cloned().unwrap()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Assignment)) {
        let mut assignment = self.assignment();
        assignment.index += 1;
        change(&mut assignment);
        self.state.send_replace(Some(Arc::new(assignment)));
    }

    pub(crate) fn change_replica(&self, id: &str, change: impl FnOnce(&mut AssignedReplica)) {
        self.change(|a| change(a.replicas.get_mut(&id.parse().unwrap()).unwrap()));
    }

    /// The next generation, made from this.
    pub(crate) fn advance(&self, id: &str, spec: ContainerSpec) {
        self.change_replica(id, |r| {
            r.retired = r.spec.iter().map(|old| (r.revision, old.clone())).collect();
            (r.generation, r.revision) = (r.generation + 1, r.revision + 1);
            r.spec = Some(Arc::new(spec));
            r.prepare = None;
            r.prepared = None;
            r.observed = Observation { generation: r.generation, ..Observation::default() };
        });
    }

    /// Writes a report into the state.
    pub(crate) fn hold(&mut self, report: AgentReport) {
        self.change(|a| {
            for news in &report.replicas {
                let Some(replica) = a.replicas.get_mut(&news.id) else { continue };
                match &news.observation {
                    None => drop(a.replicas.remove(&news.id)),
                    Some(seen) => {
                        if seen.generation == replica.generation {
                            replica.observed = seen.clone();
                        }
                        if news.prepared.is_some() {
                            replica.prepared = news.prepared.clone().map(|(_, result)| result);
                        }
                    }
                }
            }
            for volume in &report.removed_volumes {
                a.remove_volumes.remove(volume);
            }
        });
        self.log.push(report);
    }

    /// Waits until this holds of the state; reports are written into it meanwhile.
    pub(crate) async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + self.patience;
        while !holds(self) {
            match tokio::time::timeout_at(deadline, self.reports.recv()).await {
                Ok(Some(report)) => self.hold(report),
                _ => panic!("not in time: {what}\nstate: {:#?}", self.assignment().replicas),
            }
        }
    }

    pub(crate) async fn until_state(&mut self, id: &str, state: ReplicaState) -> Observation {
        self.until(&format!("{id} is {state}"), |n| n.seen(id).is_some_and(|o| o.state == state))
            .await;
        self.seen(id).unwrap()
    }

    /// Lets time pass; reports are written into the state meanwhile.
    pub(crate) async fn pass(&mut self, time: Duration) {
        let end = tokio::time::Instant::now() + time;
        while let Ok(Some(report)) = tokio::time::timeout_at(end, self.reports.recv()).await {
            self.hold(report);
        }
    }

    pub(crate) fn seen(&self, id: &str) -> Option<Observation> {
        let id = id.parse::<ReplicaId>().unwrap();
        self.assignment().replicas.get(&id).map(|r| r.observed.clone())
    }

    /// The states that were reported of a replica, without repetition.
    pub(crate) fn story(&self, id: &str) -> Vec<ReplicaState> {
        let id = id.parse::<ReplicaId>().unwrap();
        let mut story: Vec<_> = self
            .log
            .iter()
            .flat_map(|r| &r.replicas)
            .filter(|r| r.id == id)
            .filter_map(|r| r.observation.as_ref().map(|o| o.state))
            .collect();
        story.dedup();
        story
    }
}

//! The cluster of a scenario, what was done with it, and what is known of its log.
//!
//! In: events of the scenario, one after the other. Out: everything that invariants look at. It judges
//! nothing.

pub mod acks;
pub mod eyes;
pub mod heal;
pub mod manifest;
pub mod operate;
mod settled;
mod strike;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use jaco_api::model::{ContainerSpec, NodeId};
use jaco_engine::{
    raft::RaftTiming,
    testing::{
        Cluster, Replay,
        cluster::{EPOCH, host_name},
        network::Weather,
        replay::{Content, ReplayError, Step},
    },
};
use jaco_runtime::{
    container::{ContainerRequest, ContainerRuntime as _, Labels, label},
    testing::FakeRuntime,
};
use tokio::{sync::mpsc, time::Instant};

use self::{
    acks::Fact,
    eyes::{Eyes, Sighting},
    operate::{Answer, Operator, host_of},
    strike::Undo,
};
use crate::{
    sabotage::Sabotage,
    scenario::{Operation, Scenario},
    trace::Trace,
};

/// What a run cannot go on without.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// An entry that was committed cannot be read.
    #[error("a committed entry cannot be read")]
    Replay(#[from] ReplayError),
    /// A node does not start.
    #[error("the node of host {host} does not start")]
    Start {
        /// The host.
        host: usize,
        /// Why not.
        source: jaco_engine::NodeError,
    },
}

/// A cluster with its history.
pub struct World {
    /// The hosts.
    pub cluster: Cluster,
    /// The committed log.
    pub replay: Replay,
    /// What was acknowledged, and when.
    pub acks: Vec<(Duration, Fact)>,
    /// What happened.
    pub trace: Trace,
    /// Operations that were begun, by kind of event where a second application would show.
    pub attempts: BTreeMap<String, u64>,
    began: Instant,
    hosts: usize,
    eyes: Arc<Eyes>,
    /// The highest commit index that each host's node knew of.
    commits: Vec<u64>,
    undo: Vec<(Instant, Undo)>,
    answers: (mpsc::UnboundedSender<Reply>, mpsc::UnboundedReceiver<Reply>),
    begun: u64,
    /// Who votes by the committed log; two sets while they change.
    voters: Vec<BTreeSet<NodeId>>,
    /// How long messages are under way when all is well.
    delay: (Duration, Duration),
    /// A host that lost its disk and has not joined again.
    reinstalled: Option<usize>,
    sabotage: Option<Sabotage>,
}

type Reply = (u64, Answer);

impl World {
    /// The cluster of a scenario, formed, in good weather.
    ///
    /// # Errors
    /// [`WorldError::Start`].
    pub async fn of(
        root: &Path,
        scenario: &Scenario,
        sabotage: Option<Sabotage>,
        trace: Trace,
    ) -> Result<Self, WorldError> {
        let eyes = Arc::new(Eyes::new(sabotage));
        let (snapshot_every, keep) = scenario.snapshots;
        let timing = RaftTiming { snapshot_every, keep, ..RaftTiming::default() };
        let mut cluster = Cluster::new(root, scenario.seed).timing(timing).onlooker(eyes.clone());
        cluster.network().set_weather(Weather { delay: scenario.delay, lost_permille: 0 });
        cluster = cluster.with_members(scenario.members).await;
        for _ in scenario.members..scenario.hosts {
            cluster.add_host();
        }
        let mut world = Self {
            cluster,
            replay: Replay::default(),
            acks: Vec::new(),
            trace,
            attempts: BTreeMap::new(),
            began: Instant::now(),
            hosts: scenario.hosts,
            eyes,
            commits: vec![0; scenario.hosts],
            undo: Vec::new(),
            answers: mpsc::unbounded_channel(),
            begun: 0,
            voters: Vec::new(),
            delay: scenario.delay,
            reinstalled: None,
            sabotage,
        };
        for at in 0..scenario.hosts {
            world.start(at).await?;
            let host = world.cluster.host(at);
            furnish(host.engine()).await;
            world.eyes.watch(host.name().as_str(), host.engine());
            host.disk().set_lies(sabotage == Some(Sabotage::ForgetfulDisks));
        }
        world.recognise();
        Ok(world)
    }

    /// How long the simulation has been going on.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Notes something that happened.
    pub fn note(&mut self, what: std::fmt::Arguments<'_>) {
        self.trace.note(self.began.elapsed(), what);
    }

    /// What nodes did to their engines since the last call.
    pub fn sightings(&mut self) -> Vec<Sighting> {
        let sightings = self.eyes.take();
        for seen in sightings.iter().filter(|s| s.done) {
            self.trace.note(seen.at, format_args!("{} {:?}", seen.host, shown(seen)));
        }
        sightings
    }

    /// Who is a member now: nodes begin and end their memberships themselves.
    pub fn recognise(&mut self) {
        for host in self.cluster.hosts() {
            self.eyes.recognise(host.name().as_str(), host.membership().as_ref());
        }
        if let Some(at) = self.reinstalled
            && self.cluster.host(at).membership().is_some()
        {
            self.reinstalled = None;
        }
    }

    /// Starts the node of a host.
    pub(crate) async fn start(&mut self, at: usize) -> Result<(), WorldError> {
        let started = self.cluster.start(at).await;
        started.map_err(|source| WorldError::Start { host: at, source })?;
        let host = self.cluster.host(at);
        self.eyes.recognise(host.name().as_str(), host.membership().as_ref());
        Ok(())
    }

    /// Somebody begins to do something through the node of a host.
    pub fn operate(&mut self, operation: Operation, through: usize) {
        let alive = |at: usize| self.cluster.node(at).is_some();
        if !alive(through) {
            return self.note(format_args!("{operation:?}: nobody answers on {through}"));
        }
        self.begun += 1;
        let (number, answers) = (self.begun, self.answers.0.clone());
        let there = host_of(&operation).filter(|at| alive(*at));
        let operator = Operator {
            through: self.cluster.client(through),
            there: there.map(|at| self.cluster.client(at)),
            hosts: self.hosts,
        };
        if let Some(kind) = attempt(&operation) {
            *self.attempts.entry(kind).or_insert(0) += 1;
        }
        self.note(format_args!("#{number} {operation:?} through {through}"));
        tokio::spawn(async move {
            let answer = operator.perform(operation).await;
            // The run may be over.
            let _ = answers.send((number, answer));
        });
    }

    /// Takes in the answers that have come.
    pub fn hear(&mut self) {
        while let Ok((number, answer)) = self.answers.1.try_recv() {
            match answer {
                Answer::Done(fact) => {
                    self.note(format_args!("#{number} done"));
                    let fact = fact.map(|fact| self.invented(fact));
                    let now = self.now();
                    self.acks.extend(fact.map(|fact| (now, fact)));
                }
                Answer::Failed(why) => self.note(format_args!("#{number} failed: {why}")),
            }
        }
    }

    fn invented(&self, mut fact: Fact) -> Fact {
        if self.sabotage == Some(Sabotage::InventedWrite) && self.acks.len() == 5 {
            fact.payload.insert("deployment", "never-applied".to_owned());
        }
        fact
    }

    /// Takes in what was committed since the last call.
    ///
    /// # Errors
    /// [`WorldError::Replay`].
    pub fn follow(&mut self) -> Result<Vec<Step>, WorldError> {
        for (known, host) in self.commits.iter_mut().zip(self.cluster.hosts()) {
            let commit = host.status().filter(|s| s.initialized).map_or(0, |s| s.commit);
            *known = commit.max(*known);
        }
        let mut steps = Vec::new();
        while let Some(entry) = self.committed(self.replay.next()) {
            let step = self.replay.apply(entry)?;
            if let Content::Members { voters, .. } = &step.content {
                self.voters.clone_from(voters);
            }
            steps.push(step);
        }
        Ok(steps)
    }

    /// The committed entry at an index, from any disk whose node has known that it is committed.
    fn committed(&self, index: u64) -> Option<jaco_engine::testing::disk::Entry> {
        let knows = self.commits.iter().zip(self.cluster.hosts());
        knows.filter(|(commit, _)| **commit >= index).find_map(|(_, h)| h.disk().entry(index))
    }

    /// Notes how far the log and the nodes are, when that is news.
    pub fn show_progress(&mut self, steps: &[Step]) {
        if steps.is_empty() {
            return;
        }
        let mut line = format!("log at {}", self.replay.next());
        for host in self.cluster.hosts() {
            let (name, status) = (host.name(), host.status());
            line += &status.map_or_else(
                || format!(" {name}:-"),
                |s| {
                    format!(
                        " {name}:{}@{}{}",
                        s.applied,
                        s.term,
                        if s.is_leader { "*" } else { "" }
                    )
                },
            );
        }
        self.note(format_args!("{line}"));
    }

    /// Starts a copy of some container of the cluster on another host, as nobody may.
    pub async fn copy_a_container(&mut self) {
        let ours = |host: &jaco_engine::testing::Host| {
            let all = host.engine().containers().into_iter();
            all.into_iter().find(|c| {
                let foreign = |cluster: &String| cluster == FOREIGN_CLUSTER;
                c.labels.get(label::CLUSTER).is_some_and(|c| !foreign(c)) && c.status.is_alive()
            })
        };
        let mut found = self.cluster.hosts().iter().enumerate();
        let Some((at, container)) = found.find_map(|(at, host)| Some((at, ours(host)?))) else {
            return;
        };
        let other = (at + 1) % self.hosts;
        let request = bare(format!("{}-copy", container.name), container.labels, "app:1");
        let engine = self.cluster.host(other).engine().clone();
        if other != at
            && let Ok(id) = engine.foreign(request).await
        {
            // It may be away.
            let _ = engine.start(&id).await;
        }
    }

    /// The highest index that a host's node has known to be committed.
    #[must_use]
    pub fn commit_of(&self, host: usize) -> u64 {
        self.commits[host]
    }
}

/// What a second application of an operation would show as: the kind of its event and its deployment.
fn attempt(operation: &Operation) -> Option<String> {
    match operation {
        Operation::Restart(d) => Some(format!("restart {}", d.name())),
        Operation::Rollback(d) => Some(format!("rollback {}", d.name())),
        _ => None,
    }
}

/// An act without what does not follow from the seed.
fn shown(seen: &Sighting) -> String {
    use jaco_engine::testing::engine::Act;
    match &seen.act {
        Act::Create(name, _) => format!("create {name}"),
        act => format!("{act:?}"),
    }
}

/// The label of another cluster.
pub const FOREIGN_CLUSTER: &str = "00000000-0000-0000-0000-0000000000ff";

/// What an engine has before anybody asks it: images, and containers of others.
async fn furnish(engine: &FakeRuntime) {
    engine.no_such_image("missing:1");
    let theirs = Labels::from([
        (label::CLUSTER.to_owned(), FOREIGN_CLUSTER.to_owned()),
        (label::REPLICA.to_owned(), "web.app.1".to_owned()),
        (label::GENERATION.to_owned(), "1".to_owned()),
    ]);
    for (name, labels) in [("jaco.theirs", theirs), ("postgres", Labels::new())] {
        let request = bare(name.to_owned(), labels, "other:1");
        let id = engine.foreign(request).await.expect("an engine in memory makes it");
        engine.start(&id).await.expect("an engine in memory starts it");
    }
}

/// A container that is made by somebody else, with nothing but its name, labels and image.
fn bare(name: String, labels: Labels, image: &str) -> ContainerRequest {
    let spec = ContainerSpec { image: image.to_owned(), ..ContainerSpec::default() };
    let (networks, files) = (Vec::new(), Vec::new());
    ContainerRequest { name, labels, spec: Arc::new(spec), networks, files, lead: None }
}

/// The host's name, for what is shown.
#[must_use]
pub fn name(at: usize) -> String {
    host_name(at).to_string()
}

/// What clocks show at first.
pub const BEGINNING: jaco_api::model::Timestamp = EPOCH;

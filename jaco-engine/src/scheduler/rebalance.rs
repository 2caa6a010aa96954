//! Moves one replica at a time from a hot node to a cold one.
//!
//! In: the state, the newest samples of nodes and replicas, the time since the last cycle. Out: at
//! most one move with its reason, and why hot nodes were left alone. What it remembers (averages,
//! cool-downs) is the leader's and is lost with its term. It never moves what is tied to its node,
//! what a rollout is changing, or anything that a second copy of would hurt.

use std::{collections::BTreeMap, time::Duration};

use jaco_api::model::{
    Deployment, DeploymentName, DeploymentPhase, Intent, Node, NodeId, NodeStatus, Replica,
    ReplicaId, Revision, ServiceName, Timestamp,
};

use super::{
    Readings,
    input::{Service, active_rollout},
    pass::Pass,
    place::Board,
};
use crate::state::State;

/// How often the rebalancer looks.
pub const CYCLE: Duration = Duration::from_secs(30);
/// Averages forget older samples in about this time.
const MEMORY: Duration = Duration::from_secs(300);
/// A node is hot from here on, in thousandths of its capacity.
const HOT: f64 = 850.0;
/// For so many cycles in a row.
const HOT_CYCLES: u32 = 2;
/// The destination is colder by this much.
const GAP: f64 = 250.0;
/// The node is relieved of at least this much.
const RELIEF: u32 = 100;
/// The destination stays below this.
const WARM: f64 = 750.0;
/// A replica is not moved again for so long.
const REPLICA_REST: Duration = Duration::from_secs(600);
/// No other replica is moved to a node for so long.
const NODE_REST: Duration = Duration::from_secs(120);

/// What is used, in thousandths of a node's capacity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Processor time.
    pub cpu: u32,
    /// Memory.
    pub memory: u32,
}

impl Load {
    /// The scarcer of both.
    #[must_use]
    pub fn pressure(self) -> u32 {
        self.cpu.max(self.memory)
    }
}

/// The newest samples: of nodes that are heard of, and of replicas on them. Those of replicas are in
/// thousandths of the capacity of their node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Samples {
    /// By node.
    pub nodes: BTreeMap<NodeId, Load>,
    /// By replica.
    pub replicas: BTreeMap<ReplicaId, Load>,
}

/// A move that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relocation {
    /// The replica that goes.
    pub replica: ReplicaId,
    /// The version of its deployment that this was decided from.
    pub version: u64,
    /// Where it runs.
    pub from: NodeId,
    /// Where its successor runs.
    pub to: NodeId,
    /// What it uses where it runs, in thousandths of that node.
    pub relief: u32,
    /// What its successor is going to use, in thousandths of its node.
    pub burden: u32,
    /// Why, for the audit log.
    pub reason: String,
}

/// What one cycle came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cycle {
    /// The move.
    pub relocation: Option<Relocation>,
    /// Hot nodes that nothing is moved from, and why.
    pub skipped: Vec<(NodeId, String)>,
}

/// Averages and cool-downs of one term.
#[derive(Debug, Default)]
pub struct Rebalancer {
    /// Time since the first cycle.
    age: Duration,
    nodes: BTreeMap<NodeId, Heat>,
    /// When replicas were moved, by the age then.
    replicas: BTreeMap<ReplicaId, Duration>,
    /// When nodes were moved to.
    destinations: BTreeMap<NodeId, Duration>,
}

/// How loaded a node has been.
#[derive(Debug, Clone, Copy)]
struct Heat {
    average: f64,
    /// Cycles in a row in which it was hot.
    hot: u32,
}

impl Rebalancer {
    /// One cycle, `elapsed` after the last one.
    pub fn cycle(&mut self, state: &State, samples: &Samples, elapsed: Duration) -> Cycle {
        self.age += elapsed;
        self.take_in(samples, elapsed);
        let age = self.age;
        self.replicas.retain(|_, at| age - *at < REPLICA_REST);
        self.destinations.retain(|_, at| age - *at < NODE_REST);
        let mut cycle = Cycle::default();
        let mut hot: Vec<_> = self.nodes.iter().filter(|(_, h)| h.average >= HOT).collect();
        hot.sort_by(|(a, x), (b, y)| y.average.total_cmp(&x.average).then(a.cmp(b)));
        for (node, heat) in hot {
            let found = match state.node(*node) {
                _ if heat.hot < HOT_CYCLES => Err("it is hot for the first time".to_owned()),
                Some(node) => Search { state, samples, rebalancer: self, node, heat }.run(),
                None => continue,
            };
            match found {
                Ok(relocation) => {
                    cycle.relocation = Some(relocation);
                    break;
                }
                Err(why) => cycle.skipped.push((*node, why)),
            }
        }
        cycle
    }

    /// A move was made: replica and destination are left alone for a while. The averages take it in
    /// at once: they would learn of it only after several further moves.
    pub fn note(&mut self, relocation: &Relocation) {
        self.replicas.insert(relocation.replica.clone(), self.age);
        self.destinations.insert(relocation.to, self.age);
        if let Some(heat) = self.nodes.get_mut(&relocation.from) {
            heat.average = (heat.average - f64::from(relocation.relief)).max(0.0);
        }
        if let Some(heat) = self.nodes.get_mut(&relocation.to) {
            heat.average += f64::from(relocation.burden);
        }
    }

    /// Exponentially weighted averages; a node without a sample is not known any more.
    fn take_in(&mut self, samples: &Samples, elapsed: Duration) {
        let weight = 1.0 - (-elapsed.as_secs_f64() / MEMORY.as_secs_f64()).exp();
        let mut nodes = BTreeMap::new();
        for (node, load) in &samples.nodes {
            let sample = f64::from(load.pressure());
            let heat = match self.nodes.get(node) {
                None => Heat { average: sample, hot: 0 },
                Some(heat) => {
                    Heat { average: heat.average + weight * (sample - heat.average), ..*heat }
                }
            };
            let hot = if heat.average >= HOT { heat.hot + 1 } else { 0 };
            nodes.insert(*node, Heat { hot, ..heat });
        }
        self.nodes = nodes;
    }

    /// Whether a replica, or the one it came from, was moved a short while ago.
    fn rests(&self, replica: &Replica) -> bool {
        let moved = |id| self.replicas.contains_key(id);
        moved(&replica.id) || replica.replaces.as_ref().is_some_and(moved)
    }
}

/// Looking for a replica to move from one hot node.
struct Search<'a> {
    state: &'a State,
    samples: &'a Samples,
    rebalancer: &'a Rebalancer,
    node: &'a Node,
    heat: &'a Heat,
}

impl<'a> Search<'a> {
    fn run(&self) -> Result<Relocation, String> {
        let cold = self.cold_nodes();
        if cold.is_empty() {
            return Err("no ready node is colder by 0.25 and has rested".to_owned());
        }
        let mut candidates: Vec<_> = self
            .state
            .replicas_on(self.node.id)
            .filter_map(|r| Some((self.relief(r)?, &**r)))
            .filter(|(relief, _)| *relief >= RELIEF)
            .collect();
        if candidates.is_empty() {
            return Err("no replica uses as much as 0.10 of it".to_owned());
        }
        candidates.sort_by_key(|(relief, r)| (std::cmp::Reverse(*relief), r.id.clone()));
        candidates.retain(|(_, r)| self.movable(r).is_some());
        if candidates.is_empty() {
            return Err("what would relieve it cannot be moved now".to_owned());
        }
        let found = candidates.iter().find_map(|(relief, r)| self.destination(r, *relief, &cold));
        found.ok_or_else(|| "no colder node may take what would relieve it".to_owned())
    }

    /// Nodes that are cold enough, the coldest first.
    fn cold_nodes(&self) -> Vec<(&'a Node, f64)> {
        let rested = |id: &NodeId| !self.rebalancer.destinations.contains_key(id);
        let mut cold: Vec<_> = self
            .rebalancer
            .nodes
            .iter()
            .filter(|(id, heat)| self.heat.average - heat.average >= GAP && rested(id))
            .filter_map(|(id, heat)| Some((&**self.state.node(*id)?, heat.average)))
            .filter(|(node, _)| node.status == NodeStatus::Ready)
            .collect();
        cold.sort_by(|(a, x), (b, y)| x.total_cmp(y).then(a.id.cmp(&b.id)));
        cold
    }

    /// What a replica uses of what is scarcest on the hot node.
    fn relief(&self, replica: &Replica) -> Option<u32> {
        let of_node = self.samples.nodes.get(&self.node.id)?;
        let own = self.samples.replicas.get(&replica.id)?;
        Some(if of_node.cpu >= of_node.memory { own.cpu } else { own.memory })
    }

    /// The deployment, revision and service of a replica that may be moved now.
    fn movable(
        &self,
        replica: &Replica,
    ) -> Option<(&'a Deployment, &'a Revision, &'a DeploymentName, &'a ServiceName)> {
        let state = self.state;
        let deployment = state.deployment(&replica.id.deployment)?;
        let revision = state.revision_in_force(&deployment.name)?;
        let (name, planned) = revision.services.get_key_value(&replica.id.service)?;
        let quiet = deployment.phase == DeploymentPhase::Running
            && active_rollout(deployment).is_none()
            && replica.intent == Intent::Run
            && replica.is_running()
            && state.is_current(replica);
        let successor = |r: &&std::sync::Arc<Replica>| r.replaces.as_ref() == Some(&replica.id);
        let moves = planned.schedule.moves_start_first() && !self.rebalancer.rests(replica);
        let mut others = state.replicas_of_service(&deployment.name, name);
        (quiet && moves && others.find(successor).is_none()).then_some((
            &**deployment,
            &**revision,
            &deployment.name,
            name,
        ))
    }

    /// The coldest node that may take a replica and stays below what is warm.
    fn destination(
        &self,
        replica: &Replica,
        relief: u32,
        cold: &[(&'a Node, f64)],
    ) -> Option<Relocation> {
        let (deployment, revision, _, name) = self.movable(replica)?;
        let readings = Readings::default();
        let mut pass = Pass::new(self.state, Timestamp(0), &readings);
        let service = Service::new(&pass, deployment, revision, name, &revision.services[name]);
        let mut board = Board::new(&pass, &service, |_| true);
        let load = self.samples.replicas.get(&replica.id)?;
        let (to, cold) = cold.iter().find(|(to, average)| {
            average + f64::from(self.scaled(load, to)) < WARM
                && board.may_move(&mut pass, &service, self.node, to.id)
        })?;
        let share = |permille: f64| permille / 1000.0;
        Some(Relocation {
            replica: replica.id.clone(),
            version: deployment.version,
            from: self.node.id,
            to: to.id,
            relief,
            burden: self.scaled(load, to),
            reason: format!(
                "{} is at {:.2}, {} at {:.2}; it uses {:.2}",
                self.node.name,
                share(self.heat.average),
                to.name,
                share(*cold),
                share(f64::from(relief)),
            ),
        })
    }

    /// What a load on the hot node is on another one: of what is scarcer there.
    fn scaled(&self, load: &Load, to: &Node) -> u32 {
        let part = |used: u32, here: u64, there: u64| match (here, there) {
            (0, _) | (_, 0) => used,
            (here, there) => {
                let there_used = u128::from(used) * u128::from(here) / u128::from(there);
                u32::try_from(there_used).unwrap_or(u32::MAX)
            }
        };
        let (here, there) = (&self.node.facts, &to.facts);
        let cpu = part(load.cpu, here.cpu_millis, there.cpu_millis);
        cpu.max(part(load.memory, here.memory_bytes, there.memory_bytes))
    }
}

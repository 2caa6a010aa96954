//! Every wanted container's output as one stream.
//!
//! Follows the state: containers that appear are read from their start, those that run again are
//! read on, those that cannot be read are tried again and again. What cannot be read is a gap, told
//! once, and never the end of the stream.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, stream::BoxStream, stream::SelectAll};
use jaco_api::{
    model::{LogPosition, NodeId, NodeName, Replica, ReplicaId},
    pb,
};
use tokio::time::Instant;

use super::{
    super::stream::{Gone, Reader},
    Chosen, LINES, LogQuery,
    order::by_time,
    outputs::{Failure, Item, Outputs},
    position::Unread,
};
use crate::{retry::Backoff, state::State, watch::StateWatch};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The output of one replica's container, as far as it was read.
struct Reading {
    container: String,
    node: NodeId,
    generation: u64,
    /// Restarts of the container that were seen.
    restarts: u32,
    phase: Phase,
    /// What was asked for at first.
    query: LogQuery,
    position: Option<LogPosition>,
    /// Tells the present stream from earlier ones, whose last lines may still come.
    serial: u64,
    /// Tells the trouble with this container alone, until a line comes of it again.
    trouble: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Read to the end of a run.
    Ended,
    /// It cannot be read because of this, for now.
    Lost(Place),
}

/// What is out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Node(NodeId),
    /// One container, by its reading's `trouble`.
    Container(u64),
}

/// Something that cannot be read, and was told.
struct Outage {
    pauses: Backoff,
    due: Instant,
}

/// Every wanted container's output as one stream.
pub(super) struct Merge {
    watch: StateWatch,
    outputs: Outputs,
    chosen: Chosen,
    query: LogQuery,
    /// How far an earlier stream of the same reader got.
    after: BTreeMap<ReplicaId, LogPosition>,
    readings: BTreeMap<ReplicaId, Reading>,
    outages: BTreeMap<Place, Outage>,
    lines: SelectAll<BoxStream<'static, (ReplicaId, u64, Item)>>,
    serial: u64,
}

/// What to read of a container.
struct Due {
    query: LogQuery,
    position: Option<LogPosition>,
}

impl Merge {
    pub(super) fn new(
        watch: StateWatch,
        outputs: Outputs,
        chosen: Chosen,
        query: LogQuery,
        after: BTreeMap<ReplicaId, LogPosition>,
    ) -> Self {
        Self {
            watch,
            outputs,
            chosen,
            query,
            after,
            readings: BTreeMap::new(),
            outages: BTreeMap::new(),
            lines: SelectAll::new(),
            serial: 0,
        }
    }

    pub(super) async fn run(mut self, reader: Reader<pb::LogBatch>) -> Result<(), Gone> {
        let mut first = true;
        loop {
            let state = self.watch.newest();
            self.open_due(&state, std::mem::take(&mut first));
            if !self.query.follow && self.lines.is_empty() {
                return Ok(());
            }
            let next_try = self.next_try();
            tokio::select! {
                item = self.lines.next(), if !self.lines.is_empty() => {
                    let batch = item.map(|item| self.gather(item, &state)).unwrap_or_default();
                    if !batch.lines.is_empty() || !batch.gaps.is_empty() {
                        reader.send(batch).await?;
                    }
                }
                changed = self.watch.changed(), if self.query.follow => {
                    changed.map_err(|_| Gone)?;
                }
                () = tokio::time::sleep_until(next_try.unwrap_or_else(Instant::now)),
                    if next_try.is_some() => {}
                () = reader.gone() => return Err(Gone),
            }
        }
    }

    /// Opens the output of containers that are not read: new ones, those that run again after an
    /// end, those that could not be read and are due for another try.
    fn open_due(&mut self, state: &State, first: bool) {
        let now = Instant::now();
        self.readings.retain(|id, _| state.replica(id).is_some());
        let due = |(_, outage): &(&Place, &Outage)| self.query.follow && outage.due <= now;
        let tried: BTreeSet<Place> =
            self.outages.iter().filter(due).map(|(place, _)| *place).collect();
        for replica in self.chosen.replicas(state) {
            let Some(container) = replica.observed.container.clone() else { continue };
            if let Some(due) = self.due(&replica, &container, first, &tried) {
                self.open(state, &replica, container, due);
            }
        }
        let readings = &self.readings;
        self.outages.retain(|place, _| match *place {
            Place::Node(node) => readings.values().any(|r| r.node == node),
            Place::Container(trouble) => readings.values().any(|r| r.trouble == Some(trouble)),
        });
        for place in tried {
            if let Some(outage) = self.outages.get_mut(&place) {
                outage.due = now + outage.pauses.pause();
            }
        }
    }

    /// What to read of a replica's container; nothing while it is being read, or was read to the
    /// end of its last run.
    fn due(
        &self,
        replica: &Replica,
        container: &str,
        first: bool,
        tried: &BTreeSet<Place>,
    ) -> Option<Due> {
        // A container that appears while we follow is read from its start.
        let whole = Due { query: LogQuery { tail: None, ..self.query }, position: None };
        let Some(reading) = self.readings.get(&replica.id) else {
            let generation = replica.observed.generation;
            return match self.after.get(&replica.id) {
                Some(position) if position.generation == generation => {
                    Some(self.on_from(self.query, Some(*position)))
                }
                // This node does not know of the container yet that was read already.
                Some(position) if position.generation > generation => None,
                None if first => Some(Due { query: self.query, position: None }),
                Some(_) | None => Some(whole),
            };
        };
        if reading.container != container {
            return Some(whole);
        }
        match reading.phase {
            Phase::Ended if reading.restarts != replica.observed.restarts => {
                let query = LogQuery { tail: None, ..self.query };
                Some(self.on_from(query, reading.position))
            }
            Phase::Lost(place) if tried.contains(&place) => {
                Some(self.on_from(reading.query, reading.position))
            }
            Phase::Open | Phase::Ended | Phase::Lost(_) => None,
        }
    }

    /// The rest after a position; without one, what was asked for.
    fn on_from(&self, query: LogQuery, position: Option<LogPosition>) -> Due {
        let query = match position {
            Some(position) => LogQuery { since: Some(position.at), tail: None, ..query },
            None => query,
        };
        Due { query, position }
    }

    fn open(&mut self, state: &State, replica: &Replica, container: String, due: Due) {
        let Due { query, position } = due;
        let node = state.node(replica.node).map(|n| &**n);
        let output = self.outputs.open(replica, node, &container, query);
        let (id, mut unread) = (replica.id.clone(), Unread::from(position));
        self.serial += 1;
        let serial = self.serial;
        let tagged = output.filter_map(move |item| {
            let wanted = match &item {
                Item::Line(line) => unread.wants(line.at),
                Item::Opened | Item::Failed(_) | Item::End => true,
            };
            std::future::ready(wanted.then(|| (id.clone(), serial, item)))
        });
        self.lines.push(tagged.boxed());
        let before = self.readings.get(&replica.id).filter(|r| r.container == container);
        let reading = Reading {
            node: replica.node,
            generation: replica.observed.generation,
            restarts: replica.observed.restarts,
            phase: Phase::Open,
            query: before.map_or(query, |r| r.query),
            trouble: before.and_then(|r| r.trouble),
            position,
            serial,
            container,
        };
        self.readings.insert(replica.id.clone(), reading);
    }

    /// When something is tried again.
    fn next_try(&self) -> Option<Instant> {
        if !self.query.follow {
            return None;
        }
        let lost = self.readings.values().filter_map(|reading| reading.phase.lost());
        lost.filter_map(|place| self.outages.get(&place)).map(|outage| outage.due).min()
    }

    /// This item and those that are ready.
    fn gather(&mut self, first: (ReplicaId, u64, Item), state: &State) -> pb::LogBatch {
        let mut batch = pb::LogBatch::default();
        let mut next = Some(first);
        while let Some((replica, serial, item)) = next {
            self.take(&replica, serial, item, state, &mut batch);
            if batch.lines.len() >= LINES {
                break;
            }
            next = self.lines.next().now_or_never().flatten();
        }
        by_time(&mut batch.lines);
        batch
    }

    fn take(
        &mut self,
        replica: &ReplicaId,
        serial: u64,
        item: Item,
        state: &State,
        batch: &mut pb::LogBatch,
    ) {
        let Some(reading) = self.readings.get_mut(replica) else { return };
        let present = reading.serial == serial;
        match item {
            Item::Opened => drop(self.outages.remove(&Place::Node(reading.node))),
            Item::Line(line) => {
                if present {
                    let at = line.at;
                    if let Some(trouble) = reading.trouble.take() {
                        self.outages.remove(&Place::Container(trouble));
                    }
                    reading.position =
                        Some(LogPosition::after(reading.position, reading.generation, at));
                }
                batch.lines.push(pb::LogLine {
                    replica: replica.to_string(),
                    node: name_of(state, reading.node),
                    at: line.at.0,
                    stderr: line.stderr,
                    text: line.text,
                    generation: reading.generation,
                });
            }
            Item::Failed(failure) if present => {
                let gap = self.lose(replica, failure, state);
                batch.gaps.extend(gap);
            }
            Item::End if present && reading.phase == Phase::Open => reading.phase = Phase::Ended,
            Item::Failed(_) | Item::End => {}
        }
    }

    /// Notes that a container cannot be read; what is to be told of it, the first time.
    fn lose(&mut self, replica: &ReplicaId, failure: Failure, state: &State) -> Option<pb::LogGap> {
        let reading = self.readings.get_mut(replica)?;
        let place = match failure.whole_node {
            true => Place::Node(reading.node),
            false => Place::Container(*reading.trouble.get_or_insert(reading.serial)),
        };
        reading.phase = Phase::Lost(place);
        let node = name_of(state, reading.node);
        let known = self.outages.contains_key(&place);
        self.outages.entry(place).or_insert_with(|| {
            let mut pauses = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
            let due = Instant::now() + pauses.pause();
            Outage { pauses, due }
        });
        let replica = if failure.whole_node { String::new() } else { replica.to_string() };
        (!known).then_some(pb::LogGap { replica, node, message: failure.message })
    }
}

impl Phase {
    fn lost(self) -> Option<Place> {
        match self {
            Self::Lost(place) => Some(place),
            Self::Open | Self::Ended => None,
        }
    }
}

fn name_of(state: &State, node: NodeId) -> String {
    state.node(node).map(|n| &n.name).map_or_else(|| node.to_string(), NodeName::to_string)
}

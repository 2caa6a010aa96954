//! Which node takes a replica.
//!
//! In: a service with its replicas and the load of the nodes. Out: one node at a time, or why there
//! is none. Before all else, replicas are spread over the values of the labels that the service
//! prefers. Then `spread` and `hosts` take the node with the fewest replicas of the service, then the
//! fewest in all; `pack` the fullest one that still fits. Of equal nodes the one under the least
//! pressure is taken, and then by a hash of service and node, so that services do not all begin on
//! the same one.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use jaco_api::model::{Node, NodeId, Placement, Replica};

use super::{
    filter::{Refusal, explain, refuses},
    input::Service,
    pass::Pass,
};

/// The nodes that may take replicas of one service, and why the others may not.
pub(super) struct Board<'a> {
    seats: Vec<Seat<'a>>,
    groups: Groups<'a>,
    /// Positions of the seats that still have room, best first.
    best: BinaryHeap<Reverse<(Rank, usize)>>,
    refusals: BTreeMap<Refusal, u32>,
    pack: bool,
    limit: u32,
}

/// A node that may take replicas.
struct Seat<'a> {
    node: &'a Node,
    /// Replicas of the service's present content there.
    current: u32,
    /// Replicas of the service there, those that are replaced included.
    all: u32,
    /// What replicas of the service that are replaced have reserved there: it is theirs to take
    /// over.
    outgoing: u32,
    /// The groups it belongs to, the widest first.
    groups: Vec<usize>,
    hash: u64,
}

/// Lower is better: replicas in the groups of the node, then what the placement counts, pressure,
/// hash.
type Rank = (Vec<(u32, u32)>, [u64; 3], u32, u64);

/// Nodes that have the values of the first labels in common, the labels being those that replicas
/// are spread over. Nodes without a label share its absence.
#[derive(Default)]
struct Groups<'a> {
    labels: &'a [String],
    known: BTreeMap<Vec<Option<&'a str>>, usize>,
    /// Replicas of the present content, and all that are there.
    counts: Vec<(u32, u32)>,
}

impl<'a> Groups<'a> {
    /// The groups of a node, the widest first.
    fn of(&mut self, node: &'a Node) -> Vec<usize> {
        let values: Vec<_> =
            self.labels.iter().map(|label| node.labels.get(label).map(String::as_str)).collect();
        (1..=values.len())
            .map(|depth| {
                let next = self.counts.len();
                let at = *self.known.entry(values[..depth].to_vec()).or_insert(next);
                if at == next {
                    self.counts.push((0, 0));
                }
                at
            })
            .collect()
    }
}

impl<'a> Board<'a> {
    /// The nodes for a service whose replicas are those that `stay`.
    pub(super) fn new(
        pass: &Pass<'a>,
        service: &Service<'a>,
        stay: impl Fn(&Replica) -> bool,
    ) -> Self {
        let pins = pass.pins(service.planned);
        let ask = service.ask(&pins);
        let mut board = Self {
            seats: Vec::new(),
            groups: Groups { labels: &service.planned.schedule.spread_over, ..Groups::default() },
            best: BinaryHeap::new(),
            refusals: BTreeMap::new(),
            pack: *service.placement == Placement::Pack,
            limit: service.planned.schedule.max_replicas_per_node,
        };
        for node in pass.state.nodes().filter(|n| pass.left_out != Some(n.id)) {
            match refuses(&ask, node) {
                Some(refusal) => *board.refusals.entry(refusal).or_default() += 1,
                None => {
                    let groups = board.groups.of(node);
                    board.seats.push(Seat::new(node, service, groups));
                }
            }
        }
        for replica in service.current.iter().filter(|r| stay(r)) {
            board.count(replica.node, |seat| seat.current += 1);
        }
        for outgoing in service.outgoing.iter().filter(|o| stay(o.replica)) {
            board.count(outgoing.replica.node, |seat| seat.outgoing += 1);
        }
        for replica in service.present().filter(|r| stay(r)) {
            board.count(replica.node, |seat| seat.all += 1);
        }
        board.count_groups(pass, service, stay);
        let ranked = |at: usize| Reverse((board.rank(pass, &board.seats[at]), at));
        board.best = (0..board.seats.len()).map(ranked).collect();
        board
    }

    /// What is in a group counts wherever it is, also on nodes that take no more.
    fn count_groups(
        &mut self,
        pass: &Pass<'a>,
        service: &Service<'a>,
        stay: impl Fn(&Replica) -> bool,
    ) {
        if self.groups.labels.is_empty() {
            return;
        }
        let current = service.current.iter().map(|r| (*r, 1));
        let outgoing = service.outgoing.iter().map(|o| (o.replica, 0));
        for (replica, of_present) in current.chain(outgoing).filter(|(r, _)| stay(r)) {
            let Some(node) = pass.state.node(replica.node) else { continue };
            for at in self.groups.of(node) {
                self.groups.counts[at].0 += of_present;
                self.groups.counts[at].1 += 1;
            }
        }
    }

    /// Nodes are in order of their numbers.
    fn count(&mut self, node: NodeId, change: impl FnOnce(&mut Seat<'a>)) {
        if let Ok(at) = self.seats.binary_search_by_key(&node, |seat| seat.node.id) {
            change(&mut self.seats[at]);
        }
    }

    /// Puts one more replica on the best node.
    ///
    /// # Errors
    /// Why no node can take it: the filters and their counts.
    pub(super) fn take(
        &mut self,
        pass: &mut Pass<'a>,
        service: &Service<'a>,
    ) -> Result<NodeId, String> {
        while let Some(Reverse((rank, at))) = self.best.pop() {
            let present = self.rank(pass, &self.seats[at]);
            if present > rank {
                // Another node of its groups was taken meanwhile.
                self.best.push(Reverse((present, at)));
                continue;
            }
            if let Some(refusal) = self.has_no_room(pass, service, at) {
                // What is full stays full: only this board fills it.
                *self.refusals.entry(refusal).or_default() += 1;
                continue;
            }
            let node = self.seats[at].node.id;
            self.seats[at].current += 1;
            self.seats[at].all += 1;
            for group in &self.seats[at].groups {
                self.groups.counts[*group].0 += 1;
                self.groups.counts[*group].1 += 1;
            }
            pass.note_placed(service.planned, node);
            pass.blocks.promise(pass.state, service, node);
            if let Some(volume) = service.planned.schedule.volumes.first() {
                self.pin_to(at, volume);
            }
            self.best.push(Reverse((self.rank(pass, &self.seats[at]), at)));
            return Ok(node);
        }
        Err(explain(&self.refusals))
    }

    /// Whether a replica may be moved from one node to another without making the service less even.
    pub(super) fn may_move(
        &mut self,
        pass: &mut Pass<'a>,
        service: &Service<'a>,
        from: &'a Node,
        to: NodeId,
    ) -> bool {
        let Ok(at) = self.seats.binary_search_by_key(&to, |seat| seat.node.id) else {
            return false;
        };
        let here = service.present().filter(|r| r.node == from.id).count();
        let groups = self.groups.of(from);
        let even = groups.iter().zip(&self.seats[at].groups).all(|(from, to)| {
            from == to || self.groups.counts[*to].1 < self.groups.counts[*from].1
        });
        let spreads = self.pack || (self.seats[at].all as usize) < here;
        even && spreads && self.has_no_room(pass, service, at).is_none()
    }

    /// The next replicas follow the data of the one that was put here.
    fn pin_to(&mut self, at: usize, volume: &str) {
        let others = u32::try_from(self.best.len()).unwrap_or(u32::MAX);
        if others > 0 {
            let on = Some(self.seats[at].node.name.clone());
            self.refusals.insert(Refusal::Volume { volume: volume.to_owned(), on }, others);
            self.best.clear();
        }
    }

    fn rank(&self, pass: &Pass<'_>, seat: &Seat<'_>) -> Rank {
        let load = u64::from(pass.load(seat.node.id));
        let (current, all) = (u64::from(seat.current), u64::from(seat.all));
        let groups = seat.groups.iter().map(|at| self.groups.counts[*at]).collect();
        let counts =
            if self.pack { [u64::MAX - load, u64::MAX - all, 0] } else { [current, all, load] };
        (groups, counts, pass.readings.pressure(seat.node.id), seat.hash)
    }

    /// Filters that depend on what runs on the node.
    fn has_no_room(
        &self,
        pass: &mut Pass<'a>,
        service: &Service<'a>,
        at: usize,
    ) -> Option<Refusal> {
        let (seat, ask) = (&self.seats[at], &service.planned.schedule);
        if self.limit > 0 && seat.current >= self.limit {
            return Some(Refusal::Full(self.limit));
        }
        if let Some(refusal) = pass.blocks.refuse(pass.state, service, seat.node.id) {
            return Some(refusal);
        }
        if ask.reserved_cpu_millis == 0 && ask.reserved_memory_bytes == 0 {
            return None;
        }
        let taken = pass.reserved(seat.node.id);
        let (replaced, facts) = (u64::from(seat.outgoing), &seat.node.facts);
        let free = |capacity: u64, taken: u64, each: u64| {
            capacity == 0
                || each == 0
                || taken.saturating_sub(each.saturating_mul(replaced)).saturating_add(each)
                    <= capacity
        };
        if !free(facts.memory_bytes, taken.memory_bytes, ask.reserved_memory_bytes) {
            return Some(Refusal::Memory);
        }
        (!free(facts.cpu_millis, taken.cpu_millis, ask.reserved_cpu_millis)).then_some(Refusal::Cpu)
    }
}

impl<'a> Seat<'a> {
    fn new(node: &'a Node, service: &Service<'_>, groups: Vec<usize>) -> Self {
        let key = [service.deployment.name.as_str(), service.name.as_str(), node.name.as_str()];
        Self { node, current: 0, all: 0, outgoing: 0, groups, hash: rendezvous(&key) }
    }
}

/// Highest-random-weight hash: FNV-1a over the parts, mixed so that every bit counts.
fn rendezvous(parts: &[&str]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.iter().flat_map(|p| p.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

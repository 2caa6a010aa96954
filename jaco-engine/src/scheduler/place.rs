//! Which node takes a replica.
//!
//! In: a service with its replicas and the load of the nodes. Out: one node at a time, or why there
//! is none. `spread` and `hosts` take the node with the fewest replicas of the service, then the
//! fewest in all; `pack` the fullest one that still fits. Equal nodes are told apart by a hash of
//! service and node, so that services do not all begin on the same one.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use jaco_api::model::{Node, NodeId, Placement, Replica};

use super::{
    filter::{Refusal, explain, refuses},
    input::{Pass, Service},
};

/// The nodes that may take replicas of one service, and why the others may not.
pub(super) struct Board<'a> {
    seats: Vec<Seat<'a>>,
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
    hash: u64,
}

/// Lower is better.
type Rank = (u64, u64, u64, u64);

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
            best: BinaryHeap::new(),
            refusals: BTreeMap::new(),
            pack: *service.placement == Placement::Pack,
            limit: service.planned.schedule.max_replicas_per_node,
        };
        for node in pass.state.nodes() {
            match refuses(&ask, node) {
                Some(refusal) => *board.refusals.entry(refusal).or_default() += 1,
                None => board.seats.push(Seat::new(node, service)),
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
        let ranked = |at: usize| Reverse((board.rank(pass, &board.seats[at]), at));
        board.best = (0..board.seats.len()).map(ranked).collect();
        board
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
        while let Some(Reverse((_, at))) = self.best.pop() {
            if let Some(refusal) = self.has_no_room(pass, service, at) {
                // What is full stays full: only this board fills it.
                *self.refusals.entry(refusal).or_default() += 1;
                continue;
            }
            let node = self.seats[at].node.id;
            self.seats[at].current += 1;
            self.seats[at].all += 1;
            pass.note_placed(service.planned, node);
            if let Some(volume) = service.planned.schedule.volumes.first() {
                self.pin_to(at, volume);
            }
            self.best.push(Reverse((self.rank(pass, &self.seats[at]), at)));
            return Ok(node);
        }
        Err(explain(&self.refusals))
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
        if self.pack {
            (u64::MAX - load, u64::MAX - all, 0, seat.hash)
        } else {
            (current, all, load, seat.hash)
        }
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
    fn new(node: &'a Node, service: &Service<'_>) -> Self {
        let key = [service.deployment.name.as_str(), service.name.as_str(), node.name.as_str()];
        Self { node, current: 0, all: 0, outgoing: 0, hash: rendezvous(&key) }
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

//! From a packet to a reply: what this node knows, else what others say.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use hickory_proto::op::ResponseCode;

use super::{
    Forwarders, QueryOutcome, Tally, Zone,
    forward::{Failure, Forwarder, Key, Outcome},
    query::{Query, Refusal, Transport},
    reply::{self, Explanation},
};

/// How long a forwarder has for an answer, unless somebody says otherwise.
pub const FORWARDER_TIMEOUT: Duration = Duration::from_secs(2);

/// Answers questions, whatever socket they came from.
#[derive(Debug)]
pub struct Resolver {
    zone: ArcSwap<Zone>,
    forwarder: Forwarder,
    /// Where we listen ourselves: never asked as an upstream.
    own: ArcSwap<BTreeSet<SocketAddr>>,
    tally: Arc<Tally>,
}

/// What becomes of a packet.
pub(crate) enum Step {
    /// Nothing.
    Ignore,
    /// The reply is written.
    Reply,
    /// Others have to be asked.
    Ask(Box<Pending>),
}

/// A question on its way to others.
pub(crate) struct Pending {
    query: Query,
    packet: Box<[u8]>,
    key: Key,
    room: u16,
}

impl Resolver {
    /// Answers from `zone`, and asks `forwarders` for everything else.
    #[must_use]
    pub fn new(zone: Zone, forwarders: Forwarders) -> Arc<Self> {
        Self::waiting(zone, forwarders, FORWARDER_TIMEOUT)
    }

    /// The same, where each forwarder has `patience` for an answer.
    #[must_use]
    pub fn waiting(zone: Zone, forwarders: Forwarders, patience: Duration) -> Arc<Self> {
        Self::tallied(zone, forwarders, patience, Arc::default())
    }

    /// The same, and counts in `tally` what becomes of the questions.
    #[must_use]
    pub fn tallied(
        zone: Zone,
        forwarders: Forwarders,
        patience: Duration,
        tally: Arc<Tally>,
    ) -> Arc<Self> {
        Arc::new(Self {
            tally,
            zone: ArcSwap::from_pointee(zone),
            forwarder: Forwarder::new(forwarders, patience),
            own: ArcSwap::default(),
        })
    }

    /// From now on every answer comes from `zone`.
    pub fn swap(&self, zone: Zone) {
        self.zone.store(Arc::new(zone));
    }

    pub(crate) fn set_own(&self, own: BTreeSet<SocketAddr>) {
        self.own.store(Arc::new(own));
    }

    /// Whether `source` is behind the gateway `at`.
    pub(crate) fn serves(&self, at: IpAddr, source: IpAddr) -> bool {
        self.zone.load().view(at, source).is_some()
    }

    /// Looks at a packet that came to the gateway `at`. Takes no lock for what this node knows, and asks nobody.
    pub(crate) fn step(
        &self,
        packet: &[u8],
        (at, source): (IpAddr, SocketAddr),
        transport: Transport,
        seed: u64,
        out: &mut Vec<u8>,
    ) -> Step {
        let zone = self.zone.load();
        let Some(view) = zone.view(at, source.ip()).filter(|_| source.port() != 0) else {
            return Step::Ignore;
        };
        let query = match Query::read(packet) {
            Ok(query) => query,
            Err(Refusal::Silence) => return Step::Ignore,
            Err(Refusal::Header(metadata)) => {
                reply::header(metadata, out);
                self.tally.count(QueryOutcome::Refused);
                return Step::Reply;
            }
        };
        let room = query.room(transport);
        if let Some(code) = query.objection() {
            reply::refusal(&query, code, None, room, out);
            self.tally.count(QueryOutcome::Refused);
            return Step::Reply;
        }
        let answer = zone.ask(view, &query.name, query.question.query_type(), seed);
        if reply::answer(&query, answer, room, out) {
            self.tally.count(QueryOutcome::Answered);
            return Step::Reply;
        }
        let key = Key::of(&query, packet);
        let pending = Pending { packet: packet.into(), room, key, query };
        match self.forwarder.known(&pending.key) {
            Some(outcome) => {
                pending.write(&outcome, out);
                self.tally.count(QueryOutcome::Cached);
                Step::Reply
            }
            None => Step::Ask(Box::new(pending)),
        }
    }

    /// Asks others, and writes what they say.
    pub(crate) async fn ask(&self, pending: Pending, out: &mut Vec<u8>) {
        let Pending { query, packet, key, room } = pending;
        let own = self.own.load_full();
        let outcome = self.forwarder.ask(key, &own).await;
        self.tally.count(match &outcome {
            Outcome::Said { .. } => QueryOutcome::Forwarded,
            Outcome::Stale { .. } => QueryOutcome::Stale,
            Outcome::Failed(failure) if matches!(**failure, Failure::Overloaded) => {
                QueryOutcome::Overloaded
            }
            Outcome::Failed(_) => QueryOutcome::Failed,
        });
        write(&query, &packet, room, &outcome, out);
    }

    /// Says that too much is on its way already.
    pub(crate) fn put_off(&self, pending: &Pending, out: &mut Vec<u8>) {
        self.tally.count(QueryOutcome::Overloaded);
        let explanation = Some(Explanation::NotReady.option());
        reply::refusal(&pending.query, ResponseCode::ServFail, explanation, pending.room, out);
    }
}

impl Pending {
    fn write(&self, outcome: &Outcome, out: &mut Vec<u8>) {
        write(&self.query, &self.packet, self.room, outcome, out);
    }
}

fn write(query: &Query, packet: &[u8], room: u16, outcome: &Outcome, out: &mut Vec<u8>) {
    match outcome {
        Outcome::Said { said, age } => said.write(query, packet, Some(*age), None, room, out),
        Outcome::Stale { said } => {
            let explanation = Some(Explanation::StaleAnswer.option());
            said.write(query, packet, None, explanation, room, out);
        }
        Outcome::Failed(failure) => {
            tracing::debug!(%failure, "not answered");
            let explanation = match &**failure {
                Failure::Refused { explanation: Some(theirs), .. } => theirs.clone(),
                Failure::Overloaded => Explanation::NotReady.option(),
                Failure::Unreachable { .. } => Explanation::NetworkError.option(),
                _ => Explanation::NoReachableAuthority.option(),
            };
            reply::refusal(query, ResponseCode::ServFail, Some(explanation), room, out);
        }
    }
}

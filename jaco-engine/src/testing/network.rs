//! A network inside the process, with faults.
//!
//! In: calls of members, each plugged in at a place. Out: their answers, late, lost or refused as the
//! weather, the cuts and the lives of the places want it. What it draws it draws from its seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{NodeId, NodeName},
    pb,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{
    pki::CaPin,
    raft::{Admits, Peer, PeerReply, PeerRequest, PeerService, PeerTransport, TransportError},
};

/// Where something is plugged in: a host, by name, or a member of a bare group, by number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(String);

impl From<&str> for Place {
    fn from(host: &str) -> Self {
        Self(host.to_owned())
    }
}
impl From<NodeId> for Place {
    fn from(member: NodeId) -> Self {
        Self(member.to_string())
    }
}
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What happens to a message on its way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weather {
    /// Shortest and longest time under way. Two messages may overtake each other.
    pub delay: (Duration, Duration),
    /// Messages in a thousand that never arrive.
    pub lost_permille: u32,
}

/// Members that call each other directly, as far as the faults allow. Clones are the same network.
#[derive(Clone)]
pub struct SimulatedNetwork {
    wires: Arc<Mutex<Wires>>,
}

impl fmt::Debug for SimulatedNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimulatedNetwork")
    }
}

impl Default for SimulatedNetwork {
    fn default() -> Self {
        Self::seeded(0)
    }
}

struct Wires {
    dice: StdRng,
    members: BTreeMap<NodeId, Plugged>,
    /// Where members are or were last: a wire may be cut to a place where nobody answers.
    places: BTreeMap<NodeId, Place>,
    /// How often somebody began to live at a place: who lived there before is cut off for good.
    lives: BTreeMap<Place, u64>,
    /// Where nodes ask to be admitted, by the address they are told.
    gates: BTreeMap<String, Gateway>,
    /// From and to: one direction each.
    cut: BTreeSet<(Place, Place)>,
    weather: Weather,
    /// Weather of single directions.
    local: BTreeMap<(Place, Place), Weather>,
}

#[derive(Clone)]
struct Plugged {
    place: Place,
    life: u64,
    service: PeerService,
}

#[derive(Clone)]
struct Gateway {
    place: Place,
    life: u64,
    admits: Arc<dyn Admits>,
}

impl SimulatedNetwork {
    /// A network whose delays and losses follow from this seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let wires = Wires {
            dice: StdRng::seed_from_u64(seed),
            members: BTreeMap::new(),
            places: BTreeMap::new(),
            lives: BTreeMap::new(),
            gates: BTreeMap::new(),
            cut: BTreeSet::new(),
            weather: Weather::default(),
            local: BTreeMap::new(),
        };
        Self { wires: Arc::new(Mutex::new(wires)) }
    }

    /// Plugs a member of a bare group in, in place of what answered under its number before.
    pub fn plug(&self, id: NodeId, service: PeerService) {
        let mut wires = self.lock();
        let place = Place::from(id);
        let life = wires.life(&place);
        wires.plug(id, Plugged { place, life, service });
    }
    /// Unplugs a member: nobody answers under its number any more.
    pub fn unplug(&self, id: NodeId) {
        self.lock().members.remove(&id);
    }
    /// The network as one member of a bare group uses it.
    #[must_use]
    pub fn transport(&self, from: NodeId) -> Arc<dyn PeerTransport> {
        let place = Place::from(from);
        let life = self.lock().life(&place);
        let me = Mutex::new(Some(Caller { id: from, name: None }));
        Arc::new(Port { place, life, me, network: self.clone() })
    }

    /// The network as the node uses it that begins to live at `place` now. Whoever lived there before
    /// calls nobody and answers nobody any more. The node answers from when it is a member.
    #[must_use]
    pub fn port(&self, place: impl Into<Place>) -> Arc<dyn PeerTransport> {
        let place = place.into();
        let life = self.lock().begin_life(&place);
        Arc::new(Port { place, life, me: Mutex::default(), network: self.clone() })
    }
    /// Cuts off for good whoever lives at `place`.
    pub fn sever(&self, place: impl Into<Place>) {
        self.lock().begin_life(&place.into());
    }

    /// Loses everything that goes from one place to another; the other direction is not touched.
    pub fn cut_one_way(&self, from: impl Into<Place>, to: impl Into<Place>) {
        self.lock().cut.insert((from.into(), to.into()));
    }
    /// Lets everything through again from one place to another.
    pub fn mend_one_way(&self, from: impl Into<Place>, to: impl Into<Place>) {
        self.lock().cut.remove(&(from.into(), to.into()));
    }
    /// Loses everything between two places.
    pub fn cut(&self, a: impl Into<Place>, b: impl Into<Place>) {
        let (a, b) = (a.into(), b.into());
        self.lock().cut.extend([(a.clone(), b.clone()), (b, a)]);
    }
    /// Loses everything between one place and all others where somebody is.
    pub fn isolate(&self, place: impl Into<Place>) {
        let place = place.into();
        let mut wires = self.lock();
        let others: Vec<Place> = wires.lives.keys().filter(|o| **o != place).cloned().collect();
        for other in others {
            wires.cut.extend([(place.clone(), other.clone()), (other, place.clone())]);
        }
    }
    /// Lets everything through between one place and all others.
    pub fn reconnect(&self, place: impl Into<Place>) {
        let place = place.into();
        self.lock().cut.retain(|(from, to)| *from != place && *to != place);
    }
    /// Lets everything through again, at once.
    pub fn heal(&self) {
        let mut wires = self.lock();
        wires.cut.clear();
        wires.local.clear();
        wires.weather = Weather::default();
    }
    /// Holds up everything that goes from one place to another.
    pub fn delay(&self, from: impl Into<Place>, to: impl Into<Place>, span: Duration) {
        let weather = Weather { delay: (span, span), lost_permille: 0 };
        self.lock().local.insert((from.into(), to.into()), weather);
    }
    /// The weather wherever it is not set otherwise.
    pub fn set_weather(&self, weather: Weather) {
        self.lock().weather = weather;
    }
    /// The weather in one direction.
    pub fn set_weather_of(&self, from: impl Into<Place>, to: impl Into<Place>, weather: Weather) {
        self.lock().local.insert((from.into(), to.into()), weather);
    }
    /// The weather of one place, in all directions, is that of everywhere again.
    pub fn clear_weather_of(&self, place: impl Into<Place>) {
        let place = place.into();
        self.lock().local.retain(|(from, to), _| *from != place && *to != place);
    }

    fn lock(&self) -> MutexGuard<'_, Wires> {
        self.wires.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One message under way: returns when it has arrived, and never if it is lost.
    async fn travel(&self, from: &Place, to: &Place) {
        let (delay, lost) = self.lock().send(from, to);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        // What is under way when a wire is cut is lost too.
        if lost || self.lock().is_cut(from, to) {
            std::future::pending::<()>().await;
        }
    }
}

impl Wires {
    fn life(&mut self, place: &Place) -> u64 {
        *self.lives.entry(place.clone()).or_insert(0)
    }
    fn is_alive(&self, place: &Place, life: u64) -> bool {
        self.lives.get(place) == Some(&life)
    }
    fn begin_life(&mut self, place: &Place) -> u64 {
        self.members.retain(|_, plugged| plugged.place != *place);
        self.gates.retain(|_, gate| gate.place != *place);
        let life = self.lives.entry(place.clone()).or_insert(0);
        *life += 1;
        *life
    }
    fn plug(&mut self, id: NodeId, plugged: Plugged) {
        self.places.insert(id, plugged.place.clone());
        self.members.insert(id, plugged);
    }
    fn is_cut(&self, from: &Place, to: &Place) -> bool {
        self.cut.contains(&(from.clone(), to.clone()))
    }
    /// How long a message is under way, and whether it is lost.
    fn send(&mut self, from: &Place, to: &Place) -> (Duration, bool) {
        let weather = self.local.get(&(from.clone(), to.clone())).unwrap_or(&self.weather);
        let Weather { delay: (least, most), lost_permille } = *weather;
        let delay = if most > least { self.dice.random_range(least..=most) } else { least };
        let lost = lost_permille > 0 && self.dice.random_range(0..1_000) < lost_permille;
        (delay, lost || self.is_cut(from, to))
    }
}

/// Nobody is there.
#[derive(Debug, thiserror::Error)]
#[error("nobody answers here on the simulated network")]
struct Nobody;

/// Who calls. Members of bare groups have no certificate that names them.
#[derive(Debug, Clone)]
struct Caller {
    id: NodeId,
    name: Option<NodeName>,
}

struct Port {
    place: Place,
    life: u64,
    /// Known once the node is a member; the last membership counts.
    me: Mutex<Option<Caller>>,
    network: SimulatedNetwork,
}

impl Port {
    async fn carry(&self, to: NodeId, request: PeerRequest) -> Result<PeerReply, TransportError> {
        let unreachable = || TransportError::Unreachable { peer: to, source: Box::new(Nobody) };
        let me = self.me().ok_or_else(unreachable)?;
        let there = self.network.lock().places.get(&to).cloned().ok_or_else(unreachable)?;
        self.network.travel(&self.place, &there).await;
        let plugged = self.network.lock().members.get(&to).cloned().ok_or_else(unreachable)?;
        let admitted = match &me.name {
            Some(name) => plugged.service.admit(me.id, name, &request),
            None => Ok(()),
        };
        let reply = match admitted {
            Ok(()) => plugged.service.handle(me.id, request).await,
            Err(refusal) => Err(refusal),
        };
        // Whoever died meanwhile has answered nothing.
        if !self.network.lock().is_alive(&plugged.place, plugged.life) {
            return Err(unreachable());
        }
        self.network.travel(&plugged.place, &self.place).await;
        reply.map_err(|source| TransportError::Refused { peer: to, source })
    }

    /// Who calls through this port; nobody once the place has begun another life.
    fn me(&self) -> Option<Caller> {
        let me = || self.me.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.is_alive().then(me).flatten()
    }

    fn is_alive(&self) -> bool {
        self.network.lock().is_alive(&self.place, self.life)
    }

    async fn knock(
        &self,
        address: &str,
        request: pb::EnrolRequest,
    ) -> Result<pb::EnrolReply, ApiError> {
        let nobody = || ApiError::new(ErrorCode::PeerUnreachable, Nobody.to_string());
        let gate = self.network.lock().gates.get(address).cloned().ok_or_else(nobody)?;
        self.network.travel(&self.place, &gate.place).await;
        let reply = gate.admits.admit(request).await;
        if !self.network.lock().is_alive(&gate.place, gate.life) || !self.is_alive() {
            return Err(nobody());
        }
        self.network.travel(&gate.place, &self.place).await;
        reply
    }
}

/// How long a node waits to be admitted.
const ADMISSION: Duration = Duration::from_secs(20);

#[async_trait]
impl PeerTransport for Port {
    async fn call(
        &self,
        to: &Peer,
        request: PeerRequest,
        patience: Duration,
    ) -> Result<PeerReply, TransportError> {
        let timed_out = |_| TransportError::TimedOut { peer: to.id, after: patience };
        tokio::time::timeout(patience, self.carry(to.id, request)).await.map_err(timed_out)?
    }

    async fn enrol(
        &self,
        address: &str,
        _pin: &CaPin,
        request: pb::EnrolRequest,
    ) -> Result<pb::EnrolReply, ApiError> {
        let late = |_| ApiError::new(ErrorCode::PeerUnreachable, format!("{address} is silent"));
        tokio::time::timeout(ADMISSION, self.knock(address, request)).await.map_err(late)?
    }

    fn needs_ports(&self) -> bool {
        false
    }

    fn attached(&self, me: &Peer, calls: PeerService, admits: Arc<dyn Admits>) {
        let caller = Caller { id: me.id, name: Some(me.member.name.clone()) };
        *self.me.lock().unwrap_or_else(PoisonError::into_inner) = Some(caller);
        let mut wires = self.network.lock();
        if !wires.is_alive(&self.place, self.life) {
            return;
        }
        let (place, life) = (self.place.clone(), self.life);
        wires.plug(me.id, Plugged { place: place.clone(), life, service: calls });
        wires.gates.insert(me.member.api_addr.to_string(), Gateway { place, life, admits });
    }

    fn detached(&self) {
        let mut wires = self.network.lock();
        if wires.is_alive(&self.place, self.life) {
            wires.members.retain(|_, plugged| plugged.place != self.place);
            wires.gates.retain(|_, gate| gate.place != self.place);
        }
    }
}

//! Many packets at once, and which of them arrived.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use jaco_api::model::Protocol;
use jaco_net::{Packet, Path, Payload, Ruleset, Seen, Verdict};

use crate::lab::{GATES, Lab, PLACES, UNUSED, VIRTUAL, gate};

/// The port of whatever is not on the node.
const ANY: u16 = 7777;
/// The ports that are tried on the node: DNS, ingress, and two that are nobody's business.
const ON_NODE: &[u16] = &[53, 443, 22, 7001];
/// How long nothing has to arrive for the rest to be lost: packets cross the lab in microseconds.
const QUIET: Duration = Duration::from_millis(250);

/// One packet.
#[derive(Debug, Clone)]
pub(crate) struct Shot {
    from: &'static str,
    to: &'static str,
    port: u16,
    pub(crate) packet: Packet,
}

/// Every packet from any address of any place, rightful or not, to anybody.
pub(crate) fn shots() -> Vec<Shot> {
    let mut shots = Vec::new();
    let node = [("host", None, &[] as &[&str])];
    let places = PLACES.iter().map(|p| (p.name, Some(p), p.forged));
    for (from, place, forged) in places.chain(node) {
        for (to, beyond, port, destination) in targets() {
            if from == to && to != "host" {
                continue;
            }
            let behind = place.map(|place| place.way_to(destination));
            let own = place.into_iter().flat_map(|place| place.homes().map(|(_, address)| address));
            let mut sources: Vec<IpAddr> =
                own.chain(forged.iter().copied()).map(|a| a.parse().unwrap()).collect();
            match (behind, beyond) {
                (Some(_), _) => {}
                (None, Some(beyond)) => sources.push(gate(beyond, destination)),
                // The node speaks to itself.
                (None, None) => sources.push(destination),
            }
            sources.retain(|source| source.is_ipv4() == destination.is_ipv4());
            let interface = |name: &str| name.parse().unwrap();
            for source in sources {
                let path = match (behind, beyond) {
                    (Some(a), Some(b)) => Path::Forward { from: interface(a), to: interface(b) },
                    (Some(a), None) => Path::Input { from: interface(a) },
                    (None, Some(b)) => Path::Output { to: interface(b) },
                    (None, None) => Path::Input { from: interface("lo") },
                };
                let payload = Payload::Port(Protocol::Udp, port);
                let (translated, reply) = (false, false);
                let packet = Packet { path, source, destination, translated, payload, reply };
                shots.push(Shot { from, to, port, packet });
            }
        }
    }
    shots
}

/// Every address that answers: whose, behind which interface of the node, and at which port.
fn targets() -> Vec<(&'static str, Option<&'static str>, u16, IpAddr)> {
    let mut targets = Vec::new();
    for place in PLACES {
        for (behind, address) in place.homes() {
            targets.push((place.name, Some(behind), ANY, address.parse().unwrap()));
        }
    }
    for address in VIRTUAL.iter().map(|(address, _)| address).chain(UNUSED) {
        targets.push(("world", Some("up0"), ANY, address.parse().unwrap()));
    }
    for (_, addresses) in GATES {
        for address in *addresses {
            let address = address.split('/').next().unwrap().parse().unwrap();
            targets.extend(ON_NODE.iter().map(|port| ("host", None, *port, address)));
        }
    }
    targets
}

/// The sockets that packets are sent from and arrive at.
pub(crate) struct Range {
    senders: BTreeMap<(&'static str, IpAddr), UdpSocket>,
    receivers: Vec<(&'static str, UdpSocket)>,
}

/// Which of the packets arrived, where, and with which source address.
pub(crate) type Arrived = BTreeMap<usize, (&'static str, IpAddr)>;

impl Range {
    pub(crate) fn new(lab: &Lab, shots: &[Shot]) -> Self {
        let mut range = Self { senders: BTreeMap::new(), receivers: Vec::new() };
        for shot in shots {
            let key = (shot.from, shot.packet.source);
            let open = || lab.udp(key.0, SocketAddr::new(key.1, 0));
            range.senders.entry(key).or_insert_with(open);
        }
        let ports = PLACES.iter().map(|place| (place.name, ANY));
        for (name, port) in ports.chain(ON_NODE.iter().map(|port| ("host", *port))) {
            // Sockets of IPv6 hear IPv4 too.
            let all = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
            let socket = lab.udp(name, all);
            socket.set_nonblocking(true).unwrap();
            range.receivers.push((name, socket));
        }
        range
    }

    /// Sends all of them.
    pub(crate) fn fire(&self, shots: &[Shot]) -> Arrived {
        let mut arrived = BTreeMap::new();
        for (id, shot) in shots.iter().enumerate() {
            let sender = &self.senders[&(shot.from, shot.packet.source)];
            let to = SocketAddr::new(shot.packet.destination, shot.port);
            // The kernel says at once that a packet of this host was dropped.
            let _ = sender.send_to(&id.to_ne_bytes(), to);
            if id % 16 == 0 {
                self.collect(&mut arrived);
            }
        }
        let mut last = Instant::now();
        while last.elapsed() < QUIET {
            if self.collect(&mut arrived) {
                last = Instant::now();
            }
            std::thread::yield_now();
        }
        arrived
    }

    fn collect(&self, arrived: &mut Arrived) -> bool {
        let before = arrived.len();
        let mut id = [0; size_of::<usize>()];
        for (name, receiver) in &self.receivers {
            while let Ok((_, from)) = receiver.recv_from(&mut id) {
                arrived.insert(usize::from_ne_bytes(id), (*name, from.ip().to_canonical()));
            }
        }
        arrived.len() > before
    }
}

/// What happens to a packet, and to whom it goes: to a replica when its destination is virtual.
pub(crate) fn fate(rules: &Ruleset, shot: &Shot) -> (&'static str, Packet, Verdict) {
    let mut packet = shot.packet.clone();
    let mut to = shot.to;
    let replicas: Vec<IpAddr> = rules.stands_for(&packet).collect();
    assert!(replicas.len() < 2, "chance has no place here");
    if let Some(&replica) = replicas.first() {
        let mut homes = PLACES.iter().flat_map(|p| p.homes().map(move |home| (p.name, home)));
        let is_it = |(_, (_, address)): &(_, (_, &str))| address.parse() == Ok(replica);
        let (name, (behind, _)) = homes.find(is_it).unwrap();
        to = name;
        let way = behind.parse().unwrap();
        packet.path = match packet.path {
            Path::Forward { from, .. } | Path::Input { from } => Path::Forward { from, to: way },
            Path::Output { .. } => Path::Output { to: way },
        };
        (packet.destination, packet.translated) = (replica, true);
    }
    let verdict = rules.verdict(&packet);
    (to, packet, verdict)
}

/// Whatever arrived against the rules, did not arrive, or arrived with the wrong source or elsewhere.
pub(crate) fn mistakes(rules: &Ruleset, shots: &[Shot], arrived: &Arrived) -> Vec<String> {
    let mut mistakes = Vec::new();
    for (id, shot) in shots.iter().enumerate() {
        let (to, packet, verdict) = fate(rules, shot);
        let source = match (rules.seen(&packet), &packet.path) {
            (Seen::Host, Path::Forward { to, .. } | Path::Output { to }) => {
                gate(to.as_str(), packet.destination)
            }
            (Seen::Rewritten(source), _) => source,
            _ => packet.source,
        };
        // Nobody takes a packet that says that it comes from himself.
        let own = to == shot.from && to != "host" && source == packet.source;
        let passes = matches!(verdict, Verdict::Accept | Verdict::Foreign) && !own;
        let wanted = passes.then_some((to, source));
        let got = arrived.get(&id).copied();
        if got != wanted {
            mistakes.push(format!(
                "{} -> {}: arrived {got:?} instead of {wanted:?}: {packet:?}",
                shot.from, shot.to,
            ));
        }
    }
    mistakes
}

//! Many packets at once, and which of them arrived.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use jaco_api::model::Protocol;
use jaco_net::{Packet, Path, Payload, Ruleset, Verdict};

use crate::lab::{GATES, Lab, PLACES, gate};

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
    let places = PLACES.iter().map(|p| (p.name, Some(p.behind), p.forged));
    for (from, behind, forged) in places.chain(node) {
        for (to, beyond, port, destination) in targets() {
            if from == to && to != "host" {
                continue;
            }
            let own =
                PLACES.iter().find(|p| p.name == from).map_or(&[] as &[&str], |p| p.addresses);
            let mut sources: Vec<IpAddr> =
                own.iter().chain(forged).map(|a| a.parse().unwrap()).collect();
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
                let packet = Packet { path, source, destination, payload, reply: false };
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
        for address in place.addresses {
            targets.push((place.name, Some(place.behind), ANY, address.parse().unwrap()));
        }
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
    receivers: Vec<UdpSocket>,
}

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
            range.receivers.push(socket);
        }
        range
    }

    /// Sends all of them; the source address with which each of those that arrived did so.
    pub(crate) fn fire(&self, shots: &[Shot]) -> BTreeMap<usize, IpAddr> {
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

    fn collect(&self, arrived: &mut BTreeMap<usize, IpAddr>) -> bool {
        let before = arrived.len();
        let mut id = [0; size_of::<usize>()];
        for receiver in &self.receivers {
            while let Ok((_, from)) = receiver.recv_from(&mut id) {
                arrived.insert(usize::from_ne_bytes(id), from.ip().to_canonical());
            }
        }
        arrived.len() > before
    }
}

/// Whatever arrived against the rules, did not arrive, or arrived with the wrong source.
pub(crate) fn mistakes(
    rules: &Ruleset,
    shots: &[Shot],
    arrived: &BTreeMap<usize, IpAddr>,
) -> Vec<String> {
    let mut mistakes = Vec::new();
    for (id, shot) in shots.iter().enumerate() {
        let packet = &shot.packet;
        let verdict = rules.verdict(packet);
        let source = match &packet.path {
            Path::Forward { to, .. } if rules.masquerades(packet) => {
                gate(to.as_str(), packet.destination)
            }
            _ => packet.source,
        };
        let wanted = (verdict != Verdict::Drop).then_some(source);
        let got = arrived.get(&id).copied();
        if got != wanted {
            mistakes.push(format!(
                "{} -> {}: arrived from {got:?} instead of {wanted:?}: {packet:?}",
                shot.from, shot.to,
            ));
        }
    }
    mistakes
}

//! What happens to a packet: the specification that every implementation is measured against. Pure.

use std::net::IpAddr;

use ipnet::IpNet;
use jaco_api::model::Protocol;

use super::{Bridge, InterfaceName, Ruleset};

/// The port of DNS, the one service that every gateway offers.
const DNS: u16 = 53;

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not ours: no end is in a pool and it did not come out of a bridge of ours. Never touched.
    Foreign,
    /// It passes.
    Accept,
    /// It is dropped.
    Drop,
    /// It is dropped, and its sender is told at once: nothing is behind its virtual address.
    Refuse,
}

/// The source address that whoever receives a packet sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The one that it was sent with.
    Kept,
    /// The one that this host has in the interface through which the packet leaves.
    Host,
    /// This one.
    Rewritten(IpAddr),
}

/// The way of a packet through this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// It is routed, or bridged, through this node.
    Forward {
        /// Where it came in.
        from: InterfaceName,
        /// Where it goes out.
        to: InterfaceName,
    },
    /// It is for a process of this host.
    Input {
        /// Where it came in.
        from: InterfaceName,
    },
    /// A process of this host sends it.
    Output {
        /// Where it goes out.
        to: InterfaceName,
    },
}

/// What a packet carries, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// A datagram or segment for this port.
    Port(Protocol, u16),
    /// A neighbour solicitation or advertisement of ICMPv6: what ARP is for IPv4.
    Neighbour,
    /// Anything else, for example an echo request.
    Other,
}

/// A packet on its way through this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Its way.
    pub path: Path,
    /// Its source address.
    pub source: IpAddr,
    /// Its destination address; the replica's, when that took the place of a virtual one.
    pub destination: IpAddr,
    /// Whether `destination` took the place of a virtual address: one of
    /// [`Ruleset::stands_for`] what it was sent to.
    pub translated: bool,
    /// What it carries.
    pub payload: Payload,
    /// Whether it answers a connection that the other end opened, or reports an error of one.
    pub reply: bool,
}

impl Ruleset {
    /// What happens to `packet`.
    #[must_use]
    pub fn verdict(&self, packet: &Packet) -> Verdict {
        if !self.concerns(packet) {
            return Verdict::Foreign;
        }
        if self.virtual_address(packet.destination) && self.may_be_told(packet) {
            return Verdict::Refuse;
        }
        let passes = match &packet.path {
            Path::Forward { from, to } => {
                self.admits(packet, from) && self.routes(packet, from, to)
            }
            Path::Input { from } => self.admits(packet, from) && self.serves(packet, from),
            Path::Output { to } => self.sends(packet, to),
        };
        if passes { Verdict::Accept } else { Verdict::Drop }
    }

    /// The replicas one of which takes the place of the destination of a new connection, each with
    /// the same chance; none when the destination stays what it is.
    pub fn stands_for(&self, packet: &Packet) -> impl Iterator<Item = IpAddr> + '_ {
        let translated = self.may_be_told(packet).then(|| self.virtuals.get(&packet.destination));
        translated.flatten().into_iter().flatten().copied()
    }

    /// The source address that whoever receives a packet that passes sees.
    #[must_use]
    pub fn seen(&self, packet: &Packet) -> Seen {
        let (Path::Forward { to, .. } | Path::Output { to }) = &packet.path else {
            return Seen::Kept;
        };
        if self.link(to) {
            return self.seen_within(packet, to);
        }
        let meshed = |address| self.own(address) || self.member(address);
        let leaves = self.policed(packet.source)
            && !self.policed(packet.destination)
            && !meshed(packet.destination)
            && !loopback(to);
        if leaves { Seen::Host } else { Seen::Kept }
    }

    /// Within the cluster everybody is seen with his own address, except where the answer would
    /// not come back this way.
    fn seen_within(&self, packet: &Packet, to: &InterfaceName) -> Seen {
        let destination = packet.destination;
        let peer = |own: &IpAddr| self.share_scope(*own, destination);
        if let Some(own) = self.elsewhere(packet.source).find(peer) {
            // On its own bridge of that network its neighbours would answer it directly.
            let gateway = self.home_prefix(own, destination).and_then(|_| self.gateway_of(own));
            return Seen::Rewritten(gateway.unwrap_or(own));
        }
        let neighbour = self.bridges.get(to).is_some_and(|bridge| within(bridge, packet.source));
        if packet.translated && (neighbour || !self.policed(packet.source)) {
            return Seen::Host;
        }
        Seen::Kept
    }

    /// The prefix of the scope of both that both lie in.
    fn home_prefix(&self, own: IpAddr, destination: IpAddr) -> Option<&IpNet> {
        let prefixes = self.scopes.get(self.scope_of(own)?)?;
        prefixes.iter().find(|prefix| prefix.contains(&own) && prefix.contains(&destination))
    }

    /// Whether a packet to a virtual address is translated, or its sender told that it is not: one
    /// of our containers, or this host. Nobody else has business with virtual addresses.
    fn may_be_told(&self, packet: &Packet) -> bool {
        match &packet.path {
            Path::Forward { from, .. } | Path::Input { from } => {
                self.bridges.contains_key(from) && self.admits(packet, from)
            }
            Path::Output { to } => !loopback(to),
        }
    }

    /// Whether an address is a container's or a service's: nobody else may have it.
    fn policed(&self, address: IpAddr) -> bool {
        self.pooled(address) || self.virtual_address(address)
    }

    /// Whether the packet is any business of ours.
    fn concerns(&self, packet: &Packet) -> bool {
        let out_of_a_bridge = match &packet.path {
            Path::Forward { from, .. } | Path::Input { from } => self.bridges.contains_key(from),
            Path::Output { .. } => false,
        };
        out_of_a_bridge || self.policed(packet.source) || self.policed(packet.destination)
    }

    /// Whether a packet may come in there with that source address.
    fn admits(&self, packet: &Packet, from: &InterfaceName) -> bool {
        let source = packet.source;
        if loopback(from) {
            return true;
        }
        if let Some(bridge) = self.bridges.get(from) {
            // A container in several networks answers over the one that leads to whoever asked.
            let home = self.elsewhere(source).any(|own| within(bridge, own));
            return within(bridge, source) || home || packet.payload == Payload::Neighbour;
        }
        if self.is_mesh(from) {
            let local = self.bridges.values().any(|bridge| within(bridge, source));
            return !local && (self.scope_of(source).is_some() || !self.policed(source));
        }
        !self.policed(source)
    }

    fn routes(&self, packet: &Packet, from: &InterfaceName, to: &InterfaceName) -> bool {
        match self.bridges.get(from) {
            Some(bridge) => from == to || self.departs(packet, bridge, to),
            None if self.policed(packet.destination) => self.arrives(packet, from, to),
            // What came out of a pool elsewhere has no business in the world behind this node.
            None => !self.policed(packet.source),
        }
    }

    /// From a container of this node to something behind another interface.
    fn departs(&self, packet: &Packet, bridge: &Bridge, to: &InterfaceName) -> bool {
        let destination = packet.destination;
        if self.policed(destination) {
            let shares = self.share_scope(packet.source, destination)
                || self.crosses(packet.source, destination)
                || packet.reply && self.crosses(destination, packet.source);
            return self.link(to) && shares;
        }
        if self.member(destination) {
            // Their hosts may ask our containers; our containers may answer.
            return self.is_mesh(to) && packet.reply;
        }
        !bridge.internal && !self.link(to)
    }

    /// From outside of this node to a container.
    fn arrives(&self, packet: &Packet, from: &InterfaceName, to: &InterfaceName) -> bool {
        let Some(bridge) = self.bridges.get(to) else { return false };
        if !within(bridge, packet.destination) {
            return false;
        }
        if self.is_mesh(from) {
            return self.share_scope(packet.source, packet.destination)
                || packet.reply && self.crosses(packet.destination, packet.source)
                || self.member(packet.source);
        }
        !bridge.internal && packet.reply
    }

    /// Whether the container of this node with that address is in the network of `peer` with another
    /// one: it may reach it there, however its packets leave.
    fn crosses(&self, address: IpAddr, peer: IpAddr) -> bool {
        self.elsewhere(address).any(|own| self.share_scope(own, peer))
    }

    /// To a process of this host.
    fn serves(&self, packet: &Packet, from: &InterfaceName) -> bool {
        if loopback(from) || packet.reply || packet.payload == Payload::Neighbour {
            return true;
        }
        let Some(bridge) = self.bridges.get(from) else { return false };
        let own_gateway = bridge.blocks.values().any(|gateway| *gateway == packet.destination);
        if !own_gateway && self.policed(packet.destination) {
            return false;
        }
        match packet.payload {
            Payload::Port(_, DNS) if own_gateway => true,
            Payload::Port(protocol, port) => {
                bridge.host_access
                    || self.ingress.iter().any(|i| i.protocol == protocol && i.port == port)
            }
            Payload::Neighbour | Payload::Other => bridge.host_access,
        }
    }

    /// From a process of this host.
    fn sends(&self, packet: &Packet, to: &InterfaceName) -> bool {
        loopback(to)
            || !self.policed(packet.destination)
            || self.scope_of(packet.destination).is_some()
    }

    fn is_mesh(&self, interface: &InterfaceName) -> bool {
        self.mesh.as_ref().is_some_and(|mesh| mesh.interface == *interface)
    }

    fn member(&self, address: IpAddr) -> bool {
        self.mesh.as_ref().is_some_and(|mesh| mesh.members.contains(&address))
    }

    fn own(&self, address: IpAddr) -> bool {
        self.mesh.as_ref().is_some_and(|mesh| mesh.own.contains(&address))
    }

    /// Whether containers are behind this interface: a bridge of ours, or the mesh.
    fn link(&self, interface: &InterfaceName) -> bool {
        self.bridges.contains_key(interface) || self.is_mesh(interface)
    }
}

fn within(bridge: &Bridge, address: IpAddr) -> bool {
    bridge.blocks.keys().any(|block| block.contains(&address))
}

fn loopback(interface: &InterfaceName) -> bool {
    interface.as_str() == "lo"
}

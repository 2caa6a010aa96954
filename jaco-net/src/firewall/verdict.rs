//! What happens to a packet: the specification that every implementation is measured against. Pure.

use std::net::IpAddr;

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
    /// Its destination address.
    pub destination: IpAddr,
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
        let passes = match &packet.path {
            Path::Forward { from, to } => {
                self.admits(packet, from) && self.routes(packet, from, to)
            }
            Path::Input { from } => self.admits(packet, from) && self.serves(packet, from),
            Path::Output { to } => self.sends(packet, to),
        };
        if passes { Verdict::Accept } else { Verdict::Drop }
    }

    /// Whether the source address of a packet that passes is rewritten to the address of this host.
    #[must_use]
    pub fn masquerades(&self, packet: &Packet) -> bool {
        let (Path::Forward { to, .. } | Path::Output { to }) = &packet.path else { return false };
        let meshed = |address| self.own(address) || self.member(address);
        self.pooled(packet.source)
            && !self.pooled(packet.destination)
            && !meshed(packet.destination)
            && !self.link(to)
            && !loopback(to)
    }

    /// Whether the packet is any business of ours.
    fn concerns(&self, packet: &Packet) -> bool {
        let out_of_a_bridge = match &packet.path {
            Path::Forward { from, .. } | Path::Input { from } => self.bridges.contains_key(from),
            Path::Output { .. } => false,
        };
        out_of_a_bridge || self.pooled(packet.source) || self.pooled(packet.destination)
    }

    /// Whether a packet may come in there with that source address.
    fn admits(&self, packet: &Packet, from: &InterfaceName) -> bool {
        let source = packet.source;
        if loopback(from) {
            return true;
        }
        if let Some(bridge) = self.bridges.get(from) {
            return within(bridge, source) || packet.payload == Payload::Neighbour;
        }
        if self.is_mesh(from) {
            let local = self.bridges.values().any(|bridge| within(bridge, source));
            return !local && (self.scope_of(source).is_some() || !self.pooled(source));
        }
        !self.pooled(source)
    }

    fn routes(&self, packet: &Packet, from: &InterfaceName, to: &InterfaceName) -> bool {
        match self.bridges.get(from) {
            Some(bridge) => from == to || self.departs(packet, bridge, to),
            None if self.pooled(packet.destination) => self.arrives(packet, from, to),
            // What came out of a pool elsewhere has no business in the world behind this node.
            None => !self.pooled(packet.source),
        }
    }

    /// From a container of this node to something behind another interface.
    fn departs(&self, packet: &Packet, bridge: &Bridge, to: &InterfaceName) -> bool {
        let destination = packet.destination;
        if self.pooled(destination) {
            return self.link(to) && self.share_scope(packet.source, destination);
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
                || self.member(packet.source);
        }
        !bridge.internal && packet.reply
    }

    /// To a process of this host.
    fn serves(&self, packet: &Packet, from: &InterfaceName) -> bool {
        if loopback(from) || packet.reply || packet.payload == Payload::Neighbour {
            return true;
        }
        let Some(bridge) = self.bridges.get(from) else { return false };
        let own_gateway = bridge.blocks.values().any(|gateway| *gateway == packet.destination);
        if !own_gateway && self.pooled(packet.destination) {
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
            || !self.pooled(packet.destination)
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

//! Interfaces as the kernel describes them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use rtnetlink::packet_route::link::{
    InfoBridgePort, InfoKind, InfoPortData, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

/// The alias of a bridge that was made here.
pub(super) const MARK: &str = "jaco";

/// One interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) index: u32,
    pub(super) name: String,
    /// What makes it; absent for a physical one.
    pub(super) kind: Option<InfoKind>,
    pub(super) up: bool,
    /// Whether it was made here and not by the engine.
    pub(super) marked: bool,
    /// The interface that it is a port of.
    pub(super) master: Option<u32>,
    /// Whether what comes in may go out there; absent where it is no port of a bridge.
    pub(super) hairpin: Option<bool>,
    /// Its other end: the number there, and that of the network namespace; absent for one in ours.
    pub(super) peer: Option<(u32, i32)>,
}

/// Everything that is looked at at once.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) links: Vec<Seen>,
    /// By the number of the interface.
    pub(super) addresses: BTreeMap<u32, BTreeSet<IpNet>>,
    /// What the other end of an interface has, by the number of this end.
    pub(super) behind: BTreeMap<u32, BTreeSet<IpNet>>,
}

impl View {
    /// The interface of that name.
    pub(super) fn named(&self, name: &str) -> Option<&Seen> {
        self.links.iter().find(|link| link.name == name)
    }

    /// The ends of containers' interfaces that are ports of nothing.
    pub(super) fn strays(&self) -> impl Iterator<Item = &Seen> {
        self.links.iter().filter(|link| {
            link.kind == Some(InfoKind::Veth) && link.master.is_none() && link.peer.is_some()
        })
    }
}

impl From<&LinkMessage> for Seen {
    fn from(message: &LinkMessage) -> Self {
        let mut seen = Self {
            index: message.header.index,
            up: message.header.flags.contains(LinkFlags::Up),
            ..Self::default()
        };
        let (mut peer, mut namespace) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => seen.name.clone_from(name),
                LinkAttribute::IfAlias(alias) => seen.marked = alias == MARK,
                LinkAttribute::Controller(index) => seen.master = Some(*index),
                LinkAttribute::Link(index) => peer = Some(*index),
                LinkAttribute::LinkNetNsId(id) => namespace = Some(*id),
                LinkAttribute::LinkInfo(infos) => seen.learn(infos),
                _ => {}
            }
        }
        seen.peer = peer.zip(namespace);
        seen
    }
}

impl Seen {
    fn learn(&mut self, infos: &[LinkInfo]) {
        for info in infos {
            match info {
                LinkInfo::Kind(kind) => self.kind = Some(kind.clone()),
                LinkInfo::PortData(InfoPortData::BridgePort(facts)) => {
                    self.hairpin = facts.iter().find_map(|fact| match fact {
                        InfoBridgePort::HairpinMode(on) => Some(*on),
                        _ => None,
                    });
                }
                _ => {}
            }
        }
    }
}

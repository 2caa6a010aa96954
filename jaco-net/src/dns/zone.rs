//! What is answered, decided from data. Pure: dice are an argument, sockets are elsewhere.
//!
//! Input is [`Names`]; output is, for a question from a source, the records of the networks that the source is in,
//! or that the name is nobody's business here and goes to the forwarders. A zone never changes: a new one takes its
//! place. It must never answer with an address of a network the source is not in, and never send a name outside
//! that only this cluster can know. The rules are in `docs/design/names.md`.

mod build;
mod find;
mod order;
mod records;
mod reverse;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use hickory_proto::rr::{Name, RData, RecordType};
use ipnet::IpNet;
use jaco_api::model::Slot;

use super::{labels::Labels, names::Names};

pub(crate) use records::{SOA_DATA, TTL};

/// `jaco.internal`, as a key.
const APEX: &[u8] = b"\x04jaco\x08internal";

const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Every name that a node answers, in every network.
#[derive(Debug)]
pub struct Zone {
    pools: Vec<IpNet>,
    networks: Vec<Network>,
    /// The networks of each deployment.
    deployments: BTreeMap<Box<[u8]>, Vec<usize>>,
    bridges: BTreeMap<IpAddr, (IpNet, [usize; 1])>,
    /// Where the host's own programs ask, and what they see: every network.
    host: (BTreeSet<IpAddr>, Vec<usize>),
    /// The networks that a source sees, the one it is in by that address first.
    sources: BTreeMap<IpAddr, Vec<usize>>,
    left_out: Vec<String>,
}

/// The names of one network.
#[derive(Debug)]
struct Network {
    deployment: Box<[u8]>,
    services: Vec<Served>,
    names: BTreeMap<Box<[u8]>, Vec<Target>>,
    /// Names that only have others below them.
    parents: BTreeSet<Box<[u8]>>,
    /// Who has an address, sorted by it.
    owners: Vec<(IpAddr, Target)>,
}

#[derive(Debug)]
struct Served {
    name: Box<[u8]>,
    vip: Vec<IpAddr>,
    ports: Vec<Port>,
    /// Sorted by slot.
    replicas: Vec<Member>,
    /// The healthy ones on this node, and those elsewhere.
    local: Vec<usize>,
    remote: Vec<usize>,
}

#[derive(Debug)]
struct Port {
    /// `_http`, as a key; a port without a name has its number alone.
    name: Option<Box<[u8]>>,
    /// `_8080`.
    digits: Box<[u8]>,
    protocol: &'static [u8],
    number: u16,
}

#[derive(Debug)]
struct Member {
    slot: Slot,
    addresses: Vec<IpAddr>,
    healthy: bool,
    local: bool,
}

/// What a name leads to, inside its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Service(usize),
    Replica(usize, usize),
}

/// What one source sees, at one gateway.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'z> {
    networks: &'z [usize],
    gateway: IpAddr,
    /// It is in no network: it is told of replicas, and knows names in full only.
    outside: bool,
}

/// What is asked of a name.
#[derive(Debug, Clone, Copy)]
struct Asked {
    kind: RecordType,
    /// Decides about order alone.
    seed: u64,
    /// Replicas are told even of a service with an address of its own.
    direct: bool,
}

/// What becomes of a question.
#[derive(Debug)]
pub(crate) enum Answer {
    /// These, in this order.
    Records {
        data: Vec<RData>,
        /// Addresses of the names in `data`.
        additional: Vec<(Name, IpAddr)>,
    },
    /// The name is there, what is asked of it is not. The zone begins at this label of the name.
    NoData { apex: usize },
    /// There is no such name.
    NxDomain { apex: usize },
    /// It is for others to say.
    Forward,
}

impl Zone {
    /// Works out everything that can be answered.
    #[must_use]
    pub fn new(names: &Names) -> Self {
        build::zone(names)
    }

    /// The service names, aliases and hostnames that are no domain names, so that nobody can ask for them.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// What `source` sees when it asks at `gateway`; nothing when it is not behind that gateway.
    pub(crate) fn view(&self, gateway: IpAddr, source: IpAddr) -> Option<View<'_>> {
        let (host, all) = &self.host;
        if host.contains(&gateway) {
            return source.is_loopback().then_some(View { networks: all, gateway, outside: true });
        }
        let (block, own) = self.bridges.get(&gateway)?;
        if !block.contains(&source) {
            return None;
        }
        let networks = self.sources.get(&source).map_or(&own[..], Vec::as_slice);
        Some(View { networks, gateway, outside: false })
    }

    /// Answers a question; `seed` decides about order alone.
    pub(crate) fn ask(&self, view: View<'_>, name: &Labels, kind: RecordType, seed: u64) -> Answer {
        if let Some(answer) = self.reverse(view, name, kind) {
            return answer;
        }
        let asked = Asked { kind, seed, direct: view.outside };
        if let Some(apex) = name.before(APEX) {
            return self.below_apex(view, name, apex, asked);
        }
        if view.outside {
            return Answer::Forward;
        }
        let count = name.count();
        let apex = count.saturating_sub(1);
        let found = self.find(view.networks, name, count, None);
        if found.exists() {
            return self.records(&found, asked, apex);
        }
        if name.text(apex) == "localhost" {
            // RFC 6761: whoever has no hosts file is told what would be in it.
            return records::of_addresses(LOOPBACK, kind, apex);
        }
        if count < 2 {
            // Whoever asks about a top-level domain as such asks the world; a bare host name stays here.
            let of_domains = [RecordType::NS, RecordType::SOA, RecordType::DS, RecordType::DNSKEY]
                .contains(&kind);
            return if count == 0 || of_domains {
                Answer::Forward
            } else {
                Answer::NxDomain { apex }
            };
        }
        if self.was_replica(view.networks, name) {
            return Answer::NxDomain { apex };
        }
        let deployment = name.range(apex, count);
        if self.sees(view, deployment) {
            let found = self.find(view.networks, name, apex, Some(deployment));
            return self.records(&found, asked, apex);
        }
        let others = self.deployments.get(deployment);
        let known =
            |networks: &Vec<usize>| self.find(networks, name, apex, Some(deployment)).exists();
        if others.is_some_and(known) { Answer::NxDomain { apex } } else { Answer::Forward }
    }

    /// Answers for a name of which the labels from `apex` on are `jaco.internal`.
    fn below_apex(&self, view: View<'_>, name: &Labels, apex: usize, asked: Asked) -> Answer {
        if apex == 0 {
            return records::of_apex(asked.kind);
        }
        if apex == 1 && name.label(0) == b"ns" {
            return records::of_addresses([view.gateway], asked.kind, apex);
        }
        let deployment = name.range(apex - 1, apex);
        if !self.sees(view, deployment) {
            return Answer::NxDomain { apex };
        }
        if apex == 1 {
            return Answer::NoData { apex };
        }
        let found = self.find(view.networks, name, apex - 1, Some(deployment));
        self.records(&found, asked, apex)
    }

    fn sees(&self, view: View<'_>, deployment: &[u8]) -> bool {
        view.networks.iter().any(|n| *self.networks[*n].deployment == *deployment)
    }
}

#[cfg(test)]
mod tests;

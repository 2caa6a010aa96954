//! From what a name leads to, to records of the type that is asked for.

use std::{collections::BTreeMap, net::IpAddr, sync::LazyLock};

use hickory_proto::rr::{
    Name, RData, RecordType,
    rdata::{HINFO, NS, SOA, SRV},
};
use jaco_api::model::Slot;

use super::{APEX, Answer, Asked, Target, View, Zone, find::Found, order::shuffle};
use crate::dns::labels::labels_of;

/// How long anything that this node knows may be believed.
pub(crate) const TTL: u32 = 1;

static SERVER: LazyLock<Name> = LazyLock::new(|| name([&b"ns"[..]], APEX));

/// The SOA of every zone of ours.
pub(crate) static SOA_DATA: LazyLock<RData> = LazyLock::new(|| {
    let second = i32::try_from(TTL).unwrap_or(1);
    let mailbox = name([&b"hostmaster"[..]], APEX);
    RData::SOA(SOA::new(SERVER.clone(), mailbox, 1, second, second, second, TTL))
});

/// A name of these labels, then those of a key.
pub(super) fn name<'a>(labels: impl IntoIterator<Item = &'a [u8]>, key: &'a [u8]) -> Name {
    let all = labels.into_iter().chain(labels_of(key)).collect::<Vec<_>>();
    let mut name = Name::from_labels(all).unwrap_or_default();
    name.set_fqdn(true);
    name
}

fn found(data: Vec<RData>, apex: usize) -> Answer {
    if data.is_empty() {
        return Answer::NoData { apex };
    }
    Answer::Records { data, additional: Vec::new() }
}

/// Of the type asked for; for ANY, one record says that it is not answered (RFC 8482).
fn any() -> RData {
    RData::HINFO(HINFO::new("RFC8482".to_owned(), String::new()))
}

pub(super) fn of_addresses(
    addresses: impl IntoIterator<Item = IpAddr>,
    kind: RecordType,
    apex: usize,
) -> Answer {
    match kind {
        RecordType::ANY => found(vec![any()], apex),
        _ => found(addresses.into_iter().filter(|a| is(*a, kind)).map(RData::from).collect(), apex),
    }
}

pub(super) fn of_apex(kind: RecordType) -> Answer {
    found(
        match kind {
            RecordType::ANY => vec![any()],
            RecordType::SOA => vec![SOA_DATA.clone()],
            RecordType::NS => vec![RData::NS(NS(SERVER.clone()))],
            _ => Vec::new(),
        },
        0,
    )
}

fn is(address: IpAddr, kind: RecordType) -> bool {
    match kind {
        RecordType::A => address.is_ipv4(),
        RecordType::AAAA => address.is_ipv6(),
        _ => false,
    }
}

/// Something to be answered once: by its network it is told from itself in another network.
struct Candidate<'z> {
    network: usize,
    identity: (&'z [u8], &'z [u8], Option<&'z Slot>),
    local: bool,
    addresses: &'z [IpAddr],
}

impl Zone {
    pub(super) fn records(&self, what: &Found, asked: Asked, apex: usize) -> Answer {
        let Asked { kind, seed, direct } = asked;
        match (what, kind) {
            (Found::Nobody, _) => Answer::NxDomain { apex },
            (Found::Within, _) => Answer::NoData { apex },
            (_, RecordType::ANY) => found(vec![any()], apex),
            (Found::Targets(targets), RecordType::A | RecordType::AAAA) => {
                let all =
                    targets.iter().flat_map(|(n, target)| self.candidates(*n, *target, direct));
                let mut seen = Vec::new();
                let addresses = ordered(all, |a| is(*a, kind), seed)
                    .into_iter()
                    .flat_map(|c| c.addresses.iter().copied().filter(|address| is(*address, kind)));
                // Only several names can lead to one address.
                let once = addresses.filter(|address| {
                    targets.len() == 1
                        || !seen.contains(address) && {
                            seen.push(*address);
                            true
                        }
                });
                found(once.map(RData::from).collect(), apex)
            }
            (Found::Ports(ports), RecordType::SRV) => self.services(ports, asked, apex),
            (Found::Targets(_) | Found::Ports(_), _) => Answer::NoData { apex },
        }
    }

    fn services(&self, ports: &[(usize, usize, u16)], asked: Asked, apex: usize) -> Answer {
        let (mut data, mut additional) = (Vec::new(), Vec::new());
        let mut numbers: Vec<u16> = ports.iter().map(|(_, _, number)| *number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            let same = ports.iter().filter(|(_, _, other)| *other == number);
            let all =
                same.flat_map(|(n, s, _)| self.candidates(*n, Target::Service(*s), asked.direct));
            for candidate in ordered(all, |_| true, asked.seed) {
                let target = candidate.name();
                let addresses = candidate.addresses.iter();
                additional.extend(addresses.map(|address| (target.clone(), *address)));
                data.push(RData::SRV(SRV::new(0, 1, number, target)));
            }
        }
        if data.is_empty() { Answer::NoData { apex } } else { Answer::Records { data, additional } }
    }

    /// The healthy replicas of a target, or the virtual address of a service that has one unless replicas
    /// are wanted in any case.
    fn candidates(&self, network: usize, target: Target, direct: bool) -> Vec<Candidate<'_>> {
        let Self { networks, .. } = self;
        let deployment = &*networks[network].deployment;
        let (service, replicas) = match target {
            Target::Service(service) => (service, None),
            Target::Replica(service, replica) => (service, Some(replica)),
        };
        let service = &networks[network].services[service];
        let candidate = |index: usize| {
            let member = &service.replicas[index];
            let identity = (deployment, &*service.name, Some(&member.slot));
            Candidate { network, identity, local: member.local, addresses: &member.addresses }
        };
        match replicas {
            Some(index) if service.replicas[index].healthy => vec![candidate(index)],
            Some(_) => Vec::new(),
            None if !direct && !service.vip.is_empty() => {
                let identity = (deployment, &*service.name, None);
                vec![Candidate { network, identity, local: true, addresses: &service.vip }]
            }
            None => service.local.iter().chain(&service.remote).map(|i| candidate(*i)).collect(),
        }
    }

    /// The name of whoever has this address in the networks of a view.
    pub(super) fn owner(&self, view: View<'_>, address: IpAddr) -> Option<Name> {
        view.networks.iter().find_map(|n| {
            let network = &self.networks[*n];
            let at = network.owners.partition_point(|(other, _)| *other < address);
            let (_, target) = network.owners.get(at).filter(|(other, _)| *other == address)?;
            let (service, slot) = match target {
                Target::Service(service) => (&network.services[*service], None),
                Target::Replica(service, replica) => {
                    let service = &network.services[*service];
                    (service, Some(&service.replicas[*replica].slot))
                }
            };
            (!service.name.is_empty()).then(|| canonical(&network.deployment, &service.name, slot))
        })
    }
}

impl Candidate<'_> {
    fn name(&self) -> Name {
        let (deployment, service, slot) = self.identity;
        canonical(deployment, service, slot)
    }
}

/// `[<slot>.]<service>.<deployment>.jaco.internal`.
fn canonical(deployment: &[u8], service: &[u8], slot: Option<&Slot>) -> Name {
    let slot = slot.map(ToString::to_string);
    let slot = slot.as_deref().map(str::as_bytes);
    name(slot.into_iter().chain(labels_of(service)).chain(labels_of(deployment)), APEX)
}

/// Those with an address that counts, each in the first of its networks, on this node first, shuffled.
fn ordered<'z>(
    all: impl Iterator<Item = Candidate<'z>>,
    counts: impl Fn(&IpAddr) -> bool,
    mut seed: u64,
) -> Vec<Candidate<'z>> {
    let mut all: Vec<_> = all.filter(|c| c.addresses.iter().any(&counts)).collect();
    if let Some(first) = all.first().map(|c| c.network)
        && all.iter().any(|candidate| candidate.network != first)
    {
        let mut home = BTreeMap::new();
        for candidate in &all {
            home.entry(candidate.identity).or_insert(candidate.network);
        }
        let is_home = |c: &Candidate<'_>| home.get(&c.identity) == Some(&c.network);
        let keep: Vec<bool> = all.iter().map(is_home).collect();
        let mut keep = keep.into_iter();
        all.retain(|_| keep.next().unwrap_or(false));
    }
    all.sort_by_key(|candidate| !candidate.local);
    let here = all.partition_point(|candidate| candidate.local);
    let (local, remote) = all.split_at_mut(here);
    shuffle(local, &mut seed);
    shuffle(remote, &mut seed);
    all
}

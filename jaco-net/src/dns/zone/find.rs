//! From a name to what it leads to.

use std::cmp::Ordering;

use jaco_api::model::Slot;

use super::{Network, Target, Zone};
use crate::dns::labels::Labels;

/// What there is under a name, each with its network.
#[derive(Debug)]
pub(super) enum Found {
    Nobody,
    /// Only names below it.
    Within,
    Targets(Vec<(usize, Target)>),
    /// A port of a service.
    Ports(Vec<(usize, usize, u16)>),
}

impl Found {
    pub(super) fn exists(&self) -> bool {
        !matches!(self, Self::Nobody)
    }
}

impl Zone {
    /// What the labels of `name` before `end` lead to in these networks, or in those of one deployment.
    ///
    /// What somebody gave a name goes before what follows from another name.
    pub(super) fn find(
        &self,
        networks: &[usize],
        name: &Labels,
        end: usize,
        deployment: Option<&[u8]>,
    ) -> Found {
        let here = || {
            let all = networks.iter().map(|number| (*number, &self.networks[*number]));
            all.filter(move |(_, n)| deployment.is_none_or(|d| *n.deployment == *d))
        };
        let whole = name.range(0, end);
        let given: Vec<_> = here()
            .flat_map(|(n, network)| network.led_by(whole).iter().map(move |target| (n, *target)))
            .collect();
        if !given.is_empty() {
            return Found::Targets(given);
        }
        let mut replicas = Vec::new();
        let mut ports = Vec::new();
        let mut within = false;
        for (n, network) in here() {
            replicas.extend(network.replica(name, end).map(|target| (n, target)));
            ports.extend(network.port(name, end).map(|(service, port)| (n, service, port)));
            within |= network.has_ports(name, end);
            // A name of nobody is ours only below a name of ours.
            within |= deployment.is_some() && network.parents.contains(whole);
        }
        if !replicas.is_empty() {
            Found::Targets(replicas)
        } else if !ports.is_empty() {
            Found::Ports(ports)
        } else if within {
            Found::Within
        } else {
            Found::Nobody
        }
    }
}

impl Zone {
    /// Whether `name` is a number and a service: a replica that is no more, and nobody's domain.
    pub(super) fn was_replica(&self, networks: &[usize], name: &Labels) -> bool {
        let (slot, service) = (name.text(0), name.range(1, name.count()));
        let number = slot.bytes().all(|byte| byte.is_ascii_digit());
        number && networks.iter().any(|n| self.networks[*n].services(service).next().is_some())
    }
}

impl Network {
    fn led_by(&self, name: &[u8]) -> &[Target] {
        self.names.get(name).map_or(&[], Vec::as_slice)
    }

    fn services(&self, name: &[u8]) -> impl Iterator<Item = usize> {
        self.led_by(name).iter().filter_map(|target| match target {
            Target::Service(service) => Some(*service),
            Target::Replica(..) => None,
        })
    }

    /// `<slot>.<service>`.
    fn replica(&self, name: &Labels, end: usize) -> impl Iterator<Item = Target> {
        let service_name = if end > 1 { name.range(1, end) } else { &[] };
        let slot = name.text(0);
        let services = self.services(service_name);
        services.filter(|s| *self.services[*s].name == *service_name).flat_map(move |service| {
            let replicas = &self.services[service].replicas;
            let from = replicas.partition_point(|r| compare(&r.slot, slot) == Ordering::Less);
            let same = replicas[from..].iter().take_while(|r| compare(&r.slot, slot).is_eq());
            (from..).zip(same).map(move |(replica, _)| Target::Replica(service, replica))
        })
    }

    /// `_<port>._<protocol>.<service>`.
    fn port(&self, name: &Labels, end: usize) -> impl Iterator<Item = (usize, u16)> {
        let service_name = if end > 2 { name.range(2, end) } else { &[] };
        let (port, protocol) = (name.range(0, 1), name.label(1));
        self.services(service_name).flat_map(move |service| {
            let all = self.services[service].ports.iter();
            let same = all.filter(move |p| {
                p.protocol == protocol && (*p.digits == *port || p.name.as_deref() == Some(port))
            });
            same.map(move |p| (service, p.number))
        })
    }

    /// Whether it is `_<protocol>.<service>`, of a service with such ports.
    fn has_ports(&self, name: &Labels, end: usize) -> bool {
        let service_name = if end > 1 { name.range(1, end) } else { &[] };
        let protocol = name.label(0);
        let mut services = self.services(service_name);
        services.any(|s| self.services[s].ports.iter().any(|port| port.protocol == protocol))
    }
}

/// Compares a slot with the label that names one, in the order of slots.
fn compare(slot: &Slot, label: &str) -> Ordering {
    let canonical = |n: &u32| *n > 0 && !label.starts_with(['0', '+']);
    match (slot, label.parse::<u32>().ok().filter(canonical)) {
        (Slot::Index(index), Some(wanted)) => index.cmp(&wanted),
        (Slot::Index(_), None) => Ordering::Less,
        (Slot::Node(_), Some(_)) => Ordering::Greater,
        (Slot::Node(node), None) => node.as_str().cmp(label),
    }
}

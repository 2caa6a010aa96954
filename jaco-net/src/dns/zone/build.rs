//! From data to what can be looked up.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use jaco_api::model::{NodeName, Protocol};

use super::{Member, Network, Port, Served, Target, Zone};
use crate::{
    Scope,
    dns::{
        labels::key,
        names::{Endpoint, NamedPort, NamedService, Names},
    },
};

pub(super) fn zone(names: &Names) -> Zone {
    // A network with a bridge or a container here exists, even when nobody is in it yet.
    let mut all: BTreeMap<&Scope, &[NamedService]> =
        names.scopes.iter().map(|(scope, services)| (scope, services.as_slice())).collect();
    let bridged = names.bridges.values().map(|bridge| &bridge.scope);
    let joined = names.containers.iter().flat_map(|c| c.addresses.iter().map(|(scope, _)| scope));
    for scope in bridged.chain(joined) {
        all.entry(scope).or_insert(&[]);
    }
    let number: BTreeMap<&Scope, usize> = all.keys().copied().zip(0..).collect();

    let mut left_out = Vec::new();
    let mut deployments: BTreeMap<Box<[u8]>, Vec<usize>> = BTreeMap::new();
    let mut networks = Vec::with_capacity(all.len());
    for (scope, services) in &all {
        let network = network(scope, services, &names.node, &mut left_out);
        deployments.entry(network.deployment.clone()).or_default().push(networks.len());
        networks.push(network);
    }
    left_out.sort();
    left_out.dedup();
    let bridges = names.bridges.iter();
    Zone {
        pools: names.pools.clone(),
        networks,
        deployments,
        bridges: bridges
            .map(|(at, bridge)| (*at, (bridge.block, [number[&bridge.scope]])))
            .collect(),
        host: (names.host.clone(), number.values().copied().collect()),
        sources: sources(names, &number),
        left_out,
    }
}

fn sources(names: &Names, number: &BTreeMap<&Scope, usize>) -> BTreeMap<IpAddr, Vec<usize>> {
    let mut sources: BTreeMap<IpAddr, Vec<usize>> = BTreeMap::new();
    for container in &names.containers {
        let all: BTreeSet<usize> = container.addresses.iter().map(|(s, _)| number[s]).collect();
        for (scope, address) in &container.addresses {
            let own = number[scope];
            let rest = all.iter().copied().filter(|n| *n != own);
            sources.insert(*address, std::iter::once(own).chain(rest).collect());
        }
    }
    sources
}

fn network(
    scope: &Scope,
    services: &[NamedService],
    node: &NodeName,
    left_out: &mut Vec<String>,
) -> Network {
    let mut network = Network {
        deployment: key(scope.deployment.as_str()).unwrap_or_default(),
        services: Vec::with_capacity(services.len()),
        names: BTreeMap::new(),
        parents: BTreeSet::new(),
        owners: Vec::with_capacity(services.iter().map(|s| s.replicas.len()).sum()),
    };
    for (index, service) in services.iter().enumerate() {
        let mut lead = |text: &str, target: Target| match key(text) {
            Some(name) => name_it(&mut network.names, &mut network.parents, name, target),
            None => left_out.push(text.to_owned()),
        };
        lead(service.name.as_str(), Target::Service(index));
        for alias in &service.aliases {
            lead(alias, Target::Service(index));
        }
        let mut order: Vec<_> = service.replicas.iter().collect();
        order.sort_by(|a, b| (&a.slot, &a.addresses).cmp(&(&b.slot, &b.addresses)));
        for (place, replica) in order.iter().enumerate() {
            if let Some(hostname) = &replica.hostname {
                lead(hostname, Target::Replica(index, place));
            }
            let owner = |address: &IpAddr| (*address, Target::Replica(index, place));
            network.owners.extend(replica.addresses.iter().map(owner));
        }
        let replicas: Vec<Member> = order
            .iter()
            .map(|replica| Member {
                slot: replica.slot.clone(),
                addresses: replica.addresses.clone(),
                healthy: replica.healthy,
                local: replica.node == *node,
            })
            .collect();
        let served = served(service, replicas);
        network.owners.extend(served.vip.iter().map(|vip| (*vip, Target::Service(index))));
        network.services.push(served);
    }
    network.owners.sort_unstable();
    network
}

fn name_it(
    names: &mut BTreeMap<Box<[u8]>, Vec<Target>>,
    parents: &mut BTreeSet<Box<[u8]>>,
    name: Box<[u8]>,
    target: Target,
) {
    let mut rest = &name[..];
    while let [length, more @ ..] = rest {
        rest = more.get(usize::from(*length)..).unwrap_or_default();
        if !rest.is_empty() {
            parents.insert(rest.into());
        }
    }
    let targets = names.entry(name).or_default();
    if !targets.contains(&target) {
        targets.push(target);
    }
}

fn served(service: &NamedService, replicas: Vec<Member>) -> Served {
    let healthy = |local: bool| {
        let all = replicas.iter().enumerate();
        all.filter(|(_, m)| m.healthy && m.local == local).map(|(index, _)| index).collect()
    };
    let (local, remote) = (healthy(true), healthy(false));
    Served {
        name: key(service.name.as_str()).unwrap_or_default(),
        vip: match &service.endpoint {
            Endpoint::Vip(addresses) => addresses.clone(),
            Endpoint::Dnsrr => Vec::new(),
        },
        ports: service.ports.iter().map(port).collect(),
        replicas,
        local,
        remote,
    }
}

fn port(port: &NamedPort) -> Port {
    let underscored = |text: &str| key(&format!("_{text}"));
    Port {
        name: port.name.as_deref().filter(|name| !name.contains('.')).and_then(underscored),
        digits: underscored(&port.number.to_string()).unwrap_or_default(),
        protocol: match port.protocol {
            Protocol::Tcp => b"_tcp",
            Protocol::Udp => b"_udp",
        },
        number: port.number,
    }
}

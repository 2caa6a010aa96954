//! What the state says of a domain, and how what a node serves compares with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use jaco_api::model::{
    DeploymentName, Digest, Node, NodeRoutes, ReplicaId, RouteMatch, ServedDomain, ServedRoute,
    ServiceName, StoredRoute, StoredRoutes, TlsMode,
};
use jaco_ingress::Domain;

use super::certificate;
use crate::{assignment, state::State};

/// What the state says of a domain; absent when no route has it.
#[must_use]
pub fn stored_routes(state: &State, domain: &str) -> Option<StoredRoutes> {
    let stored = state.routes_of_domain(domain);
    let stored = stored.map(|(deployment, route)| StoredRoute {
        deployment: deployment.clone(),
        route: route.clone().hidden(),
    });
    let routes: Vec<_> = stored.collect();
    let tls = &routes.first()?.route.tls;
    let certificate = certificate_of(tls, domain).and_then(|name| certificate(state, name));
    Some(StoredRoutes { domain: domain.to_owned(), routes, certificate })
}

/// The name of the certificate that a route is secured with.
fn certificate_of<'a>(tls: &'a TlsMode, domain: &'a str) -> Option<&'a str> {
    match tls {
        TlsMode::Auto => Some(domain),
        TlsMode::Imported(name) => Some(name),
        TlsMode::Off => None,
    }
}

/// What a node is to serve for a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToServe {
    routes: BTreeMap<String, RouteToServe>,
    /// The leaf that visitors are to be shown, when it matters to them.
    leaf: Option<Option<Digest>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct RouteToServe {
    deployment: DeploymentName,
    service: ServiceName,
    /// Where each replica is, and whether it is draining.
    replicas: BTreeMap<ReplicaId, (SocketAddr, bool)>,
}

/// What `node` is to serve for a domain by this state: replicas of other nodes are reached by the mesh alone.
#[must_use]
pub fn to_serve(state: &State, node: &Node, domain: &str) -> ToServe {
    let meshed = node.facts.mesh.is_some();
    let mut wanted = ToServe::default();
    for (deployment, route) in state.routes_of_domain(domain) {
        let backends = assignment::backends(state, deployment, &route.service).into_iter();
        let reached = backends.filter(|backend| meshed || backend.node == node.name);
        let replicas = reached
            .map(|b| (b.replica, (SocketAddr::new(b.address, route.port), b.draining)))
            .collect();
        let (deployment, service) = (deployment.clone(), route.service.clone());
        let to_serve = RouteToServe { deployment, service, replicas };
        wanted.routes.insert(route.path.clone(), to_serve);
        wanted.leaf = (route.tls != TlsMode::Off).then(|| leaf(state, domain));
    }
    wanted
}

/// The leaf that visitors of a domain are to be shown: its own, else its wildcard's.
fn leaf(state: &State, domain: &str) -> Option<Digest> {
    let own = |domain: &str| {
        state.routes_of_domain(domain).find_map(|(_, route)| {
            let name: Domain = certificate_of(&route.tls, domain)?.parse().ok()?;
            Some(state.certificates().find(&name)?.fingerprint)
        })
    };
    own(domain).or_else(|| own(&format!("*.{}", domain.split_once('.')?.1)))
}

/// How what a node says it serves compares with what it is to serve.
#[must_use]
pub fn compare(node: &Node, wanted: &ToServe, served: ServedDomain) -> NodeRoutes {
    let mut differences = Vec::new();
    let closed = closed(&served, &mut differences);
    let paths: BTreeSet<&String> = served.routes.iter().map(|route| &route.path).collect();
    let none = !wanted.routes.is_empty() && !wanted.routes.keys().any(|path| paths.contains(path));
    for path in wanted.routes.keys().filter(|path| !paths.contains(path)) {
        differences.push(format!("{path} is not served"));
    }
    for route in &served.routes {
        match wanted.routes.get(&route.path) {
            Some(wanted) => compare_route(wanted, route, &mut differences),
            None => differences.push(format!(
                "{} of {}/{} is still served",
                route.path, route.deployment, route.service
            )),
        }
    }
    if let Some(stored) = wanted.leaf.filter(|stored| *stored != served.leaf) {
        differences.push(match (served.leaf, stored) {
            (None, stored) => {
                format!("no certificate is shown, {} is stored", short(stored))
            }
            (Some(shown), stored) => {
                format!("certificate {} is shown, {} is stored", shown.short(), short(stored))
            }
        });
    }
    let matches = match differences.is_empty() {
        true => RouteMatch::Current,
        false if closed || none => RouteMatch::Missing,
        false => RouteMatch::Stale,
    };
    NodeRoutes { node: node.name.clone(), matches, differences, served: Some(served) }
}

fn short(leaf: Option<Digest>) -> String {
    leaf.map_or_else(|| "none".to_owned(), |leaf| leaf.short())
}

/// Whether visitors of domains find a port closed that is to be open.
fn closed(served: &ServedDomain, differences: &mut Vec<String>) -> bool {
    if served.listeners.is_empty() {
        let why = "it listens for no visitors: `http_addr` is empty in its jacod.yaml, or it has just started";
        differences.push(why.to_owned());
        return true;
    }
    let before = differences.len();
    // Published ports have nothing to do with domains.
    for listener in served.listeners.iter().filter(|listener| !listener.name.contains('/')) {
        if let Some(why) = &listener.closed {
            differences.push(format!("{} is not open: {why}", listener.name));
        }
    }
    differences.len() > before
}

fn compare_route(wanted: &RouteToServe, served: &ServedRoute, differences: &mut Vec<String>) {
    let path = &served.path;
    if (&wanted.deployment, &wanted.service) != (&served.deployment, &served.service) {
        differences.push(format!("{path} leads to {}/{}", served.deployment, served.service));
        return;
    }
    let mut there = BTreeSet::new();
    for upstream in &served.upstreams {
        let replica = &upstream.replica;
        there.insert(replica);
        match wanted.replicas.get(replica) {
            None => differences.push(format!("{path} still leads to {replica}")),
            Some((address, _)) if *address != upstream.address => differences.push(format!(
                "{path} leads to {replica} at {}, which is at {address}",
                upstream.address
            )),
            Some((_, draining)) if *draining != upstream.draining => differences.push(format!(
                "{path} takes {replica} for {}",
                if upstream.draining { "draining" } else { "not draining" }
            )),
            Some(_) => {}
        }
    }
    let lacking = wanted.replicas.keys().filter(|replica| !there.contains(replica));
    differences.extend(lacking.map(|replica| format!("{path} does not lead to {replica} yet")));
}

/// A node that did not say what it serves.
#[must_use]
pub fn not_reached(node: &Node, why: String) -> NodeRoutes {
    NodeRoutes {
        node: node.name.clone(),
        matches: RouteMatch::NotReached,
        differences: vec![why],
        served: None,
    }
}

use std::collections::BTreeMap;

use jaco_api::model::{
    Frontends, NetworkName, NodeCondition, NodeId, Observation, Protocol, ProxyProtocol,
    PublishedPort, ReplicaState, RouteOptions, RouteSpec, TlsMode,
};

use super::frontends;
use crate::testing::world::{World, name, seen, service};

/// `shop/web` on both of two nodes, with a route and three ports of which two are published.
fn world() -> World {
    let mut world = World::new(&["a", "b"]);
    let mut schedule = service(2);
    schedule.networks = [NetworkName::default_network()].into();
    let port = |published, target, protocol, proxy_protocol| PublishedPort {
        published,
        target,
        protocol,
        proxy_protocol,
    };
    schedule.ports = vec![
        port(Some(5353), 53, Protocol::Udp, None),
        port(None, 8080, Protocol::Tcp, None),
        port(Some(6379), 6379, Protocol::Tcp, Some(ProxyProtocol::V1)),
    ];
    let route = RouteSpec {
        domain: "shop.example.com".to_owned(),
        path: "/".to_owned(),
        service: name("web"),
        port: 8080,
        tls: TlsMode::Off,
        options: RouteOptions::default(),
    };
    world.deploy_with("shop", &[("web", schedule, "web:1")], vec![route]);
    while world.step() {}
    world
}

fn runs_at(world: &mut World, replica: &str, address: &str) {
    let addresses = BTreeMap::from([(NetworkName::default_network(), address.parse().unwrap())]);
    let running = seen(ReplicaState::Running, "");
    world.observe(replica, Observation { addresses, reason: None, ..running });
}

fn of(world: &World) -> Frontends {
    frontends(world.state(), NodeId(1)).unwrap()
}

fn answering(world: &World) -> Vec<(String, bool)> {
    let backends = of(world).routes[0].backends.clone();
    backends.iter().map(|b| (format!("{} {}", b.replica, b.address), b.draining)).collect()
}

#[test]
fn routes_and_ports_lead_to_replicas_that_run() {
    let mut world = world();
    assert_eq!(frontends(world.state(), NodeId(9)), None);
    assert!(of(&world).routes[0].backends.is_empty(), "known before anything runs");
    runs_at(&mut world, "shop.web.1", "10.244.0.2");
    runs_at(&mut world, "shop.web.2", "10.244.1.2");
    let both = [("shop.web.1 10.244.0.2", false), ("shop.web.2 10.244.1.2", false)];
    let both = both.map(|(text, draining)| (text.to_owned(), draining));
    assert_eq!(answering(&world), both);
    let found = of(&world);
    let headers = found.ports.iter().map(|(key, port)| (*key, port.proxy_protocol));
    let expected =
        [((5353, Protocol::Udp), None), ((6379, Protocol::Tcp), Some(ProxyProtocol::V1))];
    assert_eq!(headers.collect::<Vec<_>>(), expected);
    let port = &found.ports[&(5353, Protocol::Udp)];
    assert_eq!((port.target, port.backends.len()), (53, 2));

    world.enter("shop.web.1", ReplicaState::Degraded, "unhealthy");
    assert_eq!(answering(&world), both[1..]);
    runs_at(&mut world, "shop.web.1", "10.244.0.2");
    let away = world.state().replica(&name("shop.web.2")).unwrap().node;
    let away = world.state().node(away).unwrap().name.to_string();
    world.node_condition(&away, NodeCondition::Down);
    assert_eq!(answering(&world), both[..1]);
}

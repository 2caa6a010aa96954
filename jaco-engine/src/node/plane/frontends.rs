//! What the ingress of a node serves, from its [`Frontends`]. Pure.

use std::{collections::BTreeMap, net::SocketAddr};

use jaco_api::model::{Backend, Frontends, Protocol, ProxyProtocol, Timestamp};
use jaco_ingress::{
    Picture,
    acme::challenge::Challenge,
    l4::Target,
    proxy::ProxyHeader,
    route::{Route, Upstream},
};

use super::route_options::{Passwords, options};
use crate::state::Published;

/// The routes, with the replicas that this node reaches: those of others by the mesh alone. `secured` tells
/// whether a certificate is served for a domain.
pub(crate) fn picture(
    frontends: &Frontends,
    meshed: bool,
    secured: impl Fn(&str) -> bool,
    challenges: BTreeMap<String, String>,
    passwords: &mut Passwords,
) -> Picture {
    passwords.begin();
    let routes = frontends.routes.iter().map(|route| Route {
        domain: route.spec.domain.clone(),
        path: route.spec.path.clone(),
        tls: route.spec.tls.clone(),
        has_certificate: secured(&route.spec.domain),
        deployment: route.deployment.clone(),
        service: route.spec.service.clone(),
        upstreams: upstreams(frontends, &route.backends, route.spec.port, meshed),
        options: options(&route.spec.options, passwords),
    });
    Picture { routes: routes.collect(), challenges }
}

/// The answers to HTTP-01 by token, and when the first of them ends.
pub(crate) fn answers(
    challenges: &[Published],
    now: Timestamp,
) -> (BTreeMap<String, String>, Option<Timestamp>) {
    let valid = || challenges.iter().filter(|published| published.until > now);
    let answers = valid().filter_map(|published| match &published.challenge {
        Challenge::Http01 { token, key_authorization, .. } => {
            Some((token.clone(), key_authorization.clone()))
        }
        Challenge::TlsAlpn01 { .. } | Challenge::Dns01(_) => None,
    });
    (answers.collect(), valid().map(|published| published.until).min())
}

/// The published ports.
pub(crate) fn targets(frontends: &Frontends, meshed: bool) -> BTreeMap<(u16, Protocol), Target> {
    let ports = frontends.ports.iter().map(|(key, port)| {
        let idle = match key.1 {
            Protocol::Tcp => Target::TCP_IDLE,
            Protocol::Udp => Target::UDP_IDLE,
        };
        let upstreams = upstreams(frontends, &port.backends, port.target, meshed);
        let proxy_header = port.proxy_protocol.map(|version| match version {
            ProxyProtocol::V1 => ProxyHeader::V1,
            ProxyProtocol::V2 => ProxyHeader::V2,
        });
        (*key, Target { upstreams, idle, proxy_header })
    });
    ports.collect()
}

fn upstreams(
    frontends: &Frontends,
    backends: &[Backend],
    port: u16,
    meshed: bool,
) -> Vec<Upstream> {
    let upstream = |backend: &Backend| Upstream {
        address: SocketAddr::new(backend.address, port),
        replica: backend.replica.clone(),
        node: backend.node.clone(),
        local: backend.node == frontends.node,
        draining: backend.draining,
    };
    backends.iter().map(upstream).filter(|upstream| upstream.local || meshed).collect()
}

#[cfg(test)]
mod tests {
    use jaco_api::model::{FrontPort, FrontRoute, RouteOptions, RouteSpec, TlsMode};

    use super::*;
    use crate::seal::Keyring;

    fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
        text.parse().unwrap()
    }

    fn frontends() -> Frontends {
        let backend = |replica, node, address| Backend {
            replica: parse(replica),
            node: parse(node),
            address: parse(address),
            draining: false,
        };
        let backends = vec![
            backend("shop.web.1", "a", "10.244.0.2"),
            backend("shop.web.2", "b", "10.244.1.2"),
        ];
        let spec = RouteSpec {
            domain: "shop.example.com".to_owned(),
            path: "/".to_owned(),
            service: parse("web"),
            port: 8080,
            tls: TlsMode::Off,
            options: RouteOptions { strip_path: true, ..RouteOptions::default() },
        };
        let port = FrontPort {
            deployment: parse("shop"),
            service: parse("web"),
            target: 53,
            proxy_protocol: None,
            backends: backends.clone(),
        };
        Frontends {
            node: parse("a"),
            index: 1,
            routes: vec![FrontRoute { deployment: parse("shop"), spec, backends }],
            ports: [((5353, Protocol::Udp), port)].into(),
        }
    }

    #[test]
    fn replicas_of_others_are_reached_by_the_mesh_alone() {
        let addresses = |upstreams: &[Upstream]| -> Vec<(String, bool)> {
            upstreams.iter().map(|u| (u.address.to_string(), u.local)).collect()
        };
        let near = ("10.244.0.2:8080".to_owned(), true);
        let mut passwords = Passwords::new(Keyring::ephemeral());
        let mut shown =
            |meshed| picture(&frontends(), meshed, |_| false, BTreeMap::new(), &mut passwords);
        let found = shown(true);
        assert!(found.routes[0].options.strip_path);
        let far = ("10.244.1.2:8080".to_owned(), false);
        assert_eq!(addresses(&found.routes[0].upstreams), [near.clone(), far]);
        assert_eq!(addresses(&shown(false).routes[0].upstreams), [near]);
        let ports = targets(&frontends(), false);
        let port = &ports[&(5353, Protocol::Udp)];
        assert_eq!(addresses(&port.upstreams), [("10.244.0.2:53".to_owned(), true)]);
        assert_eq!((port.idle, port.proxy_header), (Target::UDP_IDLE, None));
    }

    #[test]
    fn a_port_announces_visitors_as_it_was_asked_to() {
        let mut frontends = frontends();
        let port = frontends.ports[&(5353, Protocol::Udp)].clone();
        for (version, header) in
            [(ProxyProtocol::V1, ProxyHeader::V1), (ProxyProtocol::V2, ProxyHeader::V2)]
        {
            let asking = FrontPort { proxy_protocol: Some(version), ..port.clone() };
            frontends.ports = [((6379, Protocol::Tcp), asking)].into();
            let target = &targets(&frontends, true)[&(6379, Protocol::Tcp)];
            assert_eq!((target.idle, target.proxy_header), (Target::TCP_IDLE, Some(header)));
        }
    }
}

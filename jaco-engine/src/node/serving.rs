//! What this node serves to visitors, for whoever asks: read from the proxy, the certificates and the listeners as
//! they are, never from the state. It decides nothing.

use std::net::IpAddr;

use jaco_api::model::{Digest, Listener, ServedDomain, ServedRoute, ServedUpstream};
use jaco_ingress::{Domain, proxy::RouteKey};

use super::served::Served;
use crate::rpc::OwnServing;

impl OwnServing for Served {
    fn listeners(&self) -> Vec<Listener> {
        let listeners = self.listeners.borrow();
        let all = listeners.iter();
        all.map(|(name, closed)| Listener { name: name.clone(), closed: closed.clone() }).collect()
    }

    fn domain(&self, domain: &str) -> ServedDomain {
        let picture = self.ingress.picture();
        let (passed_over, in_flight) = (self.ingress.passed_over(), self.ingress.in_flight());
        let stats = self.ingress.stats();
        let of_domain = picture.routes.iter().filter(|route| route.domain == domain);
        let routes = of_domain.map(|route| {
            let key = RouteKey {
                domain: route.domain.clone(),
                path: route.path.clone(),
                deployment: route.deployment.clone(),
                service: route.service.clone(),
            };
            let upstreams = route.upstreams.iter().map(|upstream| ServedUpstream {
                replica: upstream.replica.clone(),
                node: upstream.node.clone(),
                address: upstream.address,
                draining: upstream.draining,
                passed_over: passed_over.contains(&upstream.address),
                in_flight: in_flight.get(&upstream.address).map_or(0, |n| *n as u64),
            });
            ServedRoute {
                path: route.path.clone(),
                deployment: route.deployment.clone(),
                service: route.service.clone(),
                in_flight: stats.get(&key).map_or(0, |stats| stats.in_flight),
                upstreams: upstreams.collect(),
            }
        });
        let routes = routes.collect();
        ServedDomain { listeners: OwnServing::listeners(self), routes, leaf: self.leaf(domain) }
    }

    fn led_away(&self, addresses: &[IpAddr], index: u64) -> bool {
        // Where nothing is served nobody is led anywhere.
        let applied = self.index.borrow().is_none_or(|served| served >= index);
        applied && addresses.iter().all(|address| self.ingress.requests(*address) == 0)
    }
}

impl Served {
    /// The leaf that a visitor of the domain is shown: its own, else its wildcard's.
    fn leaf(&self, domain: &str) -> Option<Digest> {
        let table = self.resolver.table();
        let shown = |name: &str| table.leaf(&name.parse::<Domain>().ok()?).map(Digest::of);
        shown(domain).or_else(|| shown(&format!("*.{}", domain.split_once('.')?.1)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jaco_api::model::TlsMode;
    use jaco_ingress::{
        Certificate, Limits, Picture,
        route::{Route, RouteOptions, Upstream},
    };
    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::testing::builders::name;

    #[tokio::test]
    async fn a_domain_is_told_as_it_is_served() {
        let served = Served::new(Limits::default());
        let upstream = Upstream {
            address: "10.244.0.2:80".parse().unwrap(),
            replica: name("shop.web.1"),
            node: name("node-1"),
            local: true,
            draining: false,
        };
        let route = |domain: &str| Route {
            domain: domain.to_owned(),
            path: "/".to_owned(),
            tls: TlsMode::Auto,
            has_certificate: false,
            deployment: name("shop"),
            service: name("web"),
            upstreams: vec![upstream.clone()],
            options: RouteOptions::default(),
        };
        let routes = vec![route("shop.example.com"), route("other.example.com")];
        served.ingress.set(Picture { routes, challenges: BTreeMap::new() });
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["*.example.com".to_owned()]).unwrap();
        let made = params.self_signed(&key).unwrap();
        let stored = Certificate { chain: made.pem(), key: key.serialize_pem().into() };
        served.resolver.serve([(&name("*.example.com"), &stored)], [], None);
        let http =
            Listener { name: "http".to_owned(), closed: Some("Address already in use".to_owned()) };
        served.listeners.send_replace([(http.name.clone(), http.closed.clone())].into());

        let told = served.domain("shop.example.com");
        assert_eq!(told.listeners, [http]);
        assert_eq!(told.leaf, Some(Digest::of(made.der())));
        assert_eq!(told.routes.len(), 1);
        assert_eq!(told.routes[0].upstreams[0].replica, name("shop.web.1"));
        let nothing = served.domain("shop.example.org");
        assert_eq!((nothing.routes, nothing.leaf), (Vec::new(), None));
    }
}
